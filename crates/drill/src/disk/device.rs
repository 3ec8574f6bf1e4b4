//! A disk of one server: what its syncs do, and what is left when the power goes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::content::{Lost, Luck};
use super::tree::{Refusal, Syncing, Tree};

/// How often nothing at all survives a crash: one in so many.
const NOTHING_SURVIVES_ONE_IN: u32 = 4;

/// Whether the disk answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It does.
    On,
    /// It fails whatever is asked, until its server is dead and it is switched on again.
    Off,
    /// It stood still in the middle of a sync: nothing is answered any more.
    Still,
}

/// How long a sync takes on a disk of a drill, µs: as on a fast real one, so that a kill meets
/// what is not synced yet.
pub const SYNC_US: Range<u64> = 200..3000;

/// A sync that is not over.
pub type Ticket = u64;

/// What becomes of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is over.
    Done,
    /// It failed.
    Failed,
    /// It is over when this time has passed.
    Later(Duration, Ticket),
    /// It is over when the disk goes on.
    Waits(Ticket),
    /// It is never over.
    Never,
}

/// What happens in one of the next syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It fails, and what it was about is lost.
    Fails,
    /// The disk stands still before anything of it is durable.
    StillBefore,
    /// The disk stands still when all of it is durable, and nobody was told.
    StillBehind,
}

/// How the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// How many syncs were asked for since it was switched on.
    pub syncs: u64,
    /// Whether it answers.
    pub power: Power,
    /// How many syncs wait.
    pub waiting: u64,
    /// How many syncs failed.
    pub failed: u64,
    /// How much of it is taken, bytes.
    pub used_bytes: u64,
}

/// One disk.
pub struct Device {
    /// What is on it.
    pub tree: Tree,
    rng: StdRng,
    power: Power,
    /// Syncs are answered and not done.
    ignores: bool,
    hangs: bool,
    takes_us: Range<u64>,
    slower: Duration,
    mishap: Option<(u64, Mishap)>,
    syncs: u64,
    failed: u64,
    waiting: BTreeMap<Ticket, Syncing>,
    next: Ticket,
}

impl Device {
    /// An empty disk with so much room, on which a sync takes so long, µs.
    pub fn new(room_bytes: u64, seed: u64, takes_us: Range<u64>) -> Device {
        Device {
            tree: Tree::new(room_bytes),
            rng: StdRng::seed_from_u64(seed),
            power: Power::On,
            ignores: false,
            hangs: false,
            takes_us,
            slower: Duration::ZERO,
            mishap: None,
            syncs: 0,
            failed: 0,
            waiting: BTreeMap::new(),
            next: 0,
        }
    }

    /// Whether it answers.
    pub fn power(&self) -> Power {
        self.power
    }

    /// How it is.
    pub fn look(&self) -> Look {
        Look {
            syncs: self.syncs,
            power: self.power,
            waiting: self.waiting.len() as u64,
            failed: self.failed,
            used_bytes: self.tree.used_bytes(),
        }
    }

    /// Has it answer syncs and do nothing, or do them again.
    pub fn ignore_syncs(&mut self, ignores: bool) {
        self.ignores = ignores;
    }

    /// Makes every sync take so much longer.
    pub fn slow_down(&mut self, by: Duration) {
        self.slower = by;
    }

    /// What happens in the n-th sync from now, counted from 1; none any more with nothing.
    pub fn plan(&mut self, mishap: Option<(u64, Mishap)>) {
        self.mishap = mishap.map(|(number, mishap)| (self.syncs + number, mishap));
    }

    /// From now on syncs wait.
    pub fn hang(&mut self) {
        self.hangs = true;
    }

    /// Syncs wait no more. Ends those that did, and tells which.
    pub fn go_on(&mut self) -> Vec<Ticket> {
        self.hangs = false;
        let waiting = std::mem::take(&mut self.waiting);
        let tickets = waiting.keys().copied().collect();
        waiting.into_values().for_each(|syncing| self.tree.end_sync(syncing));
        tickets
    }

    /// A sync of a file or folder is asked for.
    ///
    /// # Errors
    /// When there is no such file or folder.
    pub fn sync(&mut self, number: u64) -> Result<Answer, Refusal> {
        let syncing = self.tree.begin_sync(number)?;
        self.syncs += 1;
        if let Some((at, mishap)) = self.mishap
            && at <= self.syncs
        {
            self.mishap = None;
            return Ok(self.befalls(mishap, syncing));
        }
        if self.ignores {
            return Ok(Answer::Done);
        }
        let mut takes = self.slower;
        if !self.takes_us.is_empty() {
            takes += Duration::from_micros(self.rng.random_range(self.takes_us.clone()));
        }
        if !self.hangs && takes.is_zero() {
            self.tree.end_sync(syncing);
            return Ok(Answer::Done);
        }
        let ticket = self.next;
        self.next += 1;
        self.waiting.insert(ticket, syncing);
        Ok(if self.hangs { Answer::Waits(ticket) } else { Answer::Later(takes, ticket) })
    }

