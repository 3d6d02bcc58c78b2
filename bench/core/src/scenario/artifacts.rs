//! `artifacts = ["{data_dir}/js/**"]`: files of the nodes that are kept with the run, however it ends.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::diagnostic::{self, Diagnostic, Located};
use crate::names::Names;
use crate::table::{Key, Kind, Table};
use crate::template::{Place, Setting, Template};

/// The files to keep.
#[derive(Debug, Clone)]
pub struct Artifacts {
    /// Patterns of paths in a node's data directory.
    paths: Vec<Template>,
    /// The most that is kept of one run, in bytes.
    pub size_max: u64,
}

/// What is kept of one run if the scenario does not say.
const SIZE_MAX: u64 = 64 << 20;

/// What may stand before a path: it is in the data directory anyway.
const DATA_DIR: &str = "{data_dir}/";

pub(super) const KEYS: &[Key] = &[
    Key::required(
        "paths",
        Kind::Texts,
        "Patterns of paths in a node's data directory, with placeholders: \"js/**\"; of a directory everything in it.",
    ),
    Key::new("size_max", Kind::Size, "The most that is kept of one run; 64MiB if not given."),
];

pub(super) fn parse(root: &Table<'_, '_>, names: &Names<'_>) -> Option<Option<Artifacts>> {
    let Some(item) = root.item("artifacts") else { return Some(None) };
    let table = item.table_or("paths", KEYS, "artifacts")?;
    let size_max = table.item("size_max").map(|item| item.size());
    let paths = table.required("paths", |table, key| {
        let texts = table.texts(key)?;
        if texts.is_empty() {
            let message = format!("`{}` names no file", item.key());
            item.report(Diagnostic::error(diagnostic::EMPTY, message, item.span(), "an empty list"));
        }
        let paths: Vec<_> = texts.iter().map(|text| parse_path(text, names)).collect();
        paths.into_iter().collect::<Option<Vec<_>>>().filter(|paths| !paths.is_empty())
    });
    let size_max = match size_max {
        None => SIZE_MAX,
        Some(size) => size?.value,
    };
    Some(Some(Artifacts { paths: paths?, size_max }))
}

fn parse_path(text: &Located<&str>, names: &Names<'_>) -> Option<Template> {
    let path = text.value.strip_prefix(DATA_DIR).unwrap_or(text.value);
    let refuse = |message: String, label: &str| {
        let help =
            "a path below the node's data directory: \"state/*.json\", \"{data_dir}/js/**\"; \"**\" is all of it";
        let diagnostic = Diagnostic::error(diagnostic::BAD_GLOB, message, text.span.clone(), label);
        names.problems().report(diagnostic.help(help));
        None
    };
    if path.trim().is_empty()
        || path.starts_with(['/', '~'])
        || ["{scenario_dir}", "{data_dir}"].iter().any(|dir| path.contains(dir))
    {
        return refuse(format!("`{}` is no path in the data directory", text.value.escape_debug()), "leads elsewhere");
    }
    if path.split('/').any(|part| part == "..") {
        return refuse(format!("`{}` leads out of the data directory", text.value.escape_debug()), "leads elsewhere");
    }
    let template = Template::parse(&Located { value: path, span: text.span.clone() }, Setting::NODE, names)?;
    // What stands in the place of a placeholder is a letter like others.
    if let Err(error) = glob(&without_placeholders(path)) {
        return refuse(format!("`{}` is no pattern: {error}", text.value.escape_debug()), "not a pattern");
    }
    Some(template)
}

fn without_placeholders(path: &str) -> String {
    let mut text = String::new();
    let mut depth = 0_u32;
    for letter in path.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            letter if depth == 0 => text.push(letter),
            _ => {}
        }
    }
    text
}

/// `*` never goes from one directory into the next, `**` does.
fn glob(path: &str) -> Result<globset::Glob, String> {
    GlobBuilder::new(path).literal_separator(true).build().map_err(|error| error.kind().to_string())
}

/// Which files of one node are kept.
#[derive(Debug)]
pub struct Wanted(GlobSet);

impl Wanted {
    /// True for a path, relative to the data directory.
    pub fn admits(&self, path: &Path) -> bool {
        self.0.is_match(path)
    }
}

impl Artifacts {
    /// What is kept of a node, from its point of view. A pattern that its placeholders have broken fits nothing.
    pub fn wanted(&self, place: &Place<'_>) -> Wanted {
        let mut set = GlobSetBuilder::new();
        for path in &self.paths {
            let path = path.expand(place);
            let path = path.trim_end_matches('/');
            for pattern in [path.to_owned(), format!("{path}/**")] {
                set.add(glob(&pattern).unwrap_or_else(|_| globset::Glob::new("/").expect("a constant pattern")));
            }
        }
        Wanted(set.build().unwrap_or_else(|_| GlobSet::empty()))
    }

    /// The patterns, for people.
    pub fn paths(&self) -> String {
        self.paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;
    use crate::template::{Addresses, NodeAddress, Place};

    fn read(artifacts: &str) -> Result<Scenario, Vec<String>> {
        let text = format!(
            "schema = 1\nname = \"x\"\nartifacts = {artifacts}\n[nodes]\ncount = 1\ncommand = [\"a\"]\n\
             [events]\nup = {{ log = 'up' }}\n[[invariants]]\nsometimes = {{ event = \"up\" }}\n"
        );
        Scenario::parse(&text, &[]).map_err(|found| found.iter().map(|d| d.code.to_string()).collect())
    }

    fn kept(artifacts: &str, paths: &[&str]) -> Vec<String> {
        let scenario = read(artifacts).unwrap_or_else(|codes| panic!("{artifacts}: {codes:?}"));
        let mut addresses = Addresses::default();
        addresses.nodes.insert("peer1".into(), NodeAddress { id: 1, ..NodeAddress::default() });
        let place = Place { addresses: &addresses, node: Some("peer1"), life: 1 };
        let wanted = scenario.artifacts.expect("artifacts").wanted(&place);
        paths.iter().filter(|path| wanted.admits(path.as_ref())).map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn patterns_choose_files_and_whole_directories_of_a_data_directory() {
        let all = ["a.json", "js/b.json", "js/deep/c", "js/.hidden", "log/peer1.txt", "log/peer2.txt"];
        assert_eq!(kept("[\"*.json\"]", &all), ["a.json"]);
        assert_eq!(kept("\"{data_dir}/js/**\"", &all), ["js/b.json", "js/deep/c", "js/.hidden"]);
        assert_eq!(kept("[\"js\"]", &all), ["js/b.json", "js/deep/c", "js/.hidden"]);
        assert_eq!(kept("[\"log/{name}.txt\", \"**/c\"]", &all), ["js/deep/c", "log/peer1.txt"]);
        assert_eq!(kept("{ paths = \"js/[bc]*\" }", &all), ["js/b.json"]);
    }

    #[test]
    fn what_leads_out_of_the_data_directory_or_is_no_pattern_is_refused() {
        for path in [
            "/etc/passwd",
            "../x",
            "a/../../x",
            "~/x",
            "{scenario_dir}/x",
            "{data_dir}/",
            "{data_dir}",
            "a/{data_dir}",
            "a[",
            "",
        ] {
            assert_eq!(read(&format!("[\"{path}\"]")).unwrap_err(), ["DS0222"], "{path}");
        }
        assert_eq!(read("[]").unwrap_err(), ["DS0115"]);
        assert_eq!(read("[\"{nam}/x\"]").unwrap_err(), ["DS0134"]);
        assert_eq!(read("{ paths = \"x\", size_max = 5 }").unwrap_err(), ["DS0112"]);
    }
}
