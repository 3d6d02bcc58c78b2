//! The list at the end of a series: what each run came to, how often, and what that proves.

use std::fmt::Write as _;

use super::screen::{Page, WRITES, word};
use super::terminal::clean_line;
use crate::series::Record;

/// The lines of one run: one if it was made once; with counts, the bound and each way to fail if it was repeated.
pub fn summary(record: &Record, is_repeated: bool) -> String {
    let mut page = Page::default();
    write_summary(&mut page, record, is_repeated).expect(WRITES);
    page.into_text()
}

fn write_summary(out: &mut Page, record: &Record, is_repeated: bool) -> std::fmt::Result {
    let label = clean_line(&record.label);
    if record.begun() == 0 {
        return writeln!(out, "{:>8} {:>6}  {label}", "-", "-");
    }
    let (style, word) = match record.is_flaky() {
        true => (word(record.judgement()).0, "FLAKY"),
        false => word(record.judgement()),
    };
    out.styled(style, format_args!("{word:>8}"));
    let seconds = record.milliseconds as f64 / 1000.0;
    if !is_repeated {
        return writeln!(out, " {:>6}  {label}", format!("{seconds:.1}s"));
    }
    let (passed, counted) = (record.passed, record.counted());
    let each = seconds / record.begun().max(1) as f64;
    writeln!(
        out,
        " {:>6}  {label}  {passed} of {counted} passed: failures {} with 95 % confidence",
        format!("{each:.1}s"),
        record.bound()
    )?;
    for kind in &record.kinds.known {
        let more = if kind.count > kind.seeds.len() as u64 { " ..." } else { "" };
        let seeds = kind.seeds.join(" ");
        writeln!(
            out,
            "           {} x {}: {}   seed {seeds}{more}",
            kind.count,
            kind.judgement.word(),
            clean_line(&kind.what)
        )?;
        writeln!(out, "             reproduce: {}", clean_line(&kind.reproduce))?;
    }
    if record.kinds.others > 0 {
        writeln!(out, "           {} x something else", record.kinds.others)?;
    }
    Ok(())
}