    /// Whether a sync is not over.
    pub fn waits(&self, ticket: Ticket) -> bool {
        self.waiting.contains_key(&ticket)
    }

    /// The time of a sync that is over later has passed.
    ///
    /// # Errors
    /// When there was a crash meanwhile.
    pub fn finish(&mut self, ticket: Ticket) -> Result<(), Refusal> {
        let syncing = self.waiting.remove(&ticket).ok_or(Refusal::Broken)?;
        self.tree.end_sync(syncing);
        Ok(())
    }

    /// The power goes: everything that was not synced is lost, or nearly everything.
    pub fn switch_off(&mut self) -> Lost {
        self.power = Power::Off;
        self.mishap = None;
        self.waiting.clear();
        let luck = if self.ignores { Luck { survives: 0.0 } } else { self.luck() };
        self.tree.crash(luck, &mut self.rng)
    }

    /// It answers again.
    pub fn switch_on(&mut self) {
        self.power = Power::On;
        self.syncs = 0;
        self.failed = 0;
    }

    fn befalls(&mut self, mishap: Mishap, syncing: Syncing) -> Answer {
        match mishap {
            Mishap::Fails => {
                let luck = self.luck();
                self.tree.fail_sync(&syncing, luck, &mut self.rng);
                self.failed += 1;
                return Answer::Failed;
            }
            Mishap::StillBefore => {}
            Mishap::StillBehind => self.tree.end_sync(syncing),
        }
        self.power = Power::Still;
        Answer::Never
    }

    fn luck(&mut self) -> Luck {
        let nothing = self.rng.random_ratio(1, NOTHING_SURVIVES_ONE_IN);
        Luck { survives: if nothing { 0.0 } else { self.rng.random_range(0.0..=1.0) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tree::ROOT;

    fn device() -> (Device, u64) {
        let mut device = Device::new(1 << 20, 7, 0..0);
        let number = device.tree.make(ROOT, "log".as_ref(), false, 0o600).unwrap().number;
        device.tree.sync_all();
        device.tree.write(number, 0, b"entry").unwrap();
        (device, number)
    }

    /// What is on it after a crash of which nothing survives by luck.
    fn after_crash(mut device: Device, number: u64) -> Vec<u8> {
        device.ignores = true;
        device.switch_off();
        device.tree.read(number, 0, 10).unwrap()
    }

    #[test]
    fn a_sync_that_is_over_is_durable_and_one_that_was_ignored_is_not() {
        for (ignores, left) in [(false, &b"entry"[..]), (true, b"")] {
            let (mut device, number) = device();
            device.ignore_syncs(ignores);
            assert_eq!(device.sync(number), Ok(Answer::Done));
            assert_eq!(after_crash(device, number), left);
        }
    }

    #[test]
    fn what_waits_is_durable_when_it_goes_on_and_lost_when_it_does_not() {
        let (mut device, number) = device();
        device.hang();
        assert_eq!(device.sync(number), Ok(Answer::Waits(0)));
        assert_eq!(device.look().waiting, 1);
        assert_eq!(device.go_on(), [0]);
        assert_eq!(after_crash(device, number), b"entry");
        let (mut device, number) = self::device();
        device.hang();
        device.sync(number).unwrap();
        assert_eq!(after_crash(device, number), b"");
    }

    #[test]
    fn a_slow_sync_is_over_later_and_never_after_a_crash() {
        let (mut device, number) = device();
        device.slow_down(Duration::from_millis(100));
        let Ok(Answer::Later(time, ticket)) = device.sync(number) else { panic!("not slow") };
        assert_eq!(time, Duration::from_millis(100));
        assert_eq!(device.finish(ticket), Ok(()));
        let Ok(Answer::Later(_, ticket)) = device.sync(number) else { panic!("not slow") };
        device.switch_off();
        assert_eq!(device.finish(ticket), Err(Refusal::Broken));
        assert_eq!(after_crash(device, number), b"entry");
    }

    #[test]
    fn the_nth_sync_is_struck_and_no_other() {
        for (mishap, answer, power, left) in [
            (Mishap::Fails, Answer::Failed, Power::On, None),
            (Mishap::StillBefore, Answer::Never, Power::Still, Some(&b""[..])),
            (Mishap::StillBehind, Answer::Never, Power::Still, Some(b"entry")),
        ] {
            let (mut device, number) = device();
            assert_eq!(device.sync(ROOT), Ok(Answer::Done));
            device.plan(Some((2, mishap)));
            assert_eq!(device.sync(ROOT), Ok(Answer::Done));
            assert_eq!(device.sync(number), Ok(answer));
            assert_eq!(device.power(), power);
            if let Some(left) = left {
                assert_eq!(after_crash(device, number), left);
            } else {
                assert_eq!(device.sync(number), Ok(Answer::Done), "a second try succeeds");
            }
        }
    }
}
