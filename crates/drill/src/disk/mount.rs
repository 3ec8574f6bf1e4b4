//! A disk as the kernel knows it: a file system in user space whose answers come from a
//! [`Device`].
//!
//! What processes write comes here at once, so the kernel has nothing that a crash would have to
//! take from it; what it keeps of what was read it drops when a file is opened.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, Session, TimeOrNow, WriteFlags,
};

use super::content::{Lost, PAGE_BYTES};
use super::device::{Answer, Device, Power, Ticket};
use super::tree::{About, Refusal};

/// By this name the kernel lists what is mounted here.
pub const SOURCE: &str = "recado-drill-disk";

/// The kernel asks anew each time: a crash changes everything behind its back.
const KNOWN_FOR: Duration = Duration::ZERO;
/// The longest name, bytes.
const MAX_NAME_BYTES: u32 = 255;
/// Numbers are not given twice, so one generation is enough.
const GENERATION: Generation = Generation(0);
/// Files are known by their numbers; a handle would add nothing.
const HANDLE: FileHandle = FileHandle(0);

/// A mounted disk; unmounted when this is dropped.
pub struct Mounted {
    disk: Disk,
    _session: BackgroundSession,
}

impl Mounted {
    /// Mounts a disk at a folder.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn new(device: Device, folder: &Path) -> io::Result<Mounted> {
        let inner = Inner { device, waiting: HashMap::new(), still: Vec::new() };
        let disk = Disk(Arc::new(Mutex::new(inner)));
        let mut config = Config::default();
        config.mount_options =
            vec![MountOption::FSName(SOURCE.to_owned()), MountOption::NoAtime, MountOption::NoDev];
        let session = Session::new(disk.clone(), folder, &config)?.spawn()?;
        Ok(Mounted { disk, _session: session })
    }

    /// Changes or looks at the disk itself.
    pub fn device<T>(&self, change: impl FnOnce(&mut Device) -> T) -> T {
        change(&mut self.disk.lock().device)
    }

    /// The power goes. Whoever waits for the disk is told that it failed.
    pub fn switch_off(&self) -> Lost {
        let mut inner = self.disk.lock();
        let lost = inner.device.switch_off();
        inner.waiting.drain().for_each(|(_, reply)| reply.error(Errno::EIO));
        inner.still.drain(..).for_each(|refuse| refuse());
        lost
    }

    /// Syncs wait no more, and those that did are over.
    pub fn go_on(&self) {
        let mut inner = self.disk.lock();
        for ticket in inner.device.go_on() {
            if let Some(reply) = inner.waiting.remove(&ticket) {
                reply.ok();
            }
        }
    }
}

/// The disk, shared by the kernel's requests and the drill's orders.
#[derive(Clone)]
struct Disk(Arc<Mutex<Inner>>);

struct Inner {
    device: Device,
    /// Who waits for a sync.
    waiting: HashMap<Ticket, ReplyEmpty>,
    /// Who asked after the disk had stood still; called to refuse it in the end.
    still: Vec<Box<dyn FnOnce() + Send>>,
}

/// What a request is answered with.
trait Refuse: Send + 'static {
    fn refuse(self, why: Errno);
}

macro_rules! refuse {
    ($($reply:ty)+) => {
        $(impl Refuse for $reply {
            fn refuse(self, why: Errno) {
                self.error(why);
            }
        })+
    };
}

refuse! { ReplyAttr ReplyCreate ReplyData ReplyDirectory ReplyEmpty ReplyEntry ReplyOpen ReplyWrite }

impl Disk {
    /// A panic in between left the disk as the last complete change made it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something if the disk answers; hands the reply back with what came of it.
    fn ask<R: Refuse, T>(
        &self,
        reply: R,
        work: impl FnOnce(&mut Device) -> Result<T, Refusal>,
    ) -> Option<(R, T)> {
        let mut inner = self.lock();
        match inner.device.power() {
            Power::On => {}
            Power::Off => {
                reply.refuse(Errno::EIO);
                return None;
            }
            Power::Still => {
                inner.still.push(Box::new(move || reply.refuse(Errno::EIO)));
                return None;
            }
        }
        match work(&mut inner.device) {
            Ok(done) => Some((reply, done)),
            Err(refusal) => {
                reply.refuse(number(refusal));
                None
            }
        }
    }

    fn sync(&self, of: INodeNo, reply: ReplyEmpty) {
        let Some((reply, answer)) = self.ask(reply, |device| device.sync(of.0)) else { return };
        match answer {
            Answer::Done => reply.ok(),
            Answer::Failed => reply.error(Errno::EIO),
            Answer::Never => {
                let mut inner = self.lock();
                match inner.device.power() {
                    Power::Still => inner.still.push(Box::new(move || reply.error(Errno::EIO))),
                    _ => reply.error(Errno::EIO),
                }
            }
            Answer::Waits(ticket) => _ = self.wait(ticket, reply),
            Answer::Later(time, ticket) => {
                if self.wait(ticket, reply) {
                    self.finish_later(time, ticket);
                }
            }
        }
    }

    /// Has somebody wait for a sync; false when it is over by now, one way or the other.
    fn wait(&self, ticket: Ticket, reply: ReplyEmpty) -> bool {
        let mut inner = self.lock();
        if inner.device.waits(ticket) {
            inner.waiting.insert(ticket, reply);
            return true;
        }
        match inner.device.power() {
            Power::On => reply.ok(),
            _ => reply.error(Errno::EIO),
        }
        false
    }

    fn finish_later(&self, time: Duration, ticket: Ticket) {
        let disk = self.clone();
        // A few at a time at the most: one for each thread of the server that syncs.
        std::thread::spawn(move || {
            std::thread::sleep(time);
            let mut inner = disk.lock();
            let done = inner.device.finish(ticket);
            // Who is not here any more was told already.
            if let Some(reply) = inner.waiting.remove(&ticket) {
                match done {
                    Ok(()) => reply.ok(),
                    Err(refusal) => reply.error(number(refusal)),
                }
            }
        });
    }
}

