//! What is said at the end: the report on the promises, and what else went wrong.

use serde_json::{Value, json};

use crate::arena::Failure;
use crate::availability::{RESUME_LIMIT_MS, Resumed};
use crate::check::Promise;
use crate::disk::Lost;
use crate::report::Report;
use crate::run::{DrillEnd, Finished};
use crate::screen::Screen;

/// The most failures that are written out.
const MAX_SHOWN_FAILURES: usize = 20;

/// Everything that a drill found.
pub struct Summary {
    /// What became of the promises.
    pub report: Report,
    /// From each healing to the next acknowledgement; the longest first.
    pub resumed: Vec<Resumed>,
    /// Acknowledgements that the relays lost.
    pub lost_replies: u32,
    /// Messages that subscribers fetched from the history.
    pub filled: u64,
    /// What disks forgot at kills; none where the disks are real ones.
    pub forgotten: Option<Lost>,
    /// Faults for which there was no time.
    pub not_reached: usize,
    /// Promises that can't be checked where it ran.
    pub out_of_reach: &'static [Promise],
    /// What went wrong beside the promises.
    pub failures: Vec<Failure>,
    /// Whether the drill was told to stop before its end.
    pub stopped: bool,
}

impl Summary {
    /// How the drill ended. One that was stopped can't have checked everything; what it saw was
    /// right or wrong all the same.
    pub fn end(&self) -> DrillEnd {
        let findings = &self.report.findings;
        let good = findings.broken().is_empty() && self.wrong() == 0;
        match (good, self.stopped) {
            (true, true) => DrillEnd::Stopped,
            (true, false) if self.neglected().is_empty() => DrillEnd::Held,
            _ => DrillEnd::Failed,
        }
    }

    /// Promises that could have been checked, and were not.
    fn neglected(&self) -> Vec<Promise> {
        let mut open = self.report.findings.not_checked();
        open.retain(|promise| !self.out_of_reach.contains(promise));
        open
    }

    /// Shows all of it, and gives what a program wants to know.
    pub fn show(&self, screen: &dyn Screen) -> Finished {
        screen.line("");
        for line in self.lines() {
            screen.line(&line);
        }
        Finished { end: self.end(), json: self.to_json() }
    }

    /// The report as JSON, with what else is known.
    fn to_json(&self) -> Value {
        let mut json = self.report.to_json();
        let end = match self.end() {
            DrillEnd::Held => "held",
            DrillEnd::Failed => "failed",
            DrillEnd::Stopped => "stopped",
        };
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|failure| json!({"at_us": failure.at_us, "text": failure.text}))
            .collect();
        json["end"] = end.into();
        json["failures"] = failures.into();
        json["disks"] = self.forgotten.map_or(
            Value::Null,
            |lost| json!({"forgotten_pages": lost.forgotten, "survived_pages": lost.survived}),
        );
        json
    }

    /// How many things went wrong beside the promises.
    fn wrong(&self) -> usize {
        self.failures.len() + usize::from(!self.resumed_in_time())
    }

    fn resumed_in_time(&self) -> bool {
        self.resumed.first().is_none_or(|longest| longest.ms <= RESUME_LIMIT_MS)
    }

    /// The summary for people; the last line is the verdict.
    pub fn lines(&self) -> Vec<String> {
        let text = self.report.to_string();
        let mut lines: Vec<String> = text.trim_end().lines().map(str::to_owned).collect();
        let verdict = lines.pop().unwrap_or_default();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines.push(format!(
            "acknowledgements lost on purpose: {}; messages that subscribers missed and fetched: {}",
            self.lost_replies, self.filled
        ));
        if let Some(Lost { forgotten, survived }) = self.forgotten {
            lines.push(format!(
                "pages that were not synced before a kill: {forgotten} forgotten by the disks, \
                 {survived} there all the same"
            ));
        }
        if let Some(longest) = self.resumed.first() {
            let word = if self.resumed_in_time() { "within" } else { "NOT within" };
            lines.push(format!(
                "after {} healings acknowledgements went on {word} {RESUME_LIMIT_MS} ms: longest \
                 {} ms, after {}",
                self.resumed.len(),
                longest.ms,
                longest.kind
            ));
        }
        if self.not_reached > 0 {
            lines.push(format!("no time was left for {} faults", self.not_reached));
        }
        for failure in self.failures.iter().take(MAX_SHOWN_FAILURES) {
            lines.push(format!("FAILED at {:.1} s: {}", failure.at_us as f64 / 1e6, failure.text));
        }
        if self.failures.len() > MAX_SHOWN_FAILURES {
            let more = self.failures.len() - MAX_SHOWN_FAILURES;
            lines.push(format!("FAILED: {more} more; see above"));
        }
        lines.push(String::new());
        lines.push(self.verdict(verdict));
        lines
    }

    /// The report's verdict, and what it does not know.
    fn verdict(&self, mut verdict: String) -> String {
        if self.wrong() > 0 {
            verdict.push_str(&format!("; FAILED beside the promises: {}", self.wrong()));
        }
        if self.stopped {
            verdict.push_str("; stopped before its end");
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    fn summary() -> Summary {
        Summary {
            report: Report::of(&History::default()),
            resumed: Vec::new(),
            lost_replies: 0,
            filled: 0,
            forgotten: None,
            not_reached: 0,
            out_of_reach: &[],
            failures: Vec::new(),
            stopped: false,
        }
    }

    #[test]
    fn a_drill_that_checked_nothing_has_failed_unless_it_was_stopped() {
        assert_eq!(summary().end(), DrillEnd::Failed);
        assert_eq!(Summary { stopped: true, ..summary() }.end(), DrillEnd::Stopped);
    }

    #[test]
    fn what_is_out_of_reach_does_not_fail_a_drill_and_what_was_forgotten_does() {
        let visit = Summary { out_of_reach: Promise::ALL, ..summary() };
        assert_eq!(visit.end(), DrillEnd::Held);
        assert_eq!(visit.to_json()["promises"]["P6"]["verdict"], "not checked");
        let most = Summary { out_of_reach: &Promise::ALL[1..], ..summary() };
        assert_eq!(
            (most.end(), most.to_json()["end"].as_str()),
            (DrillEnd::Failed, Some("failed"))
        );
    }

    #[test]
    fn what_failed_beside_the_promises_is_in_the_last_line() {
        let failures = vec![Failure { at_us: 1_500_000, text: "server-1 ended by itself".into() }];
        let failed = Summary { failures, stopped: true, ..summary() };
        assert_eq!(failed.end(), DrillEnd::Failed);
        let lines = failed.lines();
        assert!(lines.contains(&"FAILED at 1.5 s: server-1 ended by itself".to_owned()));
        let last = lines.last().unwrap();
        assert!(
            last.ends_with("; FAILED beside the promises: 1; stopped before its end"),
            "{last}"
        );
        let resumed = vec![Resumed { ms: RESUME_LIMIT_MS + 1, kind: "partition" }];
        let late = Summary { resumed, ..summary() };
        assert!(late.lines().last().unwrap().ends_with("; FAILED beside the promises: 1"));
    }
}
