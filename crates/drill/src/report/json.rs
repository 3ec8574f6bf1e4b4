//! The report for programs.

use serde_json::{Map, Value, json};

use super::{Gaps, Report};
use crate::check::Verdict;

impl Report {
    /// The whole report as one JSON object; times in µs.
    pub fn to_json(&self) -> Value {
        let promises: Map<String, Value> = self
            .findings
            .0
            .iter()
            .map(|(promise, verdict)| (promise.to_string(), verdict_json(verdict)))
            .collect();
        let counts = &self.counts;
        let faults: Map<String, Value> =
            counts.faults.iter().map(|(kind, times)| (kind.to_string(), json!(times))).collect();
        let skipped: Map<String, Value> =
            counts.skipped.iter().map(|(kind, why)| (kind.to_string(), json!(**why))).collect();
        json!({
            "promises": promises,
            "unbroken": self.is_unbroken(),
            "acks": counts.acks,
            "unknowns": counts.unknowns,
            "refusals": counts.refusals,
            "retries": counts.retries,
            "reads": counts.reads,
            "deliveries": counts.deliveries,
            "repeats": counts.repeats,
            "filled": counts.filled,
            "gaps": counts.gaps,
            "gaps_filled": counts.gaps_filled,
            "faults": faults,
            "skipped": skipped,
            "longest_gap_us": self.gaps.longest.map(|wait| wait.us()),
            "gaps_after": after(&self.gaps),
            "movers": {
                "writers": moved(&self.movers.writers),
                "subscribers": moved(&self.movers.subscribers),
            },
        })
    }
}

fn moved(gaps: &Gaps) -> Value {
    json!({"longest_us": gaps.longest.map(|wait| wait.us()), "after": after(gaps)})
}

fn after(gaps: &Gaps) -> Map<String, Value> {
    let spreads = gaps.after.iter().map(|(kind, spread)| {
        let spread = json!({
            "faults": spread.faults,
            "p50_us": spread.p50_us,
            "p99_us": spread.p99_us,
            "max_us": spread.max_us,
        });
        (kind.to_string(), spread)
    });
    spreads.collect()
}

fn verdict_json(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Held { checked, what } => {
            json!({"verdict": "held", "checked": checked, "what": what})
        }
        Verdict::NotChecked(why) => json!({"verdict": "not checked", "why": why}),
        Verdict::Broken { times, excerpt } => {
            let lines: Vec<Value> = excerpt
                .lines
                .iter()
                .map(|line| json!({"at_us": line.at_us, "text": line.text}))
                .collect();
            json!({"verdict": "broken", "times": times, "what": excerpt.what, "lines": lines})
        }
    }
}
