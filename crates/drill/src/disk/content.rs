//! What one file holds: its bytes as processes see them, its bytes as they are on the disk, and
//! everything in between that no sync has followed yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::StdRng;

/// What reaches the disk at a time, bytes.
pub const PAGE_BYTES: u64 = 4096;
const PAGE: usize = PAGE_BYTES as usize;
/// What reaches the disk whole, bytes: a page may be torn between two of these.
const SECTOR: usize = 512;
/// So many states of one page are remembered between two syncs, one of which may survive.
const MAX_STATES: usize = 4;

/// A page's bytes; none where nothing was written, which reads as zeros.
type Page = Option<Arc<[u8; PAGE]>>;

/// A file's length and pages. What a page holds behind the length is zeros.
#[derive(Clone, Debug, Default)]
struct Image {
    length: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE]>>,
}

/// A state that a page had since the last sync.
#[derive(Clone, Debug)]
struct State {
    /// Which change made it; changes of a file are numbered.
    change: u64,
    page: Page,
    /// Whether the file was cut off before it. That is a change of the length, and is lost or
    /// survives with it.
    cut: bool,
}

/// The content of one file.
#[derive(Debug, Default)]
pub struct Content {
    now: Image,
    durable: Image,
    changes: u64,
    unsynced: BTreeMap<u64, Vec<State>>,
    /// Lengths since the last sync, with the change that made each.
    lengths: Vec<(u64, u64)>,
    /// The last change that a sync that is over covers.
    synced: u64,
}

/// What a sync that has begun will have made durable when it is over.
#[derive(Debug)]
pub struct Begun {
    upto: u64,
    length: u64,
    pages: Vec<(u64, Page)>,
}

/// How much of what was not synced survives a crash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Luck {
    /// How likely each page does, from 0 to 1.
    pub survives: f64,
}

/// What a crash did, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Not as they were before it.
    pub forgotten: u64,
    /// Not synced, and there all the same.
    pub survived: u64,
}

impl Content {
    /// How many bytes processes see.
    pub fn length(&self) -> u64 {
        self.now.length
    }

    /// How many pages they take up.
    pub fn pages(&self) -> u64 {
        self.now.pages.len() as u64
    }

    /// Whether something has changed that no sync followed.
    #[cfg(test)]
    pub fn is_unsynced(&self) -> bool {
        !self.unsynced.is_empty() || !self.lengths.is_empty()
    }

    /// The bytes from an offset on, as many as there are up to a number.
    pub fn read(&self, offset: u64, bytes: usize) -> Vec<u8> {
        let end = self.now.length.min(offset.saturating_add(bytes as u64));
        let mut out = Vec::with_capacity(bytes.min(1 << 20));
        let mut at = offset;
        while at < end {
            let (page, from) = place(at);
            let upto = (from + (end - at).min(PAGE_BYTES) as usize).min(PAGE);
            match self.now.pages.get(&page) {
                Some(page) => out.extend_from_slice(&page[from..upto]),
                None => out.resize(out.len() + upto - from, 0),
            }
            at += (upto - from) as u64;
        }
        out
    }

    /// How many pages a write would add.
    pub fn pages_added(&self, offset: u64, bytes: usize) -> u64 {
        let Some(last) = offset.checked_add(bytes as u64).and_then(|end| end.checked_sub(1)) else {
            return 0;
        };
        let pages = place(offset).0..=place(last).0;
        pages.filter(|page| bytes > 0 && !self.now.pages.contains_key(page)).count() as u64
    }

