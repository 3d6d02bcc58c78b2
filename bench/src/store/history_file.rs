//! Reading a stored history: all of it to judge it again, or the few lines that people are shown.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use dsbench_core::history::History;
use dsbench_core::lines::{self, LINE_BYTES_MAX, Reading, Recorded};
use dsbench_core::observation::What;
use dsbench_core::size;
use dsbench_core::verdict::Verdict;

use crate::error::BenchError;

/// Bytes of memory that a history may take, about five million events; [`MOST_BY`] says otherwise.
const MOST: usize = 512 << 20;
/// The environment variable that allows a history to take more, or less: a size with a unit.
const MOST_BY: &str = "DSBENCH_HISTORY_MAX";
/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// How many bytes of memory a history may take.
pub(super) fn most() -> Result<usize, BenchError> {
    let Some(text) = std::env::var_os(MOST_BY) else { return Ok(MOST) };
    let most = text.to_str().and_then(size::parse).and_then(|size| usize::try_from(size).ok());
    most.ok_or_else(|| BenchError::Usage(format!("{MOST_BY} is {text:?}: a size with a unit is needed, as in 512MiB")))
}

/// Reads a whole history.
pub(crate) fn read(path: &Path) -> Result<Recorded, BenchError> {
    let refused = |why: lines::ReadError| match why {
        lines::ReadError::TooLarge { .. } => {
            BenchError::StoredRun(format!("{}: {why} ({MOST_BY}=2GiB would allow more)", path.display()))
        }
        why => BenchError::StoredRun(format!("{}: {why}", path.display())),
    };
    // What is recorded after a run was cut for its size still has to fit.
    let most = most()?;
    let mut reading = Reading::of_at_most(most.saturating_add(most / 4).saturating_add(64 << 10));
    let mut file = File::open(path).map_err(BenchError::file("read", path))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return reading.finish().map_err(refused),
            Ok(length) => reading.take(&chunk[..length]).map_err(refused)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(BenchError::file("read", path)(error)),
        }
    }
}

/// Puts back the texts of the lines that a verdict shows, where the history in memory has left them out. What the file does not have
/// stays without.
pub(crate) fn tell_texts(history: &mut History, verdict: &Verdict, path: &Path) {
    let findings = verdict.invariants.iter().flat_map(|invariant| &invariant.finding.evidence);
    let shown = findings.map(|evidence| evidence.observation);
    let shown = shown.chain(verdict.reasons.iter().filter_map(|reason| reason.observation));
    let lacking: BTreeSet<u64> = shown.filter(|number| history.lacks_text(*number)).collect();
    let (Some(last), Ok(file)) = (lacking.last(), File::open(path)) else { return };
    let mut file = BufReader::with_capacity(CHUNK, file);
    // The header is the first line.
    for number in 0..=last.saturating_add(1) {
        let wanted = number.checked_sub(1).filter(|number| lacking.contains(number));
        let Some(wanted) = wanted else {
            match file.skip_until(b'\n') {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            }
        };
        let mut line = Vec::new();
        let read = (&mut file).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line);
        let text = read.ok().and_then(|_| std::str::from_utf8(line.trim_ascii_end()).ok());
        if let Some(Ok(observation)) = text.map(lines::read_one)
            && observation.number == wanted
            && let What::Event(event) = observation.what
        {
            history.tell_text(wanted, event.log.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use dsbench_core::observation::{Event, Life, LogLine, MAIN};
    use dsbench_core::time::RunTime;
    use dsbench_core::verdict::{Expectation, Finding, InvariantVerdict, Severity};

    use super::*;
    use crate::store::Recorder;

    #[test]
    fn a_line_that_is_shown_has_its_text_however_many_lines_there_were() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let mut recorder = Recorder::create(&path).unwrap();
        for number in 0..100_000_u64 {
            let of = Life { node: "a".into(), process: MAIN.into(), life: 1 };
            let log = LogLine { offset: 0, line: number, text: format!("{number} {}", "x".repeat(300)).into() };
            recorder.record(RunTime(number), What::Event(Event { log, ..Event::new("said", of, Vec::new()) }));
        }
        let (mut history, lost) = recorder.finish();
        assert!(lost.is_none() && !history.lacks_text(3) && history.lacks_text(99_998));
        let finding = Finding::violated(1, 1, RunTime(5), "x").showing(3).showing(99_998);
        let judged = InvariantVerdict {
            name: String::new(),
            check: String::new(),
            line: None,
            severity: Severity::Fail,
            expectation: Expectation::Hold,
            finding,
            during: Vec::new(),
        };
        let verdict = Verdict {
            judgement: dsbench_core::judgement::Judgement::Fail,
            reasons: Vec::new(),
            warnings: Vec::new(),
            invariants: vec![judged],
            ending: None,
        };
        tell_texts(&mut history, &verdict, &path);
        let text = |number| match &history.get(number).unwrap().what {
            What::Event(event) => event.log.text.clone(),
            _ => unreachable!("all are events"),
        };
        assert!(text(3).starts_with("3 ") && text(99_998).starts_with("99998 ") && text(99_999).is_empty());

        let mut read = read(&path).unwrap().history;
        assert_eq!(read.observations()[..99_998], history.observations()[..99_998]);
        assert!(read.lacks_text(99_998));
        tell_texts(&mut read, &verdict, dir.path());
        assert!(read.lacks_text(99_998), "a directory has no lines");
    }
}
