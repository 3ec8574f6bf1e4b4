//! What one folder holds: its names as processes see them, and as they are on the disk.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use rand::RngExt;
use rand::rngs::StdRng;

use super::content::Luck;

/// A change of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// A name stands for this file or folder from now on.
    Name(OsString, u64),
    /// A name is gone.
    Forget(OsString),
    /// A file got another name in the same folder, at one blow.
    Rename(OsString, OsString, u64),
}

/// The names in one folder.
#[derive(Debug, Default)]
pub struct Names {
    now: BTreeMap<OsString, u64>,
    durable: BTreeMap<OsString, u64>,
    unsynced: Vec<Step>,
}

impl Names {
    /// What a name stands for.
    pub fn get(&self, name: &OsStr) -> Option<u64> {
        self.now.get(name).copied()
    }

    /// All names, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, u64)> {
        self.now.iter().map(|(name, number)| (name.as_os_str(), *number))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// Everything that the disk or a process has a name for.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let unsynced = self.unsynced.iter().filter_map(|step| match step {
            Step::Name(_, number) | Step::Rename(_, _, number) => Some(*number),
            Step::Forget(_) => None,
        });
        self.now.values().chain(self.durable.values()).copied().chain(unsynced)
    }

    /// Gives something a name, which loses what it stood for.
    pub fn set(&mut self, name: &OsStr, number: u64) {
        self.step(Step::Name(name.to_owned(), number));
    }

    /// Takes a name away.
    pub fn remove(&mut self, name: &OsStr) {
        self.step(Step::Forget(name.to_owned()));
    }

    /// Gives what has one name another one.
    pub fn rename(&mut self, from: &OsStr, to: &OsStr, number: u64) {
        self.step(Step::Rename(from.to_owned(), to.to_owned(), number));
    }

    /// Makes everything durable.
    pub fn sync(&mut self) {
        self.unsynced.clear();
        self.durable.clone_from(&self.now);
    }

    /// Everything that was not synced is gone, but for what luck leaves: as a journal has it, all
    /// up to some step, or as nothing but the standard has it, any of the steps.
    pub fn crash(&mut self, luck: Luck, rng: &mut StdRng) {
        let in_order = rng.random_bool(0.5);
        let mut after = self.durable.clone();
        for step in std::mem::take(&mut self.unsynced) {
            if rng.random_bool(luck.survives) {
                apply(&mut after, &step);
            } else if in_order {
                break;
            }
        }
        self.now.clone_from(&after);
        self.durable = after;
    }

    fn step(&mut self, step: Step) {
        apply(&mut self.now, &step);
        self.unsynced.push(step);
    }
}

fn apply(names: &mut BTreeMap<OsString, u64>, step: &Step) {
    match step {
        Step::Name(name, number) => {
            names.insert(name.clone(), *number);
        }
        Step::Forget(name) => {
            names.remove(name);
        }
        Step::Rename(from, to, number) => {
            if names.get(from) == Some(number) {
                names.remove(from);
            }
            names.insert(to.clone(), *number);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn shown(names: &Names) -> Vec<(String, u64)> {
        names.iter().map(|(name, number)| (name.display().to_string(), number)).collect()
    }

    fn crashed(survives: f64, seed: u64) -> Vec<(String, u64)> {
        let mut names = Names::default();
        names.set("identity".as_ref(), 2);
        names.sync();
        names.set("next".as_ref(), 3);
        names.rename("next".as_ref(), "identity".as_ref(), 3);
        assert_eq!(shown(&names), [("identity".to_owned(), 3)]);
        names.crash(Luck { survives }, &mut StdRng::seed_from_u64(seed));
        shown(&names)
    }

    #[test]
    fn a_name_is_durable_when_its_folder_is_synced() {
        assert_eq!(crashed(0.0, 1), [("identity".to_owned(), 2)]);
        assert_eq!(crashed(1.0, 1), [("identity".to_owned(), 3)]);
    }

    #[test]
    fn a_renamed_file_has_the_old_name_or_the_new_one_or_replaced_nothing() {
        let mut seen: Vec<_> = (0..100).map(|seed| crashed(0.5, seed)).collect();
        seen.sort();
        seen.dedup();
        let old = |name: &str, number| (name.to_owned(), number);
        let expected = [
            vec![old("identity", 2)],
            vec![old("identity", 2), old("next", 3)],
            vec![old("identity", 3)],
        ];
        assert_eq!(seen, expected);
    }
}