    /// Writes bytes at an offset; what lies between the end and it becomes zeros.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.changes += 1;
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let (number, from) = place(at);
            let (piece, behind) = rest.split_at(rest.len().min(PAGE - from));
            let mut page = self.now.pages.get(&number).map_or([0; PAGE], |page| **page);
            page[from..from + piece.len()].copy_from_slice(piece);
            self.put(number, Some(Arc::new(page)), false);
            at += piece.len() as u64;
            rest = behind;
        }
        if at > self.now.length {
            self.set_length(at);
        }
    }

    /// Cuts the bytes off behind a length, or adds zeros.
    pub fn cut(&mut self, length: u64) {
        if length == self.now.length {
            return;
        }
        self.changes += 1;
        if length < self.now.length {
            let (number, kept) = place(length);
            if kept > 0
                && let Some(page) = self.now.pages.get(&number)
            {
                let mut page = **page;
                page[kept..].fill(0);
                self.put(number, Some(Arc::new(page)), true);
            }
            let first_gone = length.div_ceil(PAGE_BYTES);
            let gone: Vec<u64> = self.now.pages.range(first_gone..).map(|(n, _)| *n).collect();
            for number in gone {
                self.put(number, None, true);
            }
        }
        self.set_length(length);
    }

    /// Begins a sync of all that was changed until now.
    pub fn begin_sync(&self) -> Begun {
        let newest = |states: &Vec<State>| states.last().and_then(|state| state.page.clone());
        Begun {
            upto: self.changes,
            length: self.now.length,
            pages: self.unsynced.iter().map(|(n, states)| (*n, newest(states))).collect(),
        }
    }

    /// Ends a sync well: what it began with is durable.
    pub fn end_sync(&mut self, begun: Begun) {
        if begun.upto < self.synced {
            return;
        }
        self.synced = begun.upto;
        for (number, page) in begun.pages {
            self.durable.set(number, page);
        }
        self.durable.length = begun.length;
        self.unsynced.retain(|_, states| {
            states.retain(|state| state.change > begun.upto);
            !states.is_empty()
        });
        self.lengths.retain(|(change, _)| *change > begun.upto);
    }

    /// Ends a sync with an error. The kernel takes the pages for clean from now on: whoever reads
    /// them from the disk gets what is there, and no later sync writes them again. The length,
    /// which the kernel keeps elsewhere, stays.
    pub fn fail_sync(&mut self, luck: Luck, rng: &mut StdRng) -> Lost {
        let length = self.now.length;
        let lost = self.crash(luck, rng);
        self.cut_or_extend_unsynced(length);
        lost
    }

    /// Everything that was not synced is gone, but for what luck leaves of it.
    pub fn crash(&mut self, luck: Luck, rng: &mut StdRng) -> Lost {
        let unsynced = std::mem::take(&mut self.unsynced);
        let lengths = std::mem::take(&mut self.lengths);
        // Changes of the length are made in their order, and up to any of them.
        let kept = lengths.iter().take_while(|_| rng.random_bool(luck.survives)).count();
        let upto = lengths[..kept].last().map_or(0, |(change, _)| *change);
        let newest = unsynced.values().flatten().map(|state| state.change).max();
        let mut lost = Lost::default();
        let mut after = self.durable.clone();
        after.length = lengths[..kept].last().map_or(after.length, |(_, length)| *length);
        for (number, states) in unsynced {
            let torn = states.last().map(|state| state.change) == newest;
            let page = survivor(self.durable.get(number), &states, upto, (luck, torn), rng);
            if page.as_deref() == states.last().and_then(|state| state.page.as_deref()) {
                lost.survived += 1;
            } else {
                lost.forgotten += 1;
            }
            after.set(number, page);
        }
        after.trim();
        self.durable = after.clone();
        self.now = after;
        self.synced = self.changes;
        lost
    }

    fn cut_or_extend_unsynced(&mut self, length: u64) {
        if length != self.now.length {
            self.cut(length);
        }
    }

    fn put(&mut self, number: u64, page: Page, cut: bool) {
        self.now.set(number, page.clone());
        let states = self.unsynced.entry(number).or_default();
        // Cuts stay: what they cut off must not come back between them.
        let behind_cuts = states.iter().rposition(|state| state.cut).map_or(0, |at| at + 1);
        if states.len() - behind_cuts >= MAX_STATES {
            states.remove(behind_cuts + 1);
        }
        states.push(State { change: self.changes, page, cut });
    }

    fn set_length(&mut self, length: u64) {
        self.now.length = length;
        self.lengths.push((self.changes, length));
        if self.lengths.len() > MAX_STATES {
            // Growth in between changes nothing that a longer one does not.
            let middle = self
                .lengths
                .windows(3)
                .position(|three| three[0].1 <= three[1].1 && three[1].1 <= three[2].1);
            if let Some(middle) = middle {
                self.lengths.remove(middle + 1);
            }
        }
    }
}

impl Image {
    fn get(&self, number: u64) -> Page {
        self.pages.get(&number).cloned()
    }

    fn set(&mut self, number: u64, page: Page) {
        match page {
            Some(page) => self.pages.insert(number, page),
            None => self.pages.remove(&number),
        };
    }

    /// Nothing but zeros behind the end.
    fn trim(&mut self) {
        self.pages.split_off(&self.length.div_ceil(PAGE_BYTES));
        let (number, kept) = place(self.length);
        if kept > 0
            && let Some(page) = self.pages.get_mut(&number)
        {
            Arc::make_mut(page)[kept..].fill(0);
        }
    }
}

/// The number of a byte's page, and the byte's place in it.
fn place(offset: u64) -> (u64, usize) {
    (offset / PAGE_BYTES, (offset % PAGE_BYTES) as usize)
}

/// What becomes of a page: one of its states, whichever was written back last, or two of them with
/// a tear in between. `upto` is the last change of the length that survives.
fn survivor(
    durable: Page,
    states: &[State],
    upto: u64,
    (luck, torn): (Luck, bool),
    rng: &mut StdRng,
) -> Page {
    let made = |state: &State| !state.cut || state.change <= upto;
    let states = &states[..states.iter().take_while(|state| made(state)).count()];
    let base = states.iter().rposition(|state| state.cut);
    let (old, states) = match base {
        Some(at) => (states[at].page.clone(), &states[at + 1..]),
        None => (durable, states),
    };
    if states.is_empty() || !rng.random_bool(luck.survives) {
        return old;
    }
    let chosen = rng.random_range(0..states.len());
    let new = states[chosen].page.clone();
    if !torn || rng.random_bool(luck.survives) {
        return new;
    }
    let before = if chosen == 0 { old } else { states[chosen - 1].page.clone() };
    let mut page = before.map_or([0; PAGE], |page| *page);
    let whole = rng.random_range(0..=PAGE / SECTOR) * SECTOR;
    page[..whole].copy_from_slice(&new.map_or([0; PAGE], |page| *page)[..whole]);
    Some(Arc::new(page))
}

#[cfg(test)]
mod tests;
