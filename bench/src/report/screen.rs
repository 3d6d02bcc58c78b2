//! The final screen: what broke, when, what was being done at that moment, where it stands, and how to see it again.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use dsbench_core::history::History;
use dsbench_core::judgement::Judgement;
use dsbench_core::observation::{Change, LogLine, ProcessChange, What};
use dsbench_core::verdict::{Evidence, Expectation, InvariantVerdict, Outcome, Reason, Severity, Verdict, Warning};

use super::faults;
use super::live::Cast;
use super::operations;
use super::tell::{StepText, bytes, tell, who};
use super::terminal::{clean, clean_line};
use crate::run::{self, Order};
use crate::store::{Gathered, RunFile, Store, log_name};

/// Everything that the screen of one run needs.
#[derive(Debug)]
pub struct Screen<'r> {
    /// Its summary.
    pub file: &'r RunFile,
    /// What was seen.
    pub history: &'r History,
    /// What it means.
    pub verdict: &'r Verdict,
    /// What the run comes to: the verdict's word, or what weighs more.
    pub judgement: Judgement,
    /// Where it is stored.
    pub store: &'r Store,
    /// Its steps in people's words.
    pub steps: Vec<StepText>,
    /// Where the readable logs are looked for: `logs` for the last run, the run's own for another.
    pub logs: PathBuf,
}

/// The widest text of a log line that is repeated.
const TEXT_WIDTH: usize = 120;

/// One line of the list of runs: `    PASS  4.2s  leader-election`.
pub fn headline(file: &RunFile, judgement: Judgement) -> String {
    let (style, word) = word(judgement);
    let took = file.end.as_ref().map_or_else(|| "-".into(), |end| format!("{:.1}s", end.seconds));
    let mut page = Page::default();
    page.styled(style, format_args!("{word:>8}"));
    write!(page, " {took:>6}  {}", clean_line(file.label())).expect(WRITES);
    page.0
}

pub(super) fn word(judgement: Judgement) -> (Style, &'static str) {
    let bold = |colour: AnsiColor| colour.on_default().bold();
    match judgement {
        Judgement::Pass => (bold(AnsiColor::Green), "PASS"),
        Judgement::Fail => (bold(AnsiColor::Red), "FAIL"),
        Judgement::Inconclusive => (bold(AnsiColor::Yellow), "INCONC"),
        Judgement::Environment => (bold(AnsiColor::Yellow), "ENVIRON"),
        Judgement::Interrupted { .. } => (bold(AnsiColor::Yellow), "INTERR"),
    }
}

/// A text in the making. What is written into it may come from anywhere and cannot command a terminal; only styles can.
#[derive(Debug, Default)]
pub(super) struct Page(String);

pub(super) const WRITES: &str = "writing to a text does not fail";

impl Page {
    pub(super) fn styled(&mut self, style: Style, text: impl std::fmt::Display) {
        self.0.push_str(&style.render().to_string());
        write!(self, "{text}").expect(WRITES);
        self.0.push_str(&style.render_reset().to_string());
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl std::fmt::Write for Page {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.push_str(&clean(text));
        Ok(())
    }
}

impl<'r> Screen<'r> {
    /// The screen of a run that has just ended.
    pub fn of(order: &Order, outcome: &'r run::Outcome, logs: PathBuf) -> Self {
        Self {
            file: &outcome.file,
            history: &outcome.history,
            verdict: &outcome.verdict,
            judgement: outcome.judgement,
            store: &outcome.store,
            steps: Cast::of(&order.plan).steps,
            logs,
        }
    }
}

impl Screen<'_> {
    /// The details of one run.
    pub fn render(&self) -> String {
        let mut page = Page::default();
        self.write(&mut page).expect(WRITES);
        page.0
    }

    /// The same without styles, for whoever reads no terminal.
    pub fn plain(&self) -> String {
        unstyled(&self.render())
    }

    /// The lines about one reason, without styles.
    pub(super) fn reason(&self, reason: &Reason) -> String {
        let mut page = Page::default();
        self.write_reason(&mut page, reason).expect(WRITES);
        unstyled(&page.0)
    }

    /// The lines about one invariant, without styles.
    pub(super) fn invariant(&self, invariant: &InvariantVerdict) -> String {
        let mut page = Page::default();
        self.write_invariant(&mut page, invariant, 0).expect(WRITES);
        unstyled(&page.0)
    }

