//! From what somebody typed to what it means.

use super::keys::{entry, tables};
use super::{Chapter, Entry, all};
use crate::diagnostic::{Code, suggestion};
use crate::scenario::KEYS;
use crate::table::{Key, Kind};

/// What a word means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// These: more than one if the word stands for several things.
    Entries {
        /// Explained in full.
        meant: Vec<Entry>,
        /// Longer paths that end with the word: the name and the summary.
        also: Vec<(String, String)>,
    },
    /// Nothing; what was probably meant.
    Nothing(String),
}

/// Looks a word up: a code, a verb, a check, a target, a placeholder, an exit code, or a path of keys like `nodes.ready`.
pub fn find(word: &str) -> Found {
    let word = word.trim().trim_matches('`');
    let all = all();
    let is_code = word.starts_with(['D', 'd']);
    let code = Code::named(word).filter(|_| is_code).map(|code| code.to_string());
    let bare = word.trim_start_matches('{').trim_end_matches('}');
    let bare = bare.trim_start_matches('[').trim_end_matches(']');
    let is_meant = |entry: &&Entry| {
        let name = entry.name.as_str();
        let is_placeholder = entry.chapter == Chapter::Placeholder && name[1..name.len() - 1] == *bare;
        name == word || name == bare || is_placeholder || Some(&entry.name) == code.as_ref()
    };
    let mut meant: Vec<Entry> = all.iter().filter(is_meant).cloned().collect();
    if let Some(found) = at_path(bare)
        && !meant.contains(&found)
    {
        meant.push(found);
    }
    let longer = |entry: &&Entry| {
        let tail = entry.name.strip_suffix(bare).is_some_and(|head| head.ends_with('.'));
        entry.chapter == Chapter::Key && tail && !meant.contains(entry)
    };
    let also: Vec<&Entry> = all.iter().filter(longer).collect();
    if let ([], [only]) = (meant.as_slice(), also.as_slice()) {
        return Found::Entries { meant: vec![(*only).clone()], also: Vec::new() };
    }
    if !meant.is_empty() || !also.is_empty() {
        let also = also.into_iter().map(|entry| (entry.name.clone(), entry.summary.clone())).collect();
        return Found::Entries { meant, also };
    }
    let names = all.iter().flat_map(|entry| {
        let name = entry.name.as_str();
        [name, name.trim_start_matches('{').trim_end_matches('}'), name.rsplit('.').next().unwrap_or(name)]
    });
    let near = suggestion(word, "words", names);
    Found::Nothing(if near.starts_with("did you mean") {
        near
    } else {
        "`dsbench explain` lists every word".to_owned()
    })
}

/// A path of keys, in which the scenario's own names may stand as they are: `groups.server.ready`, `steps.crash.after`.
fn at_path(path: &str) -> Option<Entry> {
    let segments: Vec<&str> = path.split('.').collect();
    let (keys, key, path) = descend(KEYS, &segments, "")?;
    Some(entry(keys, key, &path))
}

fn descend(keys: &'static [Key], segments: &[&str], path: &str) -> Option<(&'static [Key], &'static Key, String)> {
    let (first, rest) = segments.split_first()?;
    let key = keys.iter().find(|key| key.name == *first)?;
    let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
    if rest.is_empty() {
        return Some((keys, key, path));
    }
    tables(key.kind, &path).into_iter().find_map(|(inner, below)| {
        // Names of the scenario's own stand for NAME; an element of a list may be named by its name, as in `--set`.
        let skips = below.len().saturating_sub(path.len()) / ".NAME".len();
        let skips = if below.starts_with(&path) { skips } else { 0 };
        let in_place = rest.get(skips..).and_then(|rest| descend(inner, rest, &below));
        let is_list = matches!(key.kind, Kind::Tables(_) | Kind::List(_));
        in_place.or_else(|| descend(inner, rest.get(1..).filter(|_| is_list)?, &below))
    })
}
