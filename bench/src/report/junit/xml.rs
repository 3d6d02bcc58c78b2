//! XML, written so that nothing in it can leave its place.

/// An element with its attributes and what stands in it.
#[derive(Debug, Clone)]
pub(super) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    inside: Inside,
}

#[derive(Debug, Clone)]
enum Inside {
    Elements(Vec<Element>),
    Text(String),
}

impl Element {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), inside: Inside::Elements(Vec::new()) }
    }

    /// An element that holds a text.
    pub(super) fn text(name: &'static str, text: &str) -> Self {
        Self { inside: Inside::Text(escaped(text)), ..Self::new(name) }
    }

    /// With an attribute.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, escaped(&value.to_string()).replace('\n', "&#10;").replace('\t', "&#9;")));
        self
    }

    /// With another element in it.
    pub(super) fn holding(mut self, elements: impl IntoIterator<Item = Self>) -> Self {
        match &mut self.inside {
            Inside::Elements(inside) => inside.extend(elements),
            Inside::Text(_) => unreachable!("an element holds a text or elements"),
        }
        self
    }

    /// The whole document.
    pub(super) fn document(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write("", &mut out);
        out
    }

    fn write(&self, indent: &str, out: &mut String) {
        let Self { name, attributes, inside } = self;
        let attributes: String = attributes.iter().map(|(name, value)| format!(" {name}=\"{value}\"")).collect();
        match inside {
            Inside::Elements(elements) if elements.is_empty() => {
                out.push_str(&format!("{indent}<{name}{attributes}/>\n"));
            }
            Inside::Elements(elements) => {
                out.push_str(&format!("{indent}<{name}{attributes}>\n"));
                elements.iter().for_each(|element| element.write(&format!("{indent}  "), out));
                out.push_str(&format!("{indent}</{name}>\n"));
            }
            // White space would be part of the text.
            Inside::Text(text) => out.push_str(&format!("{indent}<{name}{attributes}>{text}</{name}>\n")),
        }
    }
}

/// A text as XML has it. What XML 1.0 has no way to write (control characters, non-characters) is written out as people read it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Element;

    #[test]
    fn markup_and_what_xml_cannot_hold_become_text() {
        let text = Element::text("system-out", "]]> </system-out><x y=\"&\"> \u{0}\u{1b}[2J\u{fffe}\u{85}\r\nü");
        let document = Element::new("testsuite").with("name", "a\"\n<b>\u{7}").holding([text]).document();
        assert_eq!(
            document,
            concat!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
                "<testsuite name=\"a&quot;&#10;&lt;b&gt;\\u{7}\">\n",
                "  <system-out>]]&gt; &lt;/system-out&gt;&lt;x y=&quot;&amp;&quot;&gt; \\u{0}\\u{1b}[2J\\u{fffe}\\u{85}\\r\nü</system-out>\n",
                "</testsuite>\n"
            )
        );
    }
}