    fn write(&self, out: &mut Page) -> std::fmt::Result {
        // It has been made safe, and its style is ours.
        out.0.push_str(&headline(self.file, self.judgement));
        writeln!(out)?;
        // A reason that only names an invariant is told by the invariant.
        for reason in self.verdict.reasons_without_invariant() {
            self.write_reason(out, reason)?;
        }
        let width = self.verdict.invariants.iter().map(|invariant| invariant.name.chars().count()).max().unwrap_or(0);
        for invariant in &self.verdict.invariants {
            self.write_invariant(out, invariant, width.min(60))?;
        }
        for warning in &self.verdict.warnings {
            self.write_warning(out, warning)?;
        }
        self.write_faults(out)?;
        for (index, line) in operations::lines(self.history).iter().enumerate() {
            writeln!(out, "  {:<11}{}", if index == 0 { "clients:" } else { "" }, clean_line(line))?;
        }
        if let Some(end) = &self.file.end {
            for survivor in &end.survivors {
                writeln!(out, "  x NOT CLEANED UP: {survivor}")?;
            }
            writeln!(out, "  reproduce: {}", end.reproduce)?;
            writeln!(
                out,
                "             (the seed replays the schedule and the choices, not the operating system's timing)"
            )?;
        }
        writeln!(out, "  run:       {}", self.store.shown_dir().display())?;
        if let Some(packets) = self.store.pcap_path().file_name().filter(|_| self.store.pcap_path().is_file()) {
            let path = self.store.shown_dir().join(packets);
            writeln!(out, "  packets:   {} (for Wireshark; each comment says what a rule did)", path.display())?;
        }
        match self.file.end.as_ref().and_then(|end| end.artifacts.as_ref()) {
            Some(artifacts) => self.write_artifacts(out, artifacts),
            None => Ok(()),
        }
    }

    /// `  x T+4.100s  step 3 did not come as expected: ...   scenarios/x.toml:41`
    fn write_reason(&self, out: &mut Page, reason: &Reason) -> std::fmt::Result {
        let seen = reason.observation.and_then(|number| self.history.get(number));
        let at = seen.map(|seen| format!("{}  ", seen.at)).unwrap_or_default();
        let line = reason.line.as_ref().map(|line| format!("   {}", line.shown(&self.file.file))).unwrap_or_default();
        // Where it stands in the scenario is on the first line, also if a node's last words follow below.
        let (first, rest) =
            reason.text.split_once('\n').map_or((&*reason.text, None), |(first, rest)| (first, Some(rest)));
        writeln!(out, "  x {at}{first}{line}")?;
        if let Some(rest) = rest {
            writeln!(out, "    {}", rest.replace('\n', "\n    "))?;
        }
        match seen.map(|seen| (seen.number, &seen.what)) {
            // A log line is evidence; what the bench itself saw is what the reason says.
            Some((observation, What::Event(_))) => self.write_evidence(out, &Evidence { observation, note: None }),
            // What was never executed has printed nothing.
            Some((_, What::Process(ProcessChange { change: Change::NotStarted { .. }, .. }))) => Ok(()),
            Some((_, What::Process(process))) => {
                writeln!(out, "        all that it printed: {}", self.logs.join(log_name(&process.of.node)).display())
            }
            _ => Ok(()),
        }
    }

    /// `  artifacts: 12 files, 3.4 MiB in logs/runs/.../artifacts`, and what was left out of them.
    fn write_artifacts(&self, out: &mut Page, artifacts: &Gathered) -> std::fmt::Result {
        let Gathered { paths, files, bytes: size, left_out, more_left_out } = artifacts;
        match files {
            0 => writeln!(out, "  artifacts: none; no file that could be kept fits {paths}")?,
            files => {
                let (dir, plural) = (self.store.shown_dir().join("artifacts"), if *files == 1 { "" } else { "s" });
                writeln!(out, "  artifacts: {files} file{plural}, {} in {}", bytes(*size), dir.display())?;
            }
        }
        for left in left_out {
            writeln!(out, "             left out {}", clean_line(left))?;
        }
        match more_left_out {
            0 => Ok(()),
            more => writeln!(out, "             left out {more} more"),
        }
    }

    /// `  ! T+4.100s  teardown 1 (dump) failed: ...   scenarios/x.toml:41`
    fn write_warning(&self, out: &mut Page, warning: &Warning) -> std::fmt::Result {
        let seen = warning.observation.and_then(|number| self.history.get(number));
        let at = seen.map(|seen| format!("{}  ", seen.at)).unwrap_or_default();
        let line = warning.line.as_ref().map(|line| format!("   {}", line.shown(&self.file.file)));
        let line = line.unwrap_or_default();
        write!(out, "  ")?;
        out.styled(AnsiColor::Yellow.on_default(), "! ");
        writeln!(out, "{at}{}{line}", warning.text.replace('\n', "\n        "))
    }

