//! Who was certainly active when: what the primary of the newest term shows, look for look.

use std::collections::BTreeMap;

use recado_drill::history::{Active, History, Name};
use recado_replication::View;

/// Looks come every ms; between two that are further apart anything may have happened.
const BREAK_US: u64 = 3_000;

/// The last look.
#[derive(Default)]
pub struct Activity {
    term: u64,
    /// The places of the servers' latest intervals in the history.
    latest: BTreeMap<String, usize>,
}

impl Activity {
    /// A primary's view at this time.
    pub fn look(&mut self, view: &View, at_us: u64, history: &mut History) {
        if view.term < self.term {
            return;
        }
        self.term = view.term;
        for member in view.members.iter().filter(|m| m.member.active) {
            let name = &member.member.announced.name;
            if let Some(active) = self.latest.get(name).and_then(|at| history.active.get_mut(*at))
                && at_us - active.to_us <= BREAK_US
            {
                active.to_us = at_us;
                continue;
            }
            self.latest.insert(name.clone(), history.active.len());
            let server = Name::from(name.as_str());
            history.active.push(Active { server, from_us: at_us, to_us: at_us });
        }
    }
}
