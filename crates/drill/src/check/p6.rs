//! P6: at most one primary in a term, and no rank or node id given twice.
//!
//! The term is the fence between primaries; who has a rank or a node id that was somebody else's
//! could get through it. The same start of a server may be told its rank again.

use std::collections::HashMap;

use super::evidence::Evidence;
use super::verdict::{Breaks, Found, Line, Verdict, held};
use crate::history::{Folder, Led, Ranked};

pub(super) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut breaks = Breaks::new();
    let terms = leaders(evidence, &mut breaks);
    ranks(evidence, &mut breaks);
    folders(evidence, &mut breaks);
    let nothing = match evidence.history.from_outside {
        true => "it takes the servers' logs, which are out of reach",
        false => "nobody was seen to lead",
    };
    breaks.verdict(evidence, || held(terms, "terms", nothing))
}

/// Gives the number of terms.
fn leaders<'a>(evidence: &Evidence<'a>, breaks: &mut Breaks<'a>) -> u64 {
    let mut terms: HashMap<u64, &Led> = HashMap::new();
    for led in &evidence.history.led {
        let first = *terms.entry(led.term).or_insert(led);
        // A name without its node id is enough when only that is known.
        let same_node = first.node == led.node || first.node == 0 || led.node == 0;
        if first.server == led.server && same_node {
            continue;
        }
        breaks.add(first.at_us.max(led.at_us), || {
            let what = format!("in term {} both {} and {} led", led.term, first.server, led.server);
            let line = |led: &Led| Line {
                at_us: Some(led.at_us),
                text: format!("{} (node {:x}) leads in term {}", led.server, led.node, led.term),
            };
            Found { what, messages: Vec::new(), also: vec![line(first), line(led)] }
        });
    }
    terms.len() as u64
}

fn ranks<'a>(evidence: &Evidence<'a>, breaks: &mut Breaks<'a>) {
    let mut given: HashMap<u64, &Ranked> = HashMap::new();
    // Rank 0 means none.
    for ranked in evidence.history.ranks.iter().filter(|ranked| ranked.rank != 0) {
        let first = *given.entry(ranked.rank).or_insert(ranked);
        if (&first.name, first.boot) == (&ranked.name, ranked.boot) {
            continue;
        }
        breaks.add(first.at_us.max(ranked.at_us), || {
            let what = format!("rank {} was given twice", ranked.rank);
            let line = |ranked: &Ranked| Line {
                at_us: Some(ranked.at_us),
                text: format!("{} (boot {:x}) has rank {}", ranked.name, ranked.boot, ranked.rank),
            };
            Found { what, messages: Vec::new(), also: vec![line(first), line(ranked)] }
        });
    }
}

fn folders<'a>(evidence: &Evidence<'a>, breaks: &mut Breaks<'a>) {
    let mut given: HashMap<u64, &Folder> = HashMap::new();
    for folder in &evidence.history.folders {
        let Some(first) = given.insert(folder.node, folder) else { continue };
        breaks.add(first.at_us.max(folder.at_us), || {
            let what = format!("node id {:x} was given to two data folders", folder.node);
            let line = |folder: &Folder| Line {
                at_us: Some(folder.at_us),
                text: format!(
                    "an empty folder of {} becomes node {:x}",
                    folder.server, folder.node
                ),
            };
            Found { what, messages: Vec::new(), also: vec![line(first), line(folder)] }
        });
    }
}
