//! Mistakes in a scenario, as rustc shows them.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use dsbench_core::diagnostic::Diagnostic;
use dsbench_core::source::{SourceFile, Sources};

use super::terminal::clean_line;

/// Text with ANSI styles (the stream that prints it strips them where they are not wanted). `scenario` is the path of the scenario's own file.
pub fn render(scenario: &str, sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    let renderer = Renderer::styled();
    let files: Vec<Shown> = sources.files().iter().map(|file| Shown::of(file, scenario)).collect();
    let mut out = String::new();
    for diagnostic in diagnostics {
        let level = if diagnostic.is_error { Level::ERROR } else { Level::WARNING };
        let code = diagnostic.code.to_string();
        let group = level.primary_title(diagnostic.message.as_str()).id(code.as_str());
        let primary = sources.file_at(diagnostic.at.0.start);
        // The file of the mistake first, then the others that explain it.
        let in_order =
            files.iter().filter(|shown| is(shown, primary)).chain(files.iter().filter(|shown| !is(shown, primary)));
        let mut elements = Vec::new();
        for shown in in_order {
            let mut annotations = Vec::new();
            if is(shown, primary) {
                let (span, label) = &diagnostic.at;
                annotations.push(AnnotationKind::Primary.span(shown.file.local(span)).label(label.as_str()));
            }
            for (span, label) in &diagnostic.also {
                if is(shown, sources.file_at(span.start)) {
                    annotations.push(AnnotationKind::Context.span(shown.file.local(span)).label(label.as_str()));
                }
            }
            if !annotations.is_empty() {
                let snippet = Snippet::source(&*shown.text).line_start(1).path(&*shown.path).fold(true);
                elements.push(snippet.annotations(annotations));
            }
        }
        let mut group = {
            let mut elements = elements.into_iter();
            let Some(first) = elements.next() else { continue };
            elements.fold(group.element(first), annotate_snippets::Group::element)
        };
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        out.push_str(&renderer.render(&[group]));
        out.push_str("\n\n");
    }
    out
}

/// A file as it may be shown.
struct Shown<'s> {
    file: &'s SourceFile,
    path: String,
    text: Cow<'s, str>,
}

impl<'s> Shown<'s> {
    fn of(file: &'s SourceFile, scenario: &str) -> Self {
        Self { file, path: clean_line(&file.shown(scenario)).into_owned(), text: harmless(&file.text) }
    }
}

fn is(shown: &Shown<'_>, file: Option<&SourceFile>) -> bool {
    file.is_some_and(|file| std::ptr::eq(file, shown.file))
}

/// The renderer shows the first control characters as pictures and lets the second set through, which some terminals obey. Each is two bytes
/// long, as is what it is replaced by: the spans keep their places.
fn harmless(source: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    match source.contains(is_harmful) {
        true => Cow::Owned(source.chars().map(|c| if is_harmful(c) { '·' } else { c }).collect()),
        false => Cow::Borrowed(source),
    }
}

#[cfg(test)]
mod tests {
    use dsbench_core::diagnostic::{CODES, Diagnostic};
    use dsbench_core::source::Sources;

    #[test]
    fn a_diagnostic_names_code_line_and_remedy() {
        let source = "schema = 1\ntimout = \"60s\"\n";
        let mistake = Diagnostic::error(CODES[0].code, "unknown key `timout`", 11..17, "unknown key")
            .also(0..6, "a known key")
            .help("a key with a similar name exists: `timeout`");
        let text = anstream::adapter::strip_str(&super::render("x.toml", &Sources::of(source), &[mistake])).to_string();
        let code = format!("error[{}]", CODES[0].code);
        for part in [code.as_str(), "unknown key `timout`", "x.toml:2:1", "^^^^^^ unknown key", "help: a key with"] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn a_span_at_the_end_of_an_empty_file_is_shown() {
        let mistake = Diagnostic::error(CODES[0].code, "missing key `schema`", 0..0, "here");
        assert!(super::render("x.toml", &Sources::of(""), &[mistake]).contains("missing key"));
    }

    #[test]
    fn a_mistake_is_shown_in_the_file_that_has_it_and_explained_in_the_other() {
        let mut sources = Sources::of("extends = \"base.toml\"\nname = \"x\"\n");
        sources.add("base.toml", "name = 1\n");
        let (base, own) = (sources.files()[1].start(), sources.files()[0].start());
        let mistake =
            Diagnostic::error(CODES[0].code, "given twice", own + 22..own + 26, "here").also(base..base + 4, "first");
        let text = anstream::adapter::strip_str(&super::render("dir/x.toml", &sources, &[mistake])).to_string();
        let (here, first) = (text.find("dir/x.toml:2:1").unwrap(), text.find("dir/base.toml:1:1").unwrap());
        assert!(here < first, "{text}");
    }
}
