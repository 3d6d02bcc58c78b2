//! `--command "./my-node --port {port}"`: a line as one types it, as the list that a scenario has.

use std::path::Path;
use std::str::FromStr;

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command(Vec<String>);

impl FromStr for Command {
    type Err = String;

    /// Words between spaces; quotes keep them together, a backslash keeps the next character as it is.
    fn from_str(line: &str) -> Result<Self, String> {
        let mut words: Vec<String> = Vec::new();
        let mut word: Option<String> = None;
        let mut quote: Option<char> = None;
        let mut letters = line.chars();
        while let Some(letter) = letters.next() {
            match (letter, quote) {
                (letter, Some(open)) if letter == open => quote = None,
                ('\'' | '"', None) => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                ('\\', None | Some('"')) => word.get_or_insert_default().push(letters.next().unwrap_or('\\')),
                (' ' | '\t' | '\n', None) => words.extend(word.take()),
                (letter, _) => word.get_or_insert_default().push(letter),
            }
        }
        if let Some(open) = quote {
            return Err(format!("a quote {open} is opened and not closed"));
        }
        words.extend(word);
        let is_shell = words.iter().any(|word| matches!(word.as_str(), "|" | "&&" | "||" | ";" | ">" | "&"));
        match words.first() {
            None => Err("there is no program in it".to_owned()),
            Some(program) if program.is_empty() => Err("there is no program in it".to_owned()),
            _ if is_shell => Err("no shell reads it; for a shell's line: sh -c \"...\"".to_owned()),
            _ => Ok(Self(words)),
        }
    }
}

impl Command {
    /// The same for a scenario in `dir/scenarios`: a node runs in a directory of its own, where a relative path leads nowhere.
    pub(crate) fn seen_from(mut self, dir: &Path) -> Self {
        let program = &mut self.0[0];
        let is_relative = program.contains('/') && !program.starts_with(['/', '{']);
        if is_relative {
            let in_dir = dir.join(&*program).exists();
            let here = Path::new(&*program).canonicalize().ok().and_then(|path| path.to_str().map(str::to_owned));
            *program = match here {
                Some(here) if !in_dir => here,
                _ => format!("{{scenario_dir}}/../{}", program.trim_start_matches("./")),
            };
        }
        self
    }

    /// A scenario with this command instead of its own.
    pub(crate) fn put_into(&self, scenario: &str) -> String {
        let words: Vec<String> = self.0.iter().map(|word| toml::Value::from(word.as_str()).to_string()).collect();
        let line = format!("command = [{}]", words.join(", "));
        let is_command = |known: &&str| known.starts_with("command = ");
        let lines = scenario.lines().map(|known| if is_command(&known) { line.as_str() } else { known });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::Command;

    fn words(line: &str) -> Result<Vec<String>, String> {
        line.parse::<Command>().map(|command| command.0)
    }

    #[test]
    fn a_line_becomes_words_as_a_shell_would_make_them() {
        assert_eq!(words("./my-node --port {port}").unwrap(), ["./my-node", "--port", "{port}"]);
        assert_eq!(words(r#"sh -c "echo 'a b'; exit" '' x\ y"#).unwrap(), ["sh", "-c", "echo 'a b'; exit", "", "x y"]);
        for bad in ["", "  ", "'open", "a | b", "''"] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_scenario_holds_it_whatever_is_in_it() {
        let command: Command = r#"prog 'it''s' '"q"' 'a\b'"#.parse().unwrap();
        let scenario = command.put_into("x = 1\ncommand = [\"old\"]\ny = 2\n");
        let table: toml::Table = scenario.parse().unwrap();
        let found: Vec<&str> = table["command"].as_array().unwrap().iter().filter_map(|word| word.as_str()).collect();
        assert_eq!(found, ["prog", "its", "\"q\"", "a\\b"]);
        assert_eq!((table["x"].as_integer(), table["y"].as_integer()), (Some(1), Some(2)));
    }

    #[test]
    fn a_relative_program_is_found_from_a_nodes_own_directory() {
        let dir = std::path::Path::new("/nowhere");
        let seen = |line: &str| line.parse::<Command>().unwrap().seen_from(dir).0[0].clone();
        assert_eq!(seen("./not-built-yet x"), "{scenario_dir}/../not-built-yet");
        assert_eq!(seen("python3 x"), "python3");
        assert_eq!(seen("/bin/sh x"), "/bin/sh");
        assert_eq!(seen("{node} sensor"), "{node}");
    }
}