    fn write_invariant(&self, out: &mut Page, invariant: &InvariantVerdict, width: usize) -> std::fmt::Result {
        let finding = &invariant.finding;
        let (style, mark, said) = match (finding.outcome, invariant.expectation, invariant.severity) {
            (Outcome::Held, Expectation::BeViolated, _) => (AnsiColor::Red, "x ", "held, but was to be caught".into()),
            (Outcome::Held, ..) => (AnsiColor::Green, "ok", finding.summary.clone()),
            (Outcome::Unknown, Expectation::HoldIfExercised, _) => {
                (AnsiColor::Green, "- ", format!("not judged without faults: {}", finding.summary))
            }
            (Outcome::Unknown, ..) => (AnsiColor::Yellow, "? ", format!("unknown: {}", finding.summary)),
            (Outcome::Violated, Expectation::BeViolated, _) => {
                (AnsiColor::Green, "ok", violated("caught being violated", invariant))
            }
            (Outcome::Violated, Expectation::MayBeViolated, _) => {
                (AnsiColor::Green, "ok", violated("violated, as it may be", invariant))
            }
            (Outcome::Violated, _, Severity::Warn) => {
                (AnsiColor::Yellow, "! ", violated("violated (a warning)", invariant))
            }
            (Outcome::Violated, ..) => (AnsiColor::Red, "x ", violated("violated", invariant)),
        };
        write!(out, "  ")?;
        out.styled(style.on_default(), mark);
        writeln!(out, " {:<width$}  {}", clean_line(&invariant.name), indented(&said))?;
        if finding.outcome == Outcome::Held {
            return Ok(());
        }
        for evidence in &finding.evidence {
            self.write_evidence(out, evidence)?;
        }
        if finding.outcome == Outcome::Violated {
            for circumstance in &invariant.during {
                let word = if circumstance.is_active { "while" } else { "after" };
                let told = circumstance.to_string();
                // A line that an editor opens.
                let told = match &circumstance.line {
                    Some(line) => told.replace(&format!("line {line}"), &line.shown(&self.file.file)),
                    None => told,
                };
                writeln!(out, "        {word}: {told}")?;
            }
        }
        Ok(())
    }

    fn write_evidence(&self, out: &mut Page, evidence: &Evidence) -> std::fmt::Result {
        let Some(observation) = self.history.get(evidence.observation) else { return Ok(()) };
        let note = evidence.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
        if let What::Event(event) = &observation.what {
            let place = self.place(&event.of.node, &event.log);
            let text = match (&*event.log.text, tell(observation, &self.steps)) {
                // Its text was lost with a full disk.
                ("", Some((_, what))) => Cow::Owned(what),
                (text, _) => Cow::Borrowed(text),
            };
            let text = cut(&text);
            writeln!(out, "        {:<8} {}  {text}   {place}{note}", who(&event.of), observation.at)
        } else if let Some((who, what)) = tell(observation, &self.steps) {
            writeln!(out, "        {who:<8} {}  {}{note}", observation.at, indented(&what))
        } else {
            Ok(())
        }
    }

    /// `logs/peer2_log.txt:181`
    fn place(&self, node: &str, log: &LogLine) -> String {
        match log.line {
            0 => String::new(),
            line => format!("{}:{line}", self.logs.join(log_name(node)).display()),
        }
    }

    fn write_faults(&self, out: &mut Page) -> std::fmt::Result {
        writeln!(out, "  faults:    {}", faults::lines(self.history).join("\n             "))
    }
}

fn violated(word: &str, invariant: &InvariantVerdict) -> String {
    let finding = &invariant.finding;
    let at = finding.at.map(|at| format!(" at {at}")).unwrap_or_default();
    let times = if finding.checked == 1 { "once".to_owned() } else { format!("{} times", finding.checked) };
    format!("{word}{at}   (checked {times}, first of {})\n{}", finding.violations, finding.summary)
}

/// A text of several lines, below its first.
fn indented(text: &str) -> String {
    text.replace('\n', "\n        ")
}

fn cut(text: &str) -> String {
    let text = &*clean_line(text);
    if text.chars().count() <= TEXT_WIDTH {
        return text.to_owned();
    }
    text.chars().take(TEXT_WIDTH - 1).chain(['…']).collect()
}

fn unstyled(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
