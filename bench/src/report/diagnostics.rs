//! Mistakes in a scenario, as rustc shows them.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use dsbench_core::diagnostic::Diagnostic;
use dsbench_core::source::{SourceFile, Sources};

use super::terminal::clean_line;

/// As many are shown at once; whoever has more mends these first. Each is drawn from the whole text, so a hundred thousand would take hours.
const SHOWN_MOST: usize = 100;

/// Text with ANSI styles (the stream that prints it strips them where they are not wanted). `scenario` is the path of the scenario's own file.
pub fn render(scenario: &str, sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    let renderer = Renderer::styled();
    let files: Vec<Shown> = sources.files().iter().map(|file| Shown::of(file, scenario)).collect();
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(SHOWN_MOST) {
        let level = if diagnostic.is_error { Level::ERROR } else { Level::WARNING };
        let code = diagnostic.code.to_string();
        let group = level.primary_title(diagnostic.message.as_str()).id(code.as_str());
        let primary = sources.file_at(diagnostic.at.0.start);
        // The file of the mistake first, then the others that explain it.
        let in_order =
            files.iter().filter(|shown| is(shown, primary)).chain(files.iter().filter(|shown| !is(shown, primary)));
        let mut elements = Vec::new();
        for shown in in_order {
            let mut marks = Vec::new();
            if is(shown, primary) {
                let (span, label) = &diagnostic.at;
                marks.push((AnnotationKind::Primary, shown.file.local(span), label.as_str()));
            }
            for (span, label) in &diagnostic.also {
                if is(shown, sources.file_at(span.start)) {
                    marks.push((AnnotationKind::Context, shown.file.local(span), label.as_str()));
                }
            }
            if let Some((part, start, line)) = shown.around(marks.iter().map(|(_, span, _)| span)) {
                let mark = |(kind, span, label): (AnnotationKind, Range<usize>, _)| {
                    kind.span(span.start - start..span.end - start).label(label)
                };
                let snippet = Snippet::source(part).line_start(line).path(&*shown.path).fold(true);
                elements.push(snippet.annotations(marks.into_iter().map(mark)));
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
    if diagnostics.len() > SHOWN_MOST {
        out.push_str(&format!("... and {} more\n\n", diagnostics.len() - SHOWN_MOST));
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

impl Shown<'_> {
    /// The lines that have these spans, where they begin, and the number of the first: the renderer looks at all that it is given.
    fn around<'r>(&self, spans: impl Iterator<Item = &'r Range<usize>>) -> Option<(&str, usize, usize)> {
        let (start, end) = spans.fold(None, |found: Option<(usize, usize)>, span| {
            let (start, end) = found.unwrap_or((span.start, span.end));
            Some((start.min(span.start), end.max(span.end)))
        })?;
        let start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[end..].find('\n').map_or(self.text.len(), |newline| end + newline);
        let line = 1 + self.text[..start].bytes().filter(|byte| *byte == b'\n').count();
        Some((&self.text[start..end], start, line))
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
