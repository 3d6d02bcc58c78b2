//! Scenario files as wholes: good ones are read, bad ones are told everything that is wrong with them.

#![expect(clippy::disallowed_methods, reason = "tests read the files beside them")]

use dsbench_core::diagnostic::Diagnostic;
use dsbench_core::plan::Plan;
use dsbench_core::scenario::Scenario;

fn good(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/good/{name}.toml", env!("CARGO_MANIFEST_DIR")))
        .expect("the file is there")
}

fn told(diagnostics: &[Diagnostic], text: &str) -> String {
    let line = |d: &Diagnostic| text[..d.at.0.start].matches('\n').count() + 1;
    diagnostics
        .iter()
        .map(|d| {
            format!(
                "{} line {}: {} [{}] help: {}\n",
                d.code,
                line(d),
                d.message,
                d.at.1,
                d.help.as_deref().unwrap_or("-")
            )
        })
        .collect()
}

fn parse(text: &str) -> Scenario {
    Scenario::parse(text, &[]).unwrap_or_else(|diagnostics| panic!("{}", told(&diagnostics, text)))
}

#[test]
fn good_files_are_read_and_described() {
    for name in ["leader-election", "everything"] {
        let plan = Plan::new(parse(&good(name)), 42);
        assert!(plan.describe().starts_with(&format!("{name} (seed 42)")));
        assert_eq!(plan.describe(), Plan::new(parse(&good(name)), 42).describe());
    }
}
