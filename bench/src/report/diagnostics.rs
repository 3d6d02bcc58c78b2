//! Mistakes in a scenario, as rustc shows them.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use dsbench_core::diagnostic::Diagnostic;

use super::terminal::clean_line;

/// Text with ANSI styles (the stream that prints it strips them where they are not wanted).
pub fn render(path: &str, source: &str, diagnostics: &[Diagnostic]) -> String {
    let renderer = Renderer::styled();
    let (path, source) = (clean_line(path), harmless(source));
    let (path, source) = (&*path, &*source);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let level = if diagnostic.is_error { Level::ERROR } else { Level::WARNING };
        let code = diagnostic.code.to_string();
        let (span, label) = &diagnostic.at;
        let mut snippet = Snippet::source(source)
            .line_start(1)
            .path(path)
            .fold(true)
            .annotation(AnnotationKind::Primary.span(span.clone()).label(label.as_str()));
        for (span, label) in &diagnostic.also {
            snippet = snippet.annotation(AnnotationKind::Context.span(span.clone()).label(label.as_str()));
        }
        let mut group = level.primary_title(diagnostic.message.as_str()).id(code.as_str()).element(snippet);
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        out.push_str(&renderer.render(&[group]));
        out.push_str("\n\n");
    }
    out
}

/// The renderer shows the first control characters as pictures and lets the second set through, which some terminals obey. Each is two bytes
/// long, as is what it is replaced by: the spans keep their places.
fn harmless(source: &str) -> String {
    source.chars().map(|c| if ('\u{80}'..='\u{9f}').contains(&c) { '·' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use dsbench_core::diagnostic::{CODES, Diagnostic};

    #[test]
    fn a_diagnostic_names_code_line_and_remedy() {
        let source = "schema = 1\ntimout = \"60s\"\n";
        let mistake = Diagnostic::error(CODES[0].code, "unknown key `timout`", 11..17, "unknown key")
            .also(0..6, "a known key")
            .help("a key with a similar name exists: `timeout`");
        let text = anstream::adapter::strip_str(&super::render("x.toml", source, &[mistake])).to_string();
        let code = format!("error[{}]", CODES[0].code);
        for part in [code.as_str(), "unknown key `timout`", "x.toml:2:1", "^^^^^^ unknown key", "help: a key with"] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn a_span_at_the_end_of_an_empty_file_is_shown() {
        let mistake = Diagnostic::error(CODES[0].code, "missing key `schema`", 0..0, "here");
        assert!(super::render("x.toml", "", &[mistake]).contains("missing key"));
    }
}
