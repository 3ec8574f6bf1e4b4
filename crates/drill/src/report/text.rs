//! The report for people.

use std::fmt;

use super::{Counts, Gaps, Report, Spread};
use crate::check::{Findings, Line, Promise, Verdict};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (promise, verdict) in &self.findings.0 {
            promised(f, *promise, verdict)?;
        }
        writeln!(f)?;
        counted(f, &self.counts)?;
        waited(f, &self.gaps)?;
        moved(f, "writers", &self.movers.writers)?;
        moved(f, "subscribers", &self.movers.subscribers)?;
        writeln!(f)?;
        write!(f, "{}", last_line(&self.findings))
    }
}

fn promised(f: &mut fmt::Formatter<'_>, promise: Promise, verdict: &Verdict) -> fmt::Result {
    let rule = promise.rule();
    match verdict {
        Verdict::Held { checked, what } => {
            writeln!(f, "{promise}  held         {rule} ({} {what})", grouped(*checked))
        }
        Verdict::NotChecked(why) => writeln!(f, "{promise}  not checked  {rule}: {why}"),
        Verdict::Broken { times, excerpt } => {
            writeln!(f, "{promise}  BROKEN       {rule}; broken {}", so_often(*times))?;
            writeln!(f, "      {}", excerpt.what)?;
            excerpt.lines.iter().try_for_each(|line| told(f, line))
        }
    }
}

fn told(f: &mut fmt::Formatter<'_>, line: &Line) -> fmt::Result {
    match line.at_us {
        Some(at_us) => writeln!(f, "      {:>12.6} s  {}", at_us as f64 / 1e6, line.text),
        None => writeln!(f, "      {:>14}  {}", "at the end", line.text),
    }
}

fn counted(f: &mut fmt::Formatter<'_>, counts: &Counts) -> fmt::Result {
    writeln!(
        f,
        "messages: {} acknowledged, {} unknown, {} refused, {} sent again",
        grouped(counts.acks),
        grouped(counts.unknowns),
        grouped(counts.refusals),
        grouped(counts.retries)
    )?;
    writeln!(
        f,
        "received: {} delivered, {} repeated, {} filled from history; {} of {} gaps filled; \
         {} pages read",
        grouped(counts.deliveries),
        grouped(counts.repeats),
        grouped(counts.filled),
        grouped(counts.gaps_filled),
        grouped(counts.gaps),
        grouped(counts.reads)
    )?;
    let faults: Vec<String> =
        counts.faults.iter().map(|(kind, times)| format!("{kind} {times}")).collect();
    let list = if faults.is_empty() { "none".to_owned() } else { faults.join(", ") };
    writeln!(f, "faults: {list}")?;
    counts.skipped.iter().try_for_each(|(kind, why)| writeln!(f, "skipped: {kind} ({why})"))
}

fn waited(f: &mut fmt::Formatter<'_>, gaps: &Gaps) -> fmt::Result {
    match gaps.longest {
        Some(wait) => writeln!(
            f,
            "longest gap between acknowledgements: {} ms, from {:.3} s on",
            ms(wait.us()),
            wait.from_us as f64 / 1e6
        )?,
        None => writeln!(f, "longest gap between acknowledgements: there were not two")?,
    }
    gaps.after.iter().try_for_each(|(kind, spread)| writeln!(f, "gaps after {kind} {}", of(spread)))
}

/// What single clients of the library waited.
fn moved(f: &mut fmt::Formatter<'_>, who: &str, gaps: &Gaps) -> fmt::Result {
    let Some(wait) = gaps.longest else { return Ok(()) };
    writeln!(
        f,
        "longest wait of one of our {who}: {} ms, from {:.3} s on",
        ms(wait.us()),
        wait.from_us as f64 / 1e6
    )?;
    let mut after = gaps.after.iter();
    after.try_for_each(|(kind, spread)| writeln!(f, "our {who} after {kind} {}", of(spread)))
}

fn of(spread: &Spread) -> String {
    let (p50, p99, longest) = (ms(spread.p50_us), ms(spread.p99_us), ms(spread.max_us));
    format!("({}): p50 {p50} ms, p99 {p99} ms, longest {longest} ms", spread.faults)
}

/// The verdict in one line.
fn last_line(findings: &Findings) -> String {
    let (broken, open) = (findings.broken(), findings.not_checked());
    let open_too =
        if open.is_empty() { String::new() } else { format!("; not checked: {}", list(&open)) };
    if !broken.is_empty() {
        format!("verdict: BROKEN: {}{open_too}", list(&broken))
    } else if open.len() == findings.0.len() {
        "verdict: nothing was checked".to_owned()
    } else if open.is_empty() {
        "verdict: all promises held".to_owned()
    } else {
        format!("verdict: all that was checked held{open_too}")
    }
}

fn list(promises: &[Promise]) -> String {
    promises.iter().map(Promise::to_string).collect::<Vec<_>>().join(", ")
}

fn so_often(times: u64) -> String {
    if times == 1 { "once".to_owned() } else { format!("{} times, first:", grouped(times)) }
}

fn ms(us: u64) -> String {
    format!("{:.1}", us as f64 / 1000.0)
}

/// A number with a comma in front of every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
