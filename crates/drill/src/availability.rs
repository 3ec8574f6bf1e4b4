//! How soon the service goes on when what was broken is mended: no promise, but what people
//! notice.

use crate::arena::Injected;
use crate::history::History;

/// After everything is mended, acknowledgements must go on within this time.
pub const RESUME_LIMIT_MS: u64 = 10_000;

/// What came after a healing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resumed {
    /// Until the next acknowledgement, ms.
    pub ms: u64,
    /// Which fault had been.
    pub kind: &'static str,
}

/// From each healing to the next acknowledgement, until the writers were told to end; the longest
/// first. Where the next fault came before both, nobody knows how long it would have taken.
pub fn resumed(history: &History, faults: &[Injected], to_us: u64) -> Vec<Resumed> {
    let acks = history.writes.iter().flat_map(|write| write.acks()).map(|ack| ack.at_us);
    let mut acks: Vec<u64> = acks.collect();
    acks.sort_unstable();
    let mut resumed = Vec::new();
    for (index, fault) in faults.iter().enumerate() {
        let next = faults.get(index + 1).map_or(to_us, |next| next.began_us);
        let ack = acks.get(acks.partition_point(|at| *at < fault.healed_us)).copied();
        let waited_us = ack.unwrap_or(next).min(next).saturating_sub(fault.healed_us);
        if ack.is_some_and(|at| at < next) || waited_us > RESUME_LIMIT_MS * 1000 {
            resumed.push(Resumed { ms: waited_us / 1000, kind: fault.kind.word() });
        }
    }
    resumed.sort_unstable_by(|a, b| b.cmp(a));
    resumed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Kind;
    use crate::history::{Ack, Outcome, Topic};

    fn acked_at(times_ms: &[u64]) -> History {
        let mut history = History::default();
        for (index, at_ms) in times_ms.iter().enumerate() {
            let at_us = at_ms * 1000;
            let what = (Topic::channel("c"), "u".into(), index.to_string().as_str().into());
            let write = history.send(1, None, what, at_us);
            let ack = Ack { at_us, seq: 1, message_id: None, stored: 1, members: 1 };
            history.ended(write, Outcome::Acked(ack));
        }
        history
    }

    fn fault(kind: Kind, began_ms: u64, healed_ms: u64) -> Injected {
        Injected { kind, began_us: began_ms * 1000, healed_us: healed_ms * 1000 }
    }

    #[test]
    fn the_longest_comes_first() {
        let history = acked_at(&[0, 100, 1000, 1100, 2900, 3000]);
        let faults = [fault(Kind::KillPrimary, 150, 500), fault(Kind::Partition, 1200, 2000)];
        let expected =
            [Resumed { ms: 900, kind: "partition" }, Resumed { ms: 500, kind: "kill-primary" }];
        assert_eq!(resumed(&history, &faults, 3_000_000), expected);
    }

    #[test]
    fn a_service_that_never_resumes_shows() {
        let faults = [fault(Kind::KillAll, 150, 500)];
        let shown = resumed(&acked_at(&[0, 100]), &faults, 60_000_000);
        assert_eq!(shown, [Resumed { ms: 59_500, kind: "kill-all" }]);
    }

    #[test]
    fn what_the_next_fault_hides_is_not_judged() {
        let faults = [fault(Kind::KillAll, 150, 500), fault(Kind::KillAll, 700, 900)];
        let shown = resumed(&acked_at(&[0, 100, 1000]), &faults, 2_000_000);
        assert_eq!(shown, [Resumed { ms: 100, kind: "kill-all" }]);
    }
}
