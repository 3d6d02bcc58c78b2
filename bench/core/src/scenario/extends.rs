//! `extends = "shared/base.toml"`: which file a scenario builds on. Reading it is the shell's job; where it may lie is decided here.

use std::path::{Component, Path};

use toml::de::DeTable;

use crate::diagnostic::{self, Diagnostic, Located, Problems, Span};
use crate::source::Sources;
use crate::table;

/// More files than this in a row are a mistake.
const DEEPEST: usize = 16;

/// A file that the last of the files read so far extends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// Its path from the directory of the scenario, with `/` between its parts.
    pub path: String,
    /// Where the scenario names it.
    pub said: Span,
}

impl Extended {
    /// The file that is to be read next; none if the last one extends nothing.
    ///
    /// # Errors
    ///
    /// Its path is none that can be extended.
    pub fn next(sources: &Sources) -> Result<Option<Self>, Diagnostic> {
        let Some(file) = sources.files().last() else { return Ok(None) };
        let document = table::parse_document(&file.text, &Problems::new());
        let Some(said) = said(document.get_ref()) else { return Ok(None) };
        // The last file stands before all others: its places are those of its own text.
        let path = resolve(file.path.as_deref(), &said).map_err(|why| refused(&said, why))?;
        if sources.files().len() >= DEEPEST {
            return Err(refused(&said, "too many files extend each other"));
        }
        Ok(Some(Self { path, said: said.span }))
    }

    /// Says that it could not be read, and why.
    pub fn unreadable(&self, why: impl std::fmt::Display) -> Diagnostic {
        let said = Located { value: self.path.as_str(), span: self.said.clone() };
        refused(&said, why)
    }
}

impl Sources {
    /// True if the file that was named says what it is called, and not only what it extends.
    pub fn has_own_name(&self) -> bool {
        let own = self.files().first();
        own.is_some_and(|own| table::parse_document(&own.text, &Problems::new()).get_ref().contains_key("name"))
    }
}

/// Reports a file whose `extends` was not followed: it cannot be, or nobody has read it.
pub(super) fn refuse_unread(sources: &Sources, index: usize, document: &DeTable<'_>, problems: &Problems) {
    let (file, next) = (&sources.files()[index], sources.files().get(index + 1));
    // The places of the document are those among all files already.
    let Some(said) = said(document) else { return };
    match resolve(file.path.as_deref(), &said) {
        Err(why) => problems.report(refused(&said, why)),
        Ok(path) if next.is_none_or(|next| next.path.as_deref() != Some(&path)) => {
            problems.report(refused(&said, "it was not read"));
        }
        Ok(_) => {}
    }
}

fn said<'d>(document: &'d DeTable<'_>) -> Option<Located<&'d str>> {
    let value = document.get("extends")?;
    Some(Located { value: value.get_ref().as_str()?, span: value.span() })
}

fn refused(said: &Located<&str>, why: impl std::fmt::Display) -> Diagnostic {
    let message = format!("`{}` cannot be extended: {why}", said.value.escape_debug());
    Diagnostic::error(diagnostic::BAD_EXTENDS, message, said.span.clone(), "this file")
        .help("a path from the directory of this file to one in or below it: extends = \"shared/base.toml\"")
}

/// The path from the scenario's directory of what a file in it says. What lies outside would not be stored with a run, and could not be
/// judged again elsewhere.
fn resolve(file: Option<&str>, said: &Located<&str>) -> Result<String, &'static str> {
    let mut parts: Vec<&str> = file.into_iter().flat_map(|file| file.split('/')).collect();
    parts.pop();
    if said.value.is_empty() {
        return Err("the path is empty");
    }
    for component in Path::new(said.value).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().ok_or("the path is not UTF-8")?),
            Component::CurDir => {}
            Component::ParentDir => return Err("it lies outside of the directory"),
            Component::RootDir | Component::Prefix(_) => return Err("the path is not relative"),
        }
    }
    if parts.is_empty() || said.value.ends_with('/') {
        return Err("it is a directory");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(file: Option<&str>, said: &str) -> Result<String, &'static str> {
        resolve(file, &Located { value: said, span: 0..0 })
    }

    #[test]
    fn a_path_counts_from_the_file_that_says_it_and_stays_below_the_scenario() {
        assert_eq!(resolved(None, "base.toml").as_deref(), Ok("base.toml"));
        assert_eq!(resolved(None, "./shared//base.toml").as_deref(), Ok("shared/base.toml"));
        assert_eq!(resolved(Some("shared/base.toml"), "more.toml").as_deref(), Ok("shared/more.toml"));
        for outside in ["/etc/passwd", "../base.toml", "shared/../../x.toml", "", ".", "shared/"] {
            assert!(resolved(None, outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn files_are_read_one_after_the_other() {
        let mut sources = Sources::of("extends = \"shared/a.toml\"\n");
        let next = Extended::next(&sources).unwrap().unwrap();
        assert_eq!((next.path.as_str(), next.said), ("shared/a.toml", 10..25));
        sources.add("shared/a.toml", "extends = \"b.toml\"");
        assert_eq!(Extended::next(&sources).unwrap().unwrap().path, "shared/b.toml");
        sources.add("shared/b.toml", "name = \"x\"");
        assert_eq!(Extended::next(&sources).unwrap(), None);
    }

    #[test]
    fn an_endless_chain_ends() {
        let mut sources = Sources::of("extends = \"a.toml\"");
        for index in 0..DEEPEST - 1 {
            assert!(Extended::next(&sources).unwrap().is_some(), "{index}");
            sources.add("a.toml", "extends = \"a.toml\"");
        }
        assert!(Extended::next(&sources).is_err());
    }
}