fn number(refusal: Refusal) -> Errno {
    match refusal {
        Refusal::Missing => Errno::ENOENT,
        Refusal::Exists => Errno::EEXIST,
        Refusal::NotEmpty => Errno::ENOTEMPTY,
        Refusal::NoFolder => Errno::ENOTDIR,
        Refusal::IsFolder => Errno::EISDIR,
        Refusal::Full => Errno::ENOSPC,
        Refusal::Broken => Errno::EIO,
    }
}

fn kind(about: &About) -> FileType {
    if about.folder { FileType::Directory } else { FileType::RegularFile }
}

fn attributes(about: &About, request: &Request) -> FileAttr {
    let changed = SystemTime::UNIX_EPOCH + Duration::from_millis(about.changed);
    FileAttr {
        ino: INodeNo(about.number),
        size: about.length,
        blocks: about.length.div_ceil(512),
        atime: changed,
        mtime: changed,
        ctime: changed,
        crtime: changed,
        kind: kind(about),
        perm: about.mode,
        nlink: if about.folder { 2 } else { 1 },
        // Whoever asks owns it: nobody else may, as it is mounted.
        uid: request.uid(),
        gid: request.gid(),
        rdev: 0,
        blksize: PAGE_BYTES as u32,
        flags: 0,
    }
}

fn rights(mode: u32, umask: u32) -> u16 {
    (mode & !umask & 0o7777) as u16
}

impl Filesystem for Disk {
    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if let Some((reply, about)) = self.ask(reply, |disk| disk.tree.find(parent.0, name)) {
            reply.entry(&KNOWN_FOR, &attributes(&about, request), GENERATION);
        }
    }

    fn getattr(&self, request: &Request, of: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        if let Some((reply, about)) = self.ask(reply, |disk| disk.tree.about(of.0)) {
            reply.attr(&KNOWN_FOR, &attributes(&about, request));
        }
    }

    fn setattr(
        &self,
        request: &Request,
        of: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changed = self.ask(reply, |disk| {
            if let Some(mode) = mode {
                disk.tree.set_mode(of.0, rights(mode, 0))?;
            }
            if let Some(size) = size {
                disk.tree.cut(of.0, size)?;
            }
            disk.tree.about(of.0)
        });
        if let Some((reply, about)) = changed {
            reply.attr(&KNOWN_FOR, &attributes(&about, request));
        }
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let made =
            self.ask(reply, |disk| disk.tree.make(parent.0, name, true, rights(mode, umask)));
        if let Some((reply, about)) = made {
            reply.entry(&KNOWN_FOR, &attributes(&about, request), GENERATION);
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        if let Some((reply, ())) = self.ask(reply, |disk| disk.tree.remove(parent.0, name, false)) {
            reply.ok();
        }
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        if let Some((reply, ())) = self.ask(reply, |disk| disk.tree.remove(parent.0, name, true)) {
            reply.ok();
        }
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let renamed =
            self.ask(reply, |disk| disk.tree.rename((parent.0, name), (new_parent.0, new_name)));
        if let Some((reply, ())) = renamed {
            reply.ok();
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.ask(reply, |disk| {
            let about = disk.tree.make(parent.0, name, false, rights(mode, umask))?;
            disk.tree.open(about.number, true).map(|()| about)
        });
        if let Some((reply, about)) = made {
            let about = attributes(&about, request);
            reply.created(&KNOWN_FOR, &about, GENERATION, HANDLE, FopenFlags::empty());
        }
    }

    fn open(&self, _: &Request, of: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        if let Some((reply, ())) = self.ask(reply, |disk| disk.tree.open(of.0, true)) {
            reply.opened(HANDLE, FopenFlags::empty());
        }
    }

    fn release(
        &self,
        _: &Request,
        of: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        // Whoever dies while the power is off closes its files all the same. What was never
        // named on the disk may be gone already.
        _ = self.lock().device.tree.open(of.0, false);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Nothing is kept back that would have to be written now; the kernel need not ask again.
        reply.error(Errno::ENOSYS);
    }

    fn read(
        &self,
        _: &Request,
        of: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.ask(reply, |disk| disk.tree.read(of.0, offset, size as usize));
        if let Some((reply, bytes)) = read {
            reply.data(&bytes);
        }
    }

    fn write(
        &self,
        _: &Request,
        of: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if let Some((reply, ())) = self.ask(reply, |disk| disk.tree.write(of.0, offset, data)) {
            // The kernel sends no more at a time than fits.
            reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
        }
    }

    fn fsync(&self, _: &Request, of: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(of, reply);
    }

    fn fsyncdir(&self, _: &Request, of: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(of, reply);
    }

    fn readdir(&self, _: &Request, of: INodeNo, _: FileHandle, offset: u64, reply: ReplyDirectory) {
        let Some((mut reply, entries)) = self.ask(reply, |disk| disk.tree.list(of.0)) else {
            return;
        };
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, (name, about)) in entries.into_iter().enumerate().skip(skipped) {
            if reply.add(INodeNo(about.number), index as u64 + 1, kind(&about), name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let inner = self.lock();
        let tree = &inner.device.tree;
        let blocks = tree.room_bytes() / PAGE_BYTES;
        let free = tree.room_bytes().saturating_sub(tree.used_bytes()) / PAGE_BYTES;
        let size = PAGE_BYTES as u32;
        reply.statfs(blocks, free, free, 0, 0, size, MAX_NAME_BYTES, size);
    }
}

#[cfg(test)]
mod tests;
