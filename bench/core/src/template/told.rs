//! A command as people are told it: on one line, however many its arguments have.

use super::Template;

/// The program and its arguments. Of a script in an argument there is the first line that says something, and three dots.
pub fn told(command: &[Template]) -> String {
    command.iter().map(|argument| one_line(&argument.to_string())).collect::<Vec<_>>().join(" ")
}

fn one_line(argument: &str) -> String {
    let mut lines = argument.lines().filter(|line| !line.trim().is_empty());
    match (lines.next(), argument.contains('\n')) {
        (Some(first), true) => format!("{} ...", first.trim()),
        _ => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_told_by_its_first_line() {
        assert_eq!(one_line("--port"), "--port");
        assert_eq!(one_line(""), "");
        assert_eq!(one_line("\n  set -e\nexec x\n"), "set -e ...");
        assert_eq!(one_line("echo\n"), "echo ...");
    }
}
