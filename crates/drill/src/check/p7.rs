//! P7: after healing all servers' states are identical.
//!
//! All replicas that took part at the end, the reference's too, applied the same log to the same
//! position and have the same hash over all their rows; and everybody who should be back is.

use super::evidence::Evidence;
use super::verdict::{Breaks, Found, Line, Verdict, held};
use crate::history::State;

pub(super) fn check(evidence: &Evidence<'_>) -> Verdict {
    let Some(end) = evidence.end() else { return Verdict::NotChecked(Evidence::NO_END) };
    let mut breaks = Breaks::new();
    for server in &end.missing {
        let what = format!("{server} was not back when all was healed");
        breaks.add(end.at_us, || Found::new(what, Vec::new()));
    }
    if let Some(first) = end.states.first() {
        for state in &end.states[1..] {
            let unlike = if state.position != first.position {
                "did not get as far as"
            } else if state.hash != first.hash {
                "differs from"
            } else {
                continue;
            };
            breaks.add(end.at_us, || {
                let what = format!(
                    "{} {unlike} {}, after all was healed",
                    if state.position > first.position { &first.server } else { &state.server },
                    if state.position > first.position { &state.server } else { &first.server },
                );
                Found { what, messages: Vec::new(), also: end.states.iter().map(line).collect() }
            });
        }
    }
    let checked = if end.states.len() < 2 { 0 } else { end.states.len() as u64 };
    let nothing = match evidence.history.from_outside {
        true => "it takes the servers' stores, which are out of reach",
        false => "fewer than two states were read",
    };
    breaks.verdict(evidence, || held(checked, "servers", nothing))
}

fn line(state: &State) -> Line {
    let hash: String = state.hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let active = if state.active { "" } else { ", not active" };
    let (server, position) = (&state.server, state.position);
    Line { at_us: None, text: format!("{server} is at {position} with hash {hash}…{active}") }
}
