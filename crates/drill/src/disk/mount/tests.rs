//! The file system as processes use it. Skipped, and said so, where none can be mounted.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::sync::mpsc;
use std::thread;

use rustix::fs::{FlockOperation, flock, statvfs};

use super::*;
use crate::disk::device::Mishap;

const ROOM_BYTES: u64 = 1 << 20;
/// How long something is watched that must not happen.
const NOT_YET: Duration = Duration::from_millis(100);

struct Stage {
    dir: tempfile::TempDir,
    mounted: Option<Mounted>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mounted) = &self.mounted {
            mounted.switch_off();
        }
        crate::disk::unmount::now(self.dir.path());
        self.mounted = None;
    }
}

impl Stage {
    /// A disk of which nothing survives a crash by luck: its syncs are done by hand where `honest`.
    fn set() -> Option<Stage> {
        let dir = tempfile::tempdir().unwrap();
        match Mounted::new(Device::new(ROOM_BYTES, 3, 0..0), dir.path()) {
            Ok(mounted) => Some(Stage { dir, mounted: Some(mounted) }),
            Err(why) => {
                println!("skipped: no file system can be mounted here: {why}");
                None
            }
        }
    }

    fn disk(&self) -> &Mounted {
        self.mounted.as_ref().unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn sync_folder(&self) {
        File::open(self.dir.path()).unwrap().sync_all().unwrap();
    }

    /// Off and on again; nothing survives that was not synced.
    fn crash(&self) {
        self.disk().device(|device| device.ignore_syncs(true));
        self.disk().switch_off();
        self.disk().device(|device| device.ignore_syncs(false));
        self.disk().device(Device::switch_on);
    }
}

#[test]
fn processes_see_a_file_system() {
    let Some(stage) = Stage::set() else { return };
    fs::create_dir(stage.path("log")).unwrap();
    let path = stage.path("log/chunk");
    let mut file = File::options().read(true).append(true).create_new(true).open(&path).unwrap();
    file.write_all(&[7; 10_000]).unwrap();
    file.write_all(b"end").unwrap();
    file.seek(SeekFrom::Start(9_999)).unwrap();
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).unwrap();
    assert_eq!(tail, b"\x07end");
    file.set_len(5).unwrap();
    file.sync_all().unwrap();
    drop(file);
    assert_eq!(fs::metadata(&path).unwrap().len(), 5);
    fs::rename(&path, stage.path("moved")).unwrap();
    fs::copy(stage.path("moved"), stage.path("copied")).unwrap();
    let mut names: Vec<_> = fs::read_dir(stage.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["copied", "log", "moved"]);
    assert_eq!(fs::read(stage.path("copied")).unwrap(), [7; 5]);
    let missing = File::open(stage.path("none")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let full = fs::remove_dir(stage.path("log")).and_then(|()| fs::remove_dir(stage.path("log")));
    assert_eq!(full.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_lock_is_held_once() {
    let Some(stage) = Stage::set() else { return };
    let (first, second) = (File::create(stage.path("LOCK")), File::create(stage.path("LOCK")));
    let (first, second) = (first.unwrap(), second.unwrap());
    flock(&first, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert!(flock(&second, FlockOperation::NonBlockingLockExclusive).is_err());
    drop(first);
    flock(&second, FlockOperation::NonBlockingLockExclusive).unwrap();
}

#[test]
fn a_crash_takes_what_was_not_synced_from_whoever_reads_next() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.path("file");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"on disk").unwrap();
    file.sync_data().unwrap();
    stage.sync_folder();
    file.write_all(b", and not").unwrap();
    fs::write(stage.path("never"), b"synced").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"on disk, and not");
    stage.crash();
    assert_eq!(fs::read(&path).unwrap(), b"on disk");
    assert!(!stage.path("never").exists());
    // While it is off it fails, also for who had a file open.
    stage.disk().switch_off();
    assert!(file.write_all(b"x").is_err() && file.sync_all().is_err());
    stage.disk().device(Device::switch_on);
    assert_eq!(fs::read(&path).unwrap(), b"on disk");
}

#[test]
fn a_sync_waits_while_the_disk_hangs_and_reads_do_not() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.path("file");
    fs::write(&path, b"there").unwrap();
    stage.sync_folder();
    for goes_on in [true, false] {
        stage.disk().device(Device::hang);
        let (done, over) = mpsc::channel();
        let file = File::open(&path).unwrap();
        let waiting = thread::spawn(move || done.send(file.sync_all().is_ok()));
        assert!(over.recv_timeout(NOT_YET).is_err(), "it did not wait");
        assert_eq!(fs::read(&path).unwrap(), b"there");
        if goes_on {
            stage.disk().go_on();
        } else {
            stage.disk().switch_off();
        }
        assert_eq!(over.recv().unwrap(), goes_on);
        waiting.join().unwrap().unwrap();
        stage.disk().go_on();
        stage.disk().device(Device::switch_on);
    }
}

#[test]
fn a_slow_sync_takes_its_time() {
    let Some(stage) = Stage::set() else { return };
    let file = File::create(stage.path("file")).unwrap();
    stage.disk().device(|device| device.slow_down(NOT_YET));
    let began = std::time::Instant::now();
    file.sync_all().unwrap();
    assert!(began.elapsed() >= NOT_YET);
}

#[test]
fn a_disk_that_stands_still_answers_nobody_until_it_is_off() {
    let Some(stage) = Stage::set() else { return };
    let file = File::create(stage.path("file")).unwrap();
    stage.disk().device(|device| device.plan(Some((1, Mishap::StillBefore))));
    let (done, over) = mpsc::channel();
    let told = done.clone();
    let syncs = thread::spawn(move || told.send(file.sync_all().is_err()));
    while stage.disk().device(|device| device.power()) != Power::Still {
        thread::yield_now();
    }
    let path = stage.path("file");
    let reads = thread::spawn(move || done.send(fs::read(path).is_err()));
    assert!(over.recv_timeout(NOT_YET).is_err(), "it was answered");
    stage.disk().switch_off();
    assert!(over.recv().unwrap() && over.recv().unwrap());
    syncs.join().unwrap().unwrap();
    reads.join().unwrap().unwrap();
}

#[test]
fn a_failed_sync_loses_what_it_was_about() {
    let Some(stage) = Stage::set() else { return };
    let mut lost = 0;
    for turn in 0..20 {
        let path = stage.path(&format!("file-{turn}"));
        let mut file = File::create(&path).unwrap();
        file.write_all(b"lost?").unwrap();
        stage.disk().device(|device| device.plan(Some((1, Mishap::Fails))));
        assert!(file.sync_all().is_err());
        // A second try succeeds, and brings nothing back.
        file.sync_all().unwrap();
        lost += u32::from(fs::read(&path).unwrap() == [0; 5]);
    }
    assert!(lost > 3, "{lost} of 20");
}

#[test]
fn a_small_disk_gets_full_and_has_room_again() {
    let Some(stage) = Stage::set() else { return };
    let full = fs::write(stage.path("large"), vec![1; 2 << 20]).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    let left = statvfs(stage.dir.path()).unwrap();
    assert!(left.f_bavail * left.f_frsize < 64 * 1024, "{} pages are free", left.f_bavail);
    fs::remove_file(stage.path("large")).unwrap();
    stage.sync_folder();
    fs::write(stage.path("small"), vec![1; 1 << 19]).unwrap();
}
