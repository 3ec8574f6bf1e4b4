//! A disk that forgets what was not synced, takes its time, and outlives its server's process.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use recado_replication::simulated::{Journal, Record, Synced};
use recado_storage::Medium;
use tokio::sync::mpsc;

/// How long a sync and a piece of work on the store take, ms, both bounds included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    pub sync_ms: (u64, u64),
    pub work_ms: (u64, u64),
}

impl Speed {
    pub const FAST: Speed = Speed { sync_ms: (0, 3), work_ms: (0, 1) };
    pub const SLOW: Speed = Speed { sync_ms: (20, 400), work_ms: (1, 60) };
}

/// What one server has on disk, and what it only believes to have there.
pub struct Content {
    rng: SmallRng,
    speed: Speed,
    /// Goes up with every crash: handles of a dead process do nothing any more.
    generation: u64,
    records: Vec<Record>,
    synced_records: usize,
    bytes: Vec<u8>,
    unsynced: Vec<Change>,
    /// Ask for a crash in the middle of the sync after so many.
    crash_in: Option<u32>,
    crash_wanted: bool,
}

/// A change of the medium that no sync followed yet.
enum Change {
    Write { offset: usize, before: Vec<u8>, after: Vec<u8> },
    Length { before: Vec<u8>, at: usize, length: usize },
}

/// One server's disk; clones share it.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<Content>>);

impl Disk {
    pub fn new(rng: SmallRng) -> Disk {
        Disk(Arc::new(Mutex::new(Content {
            rng,
            speed: Speed::FAST,
            generation: 0,
            records: Vec::new(),
            synced_records: 0,
            bytes: Vec::new(),
            unsynced: Vec::new(),
            crash_in: None,
            crash_wanted: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }

    pub fn set_speed(&self, speed: Speed) {
        self.lock().speed = speed;
    }

    /// Asks for a crash in the middle of the n-th sync from now.
    pub fn crash_in(&self, syncs: u32) {
        self.lock().crash_in = Some(syncs);
    }

    /// No crash is asked for any more.
    pub fn crash_in_none(&self) {
        self.lock().crash_in = None;
    }

    /// Whether that sync has come.
    pub fn wants_crash(&self) -> bool {
        std::mem::take(&mut self.lock().crash_wanted)
    }

    /// The process dies. With `power` the machine does too: of what was not synced only a part
    /// survives, of the journal a beginning, of the medium any choice of writes.
    pub fn crash(&self, power: bool) {
        let mut content = self.lock();
        content.generation += 1;
        content.crash_in = None;
        content.crash_wanted = false;
        if power {
            let (synced, all) = (content.synced_records, content.records.len());
            let kept = content.rng.random_range(synced..=all);
            content.records.truncate(kept);
            content.forget_writes();
        }
        content.synced_records = content.records.len();
        content.unsynced.clear();
    }

    /// Everything is gone.
    pub fn wipe(&self) {
        let mut content = self.lock();
        content.records.clear();
        content.synced_records = 0;
        content.bytes.clear();
        content.unsynced.clear();
    }

    /// The journal and the medium for a process that starts now; within its runtime.
    pub fn open(&self) -> (Arc<dyn Journal>, Box<dyn Medium>) {
        let generation = self.lock().generation;
        let (queue, syncs) = mpsc::unbounded_channel();
        let handle = Handle { disk: self.clone(), generation };
        tokio::spawn(sync_one_after_the_other(handle.clone(), syncs));
        (Arc::new(SimulatedJournal { handle: handle.clone(), queue }), Box::new(handle))
    }

    /// How long the next piece of work on the store takes.
    pub fn work(&self) -> Duration {
        let mut content = self.lock();
        let (low, high) = content.speed.work_ms;
        Duration::from_millis(content.rng.random_range(low..=high))
    }
}

impl Content {
    fn forget_writes(&mut self) {
        let changes = std::mem::take(&mut self.unsynced);
        for change in changes.iter().rev() {
            match change {
                Change::Write { offset, before, .. } => {
                    self.bytes[*offset..*offset + before.len()].copy_from_slice(before);
                }
                Change::Length { before, at, .. } => {
                    self.bytes.truncate(*at);
                    self.bytes.extend(before);
                }
            }
        }
        for change in changes {
            if !self.rng.random_bool(0.5) {
                continue;
            }
            match change {
                Change::Write { offset, after, .. } => {
                    let end = (offset + after.len()).min(self.bytes.len());
                    if offset < end {
                        self.bytes[offset..end].copy_from_slice(&after[..end - offset]);
                    }
                }
                Change::Length { length, .. } => self.bytes.resize(length, 0),
            }
        }
    }
}

/// A process's way to its disk.
#[derive(Clone)]
struct Handle {
    disk: Disk,
    generation: u64,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({})", self.generation)
    }
}

impl Handle {
    fn content(&self) -> io::Result<MutexGuard<'_, Content>> {
        let content = self.disk.lock();
        if content.generation == self.generation {
            Ok(content)
        } else {
            Err(io::Error::other("the process is dead"))
        }
    }
}

struct SimulatedJournal {
    handle: Handle,
    queue: mpsc::UnboundedSender<Synced>,
}

impl Journal for SimulatedJournal {
    fn replay(&self) -> Vec<Record> {
        self.handle.content().map(|content| content.records.clone()).unwrap_or_default()
    }

    fn write(&self, record: Record) -> io::Result<()> {
        self.handle.content()?.records.push(record);
        Ok(())
    }

    fn sync(&self, done: Synced) {
        if let Err(mpsc::error::SendError(done)) = self.queue.send(done) {
            done(Err(io::Error::other("the disk is gone")));
        }
    }
}

/// Like a flush thread: one sync at a time, for all who asked before it began.
async fn sync_one_after_the_other(handle: Handle, mut syncs: mpsc::UnboundedReceiver<Synced>) {
    const AT_ONCE: usize = 1024;
    let mut waiting = Vec::new();
    while syncs.recv_many(&mut waiting, AT_ONCE).await > 0 {
        let Ok((upto, pause)) = handle.content().map(|mut content| content.begin_sync()) else {
            return;
        };
        tokio::time::sleep(pause).await;
        let Ok(mut content) = handle.content() else { return };
        content.synced_records = content.synced_records.max(upto);
        drop(content);
        for done in waiting.drain(..) {
            done(Ok(()));
        }
    }
}

impl Content {
    fn begin_sync(&mut self) -> (usize, Duration) {
        let (low, high) = self.speed.sync_ms;
        let mut pause_ms = self.rng.random_range(low..=high);
        if let Some(left) = self.crash_in.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.crash_in = None;
                self.crash_wanted = true;
                // It must not end before the crash.
                pause_ms += 1000;
            }
        }
        (self.records.len(), Duration::from_millis(pause_ms))
    }
}

impl Medium for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.content()?.bytes.len() as u64)
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let content = self.content()?;
        let start = offset as usize;
        let source = content.bytes.get(start..start + bytes.len());
        bytes.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut content = self.content()?;
        let length = length as usize;
        let at = content.bytes.len().min(length);
        let before = content.bytes[at..].to_vec();
        let whole = content.bytes.len();
        content.bytes.resize(length, 0);
        content.unsynced.push(Change::Length { before, at: at.min(whole), length });
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content()?;
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        let place = content.bytes.get_mut(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        let before = place.to_vec();
        place.copy_from_slice(bytes);
        content.unsynced.push(Change::Write { offset: start, before, after: bytes.to_vec() });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.content()?.unsynced.clear();
        Ok(())
    }
}
