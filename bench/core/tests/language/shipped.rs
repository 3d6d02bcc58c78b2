//! Files that are generated from the tables of the language and shipped.

#![expect(clippy::disallowed_methods, reason = "tests read and write the files of the repository")]

use std::path::{Path, PathBuf};

use dsbench_core::schema;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Compares a file with what it is generated from; with DSBENCH_WRITE=1, writes it.
fn is_as_generated(path: &str, generated: &str) {
    let file = Path::new(ROOT).join(path);
    if std::env::var_os("DSBENCH_WRITE").is_some() {
        std::fs::write(&file, generated).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let shipped = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        shipped == generated,
        "{path} is not what the tables of the language say (a key, a verb, a check or a text was changed). Write it again with\n  \
         DSBENCH_WRITE=1 cargo test -p dsbench-core --test language shipped\nand commit it. After a conflict do the same."
    );
}

#[test]
fn the_schema_is_the_one_that_is_shipped() {
    is_as_generated("scenarios/scenario.schema.json", &schema::text());
}

#[test]
fn the_reference_is_the_one_that_is_shipped() {
    is_as_generated("docs/reference.md", &dsbench_core::explain::reference());
}

#[test]
fn the_readme_names_every_check() {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).expect("the README is read");
    for check in dsbench_core::check::CHECKS {
        assert!(
            readme.contains(&format!("`{}`", check.name)),
            "README.md, \"The checks\": nothing about `{}`",
            check.name
        );
    }
}

#[test]
fn the_scenario_in_the_readme_is_an_excerpt_of_the_shipped_one() {
    let read = |path| std::fs::read_to_string(Path::new(ROOT).join(path)).expect("it is shipped");
    let (readme, shipped) = (read("README.md"), read("examples/python/cluster.toml"));
    let (before, _) = readme.split_once("That is an excerpt of `examples/python/cluster.toml`").expect("it says so");
    let (_, excerpt) =
        before.trim_end().strip_suffix("```").and_then(|text| text.rsplit_once("```toml\n")).expect("it");
    let mut rest = shipped.lines();
    assert!(excerpt.lines().count() > 20, "{excerpt}");
    for line in excerpt.lines() {
        assert!(
            rest.any(|shipped| shipped == line),
            "README.md shows a line that the file has not, or has not here: {line}"
        );
    }
}

#[test]
fn every_shipped_scenario_names_the_schema_in_its_first_line_and_leaves_the_second_empty() {
    let schema =
        Path::new(ROOT).join("scenarios").join(schema::FILE_NAME).canonicalize().expect("the schema is shipped");
    let mut files = Vec::new();
    for dir in ["scenarios", "examples", "bench/core/tests/good"] {
        scenarios_below(&Path::new(ROOT).join(dir), &mut files);
    }
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a scenario is read");
        let dir = file.parent().expect("a file stands in a directory");
        let mut lines = text.lines();
        let named = lines.next().and_then(|line| line.strip_prefix("#:schema ")).map(|path| dir.join(path));
        let leads_there = named.is_some_and(|path| path.canonicalize().is_ok_and(|path| path == schema));
        assert!(
            leads_there && lines.next() == Some(""),
            "{}: the first line is `#:schema <relative path to scenarios/{}>`, and the second is empty",
            file.display(),
            schema::FILE_NAME
        );
    }
}

fn scenarios_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            scenarios_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).expect("a file is read");
            // Not the manifest of a package.
            if text.lines().any(|line| line.starts_with("schema ")) {
                found.push(path);
            }
        }
    }
}
