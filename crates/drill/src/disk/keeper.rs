//! The drill's side of its disks.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::content::Lost;
use super::device::{Look, Mishap, Power};
use super::orders::{Change, Order, Reply};
use super::{HOST_COMMAND, unmount};

/// How long an order may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the disks' process may take to unmount them and end.
const END: Duration = Duration::from_secs(3);
/// How often a process that shall end is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How much fits on each disk unless a fault says otherwise, bytes. Only what is written takes up
/// memory.
pub const DISK_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Mounted disks, numbered from 0. They are unmounted when this is dropped.
pub struct Disks {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    folders: Vec<PathBuf>,
    lost: Lost,
}

impl Disks {
    /// Mounts a disk at each of these folders, which are empty.
    ///
    /// # Errors
    /// Why that can't be done here.
    pub async fn start(
        program: &Path,
        log: &Path,
        folders: Vec<PathBuf>,
        seed: u64,
    ) -> io::Result<Disks> {
        File::open("/dev/fuse").map_err(|why| io::Error::new(why.kind(), "no /dev/fuse"))?;
        let mut child = Command::new(program)
            .arg(HOST_COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log)?)
            .process_group(0)
            .spawn()?;
        let no_pipe = || io::Error::other("the disks' process has no pipes");
        let orders = child.stdin.take().ok_or_else(no_pipe)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(no_pipe)?).lines();
        let lost = Lost::default();
        let mut disks =
            Disks { child, orders: Some(orders), answers, folders: folders.clone(), lost };
        for (seed, folder) in (seed..).zip(folders) {
            disks.order(Order::Mount { room_bytes: DISK_BYTES, seed, folder }).await?;
        }
        Ok(disks)
    }

    /// What all crashes so far took and left.
    pub fn lost(&self) -> Lost {
        self.lost
    }

    /// The power of some disks goes, and what was not synced with it. They answer nobody until it
    /// is back.
    ///
    /// # Errors
    /// When the disks' process does not answer, as for every other order.
    pub async fn switch_off(&mut self, disks: &[usize]) -> io::Result<()> {
        for disk in disks {
            if let Reply::Lost(lost) = self.change(*disk, Change::Off).await? {
                self.lost.forgotten += lost.forgotten;
                self.lost.survived += lost.survived;
            }
        }
        Ok(())
    }

    /// The power of some disks is back.
    pub async fn switch_on(&mut self, disks: &[usize]) -> io::Result<()> {
        for disk in disks {
            self.change(*disk, Change::On).await?;
        }
        Ok(())
    }

    /// Syncs wait until they may go on.
    pub async fn hang(&mut self, disk: usize, hangs: bool) -> io::Result<()> {
        let change = if hangs { Change::Hang } else { Change::GoOn };
        self.change(disk, change).await.map(|_| ())
    }

    /// Syncs take so much longer.
    pub async fn slow_down(&mut self, disk: usize, by: Duration) -> io::Result<()> {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.change(disk, Change::Slow(ms)).await.map(|_| ())
    }

    /// Something happens in the n-th sync from now, counted from 1, or nothing any more.
    pub async fn plan(&mut self, disk: usize, mishap: Option<(u64, Mishap)>) -> io::Result<()> {
        let change = match mishap {
            Some((number, mishap)) => Change::Plan(number, mishap),
            None => Change::PlanNothing,
        };
        self.change(disk, change).await.map(|_| ())
    }

    /// How much fits on it.
    pub async fn set_room(&mut self, disk: usize, bytes: u64) -> io::Result<()> {
        self.change(disk, Change::Room(bytes)).await.map(|_| ())
    }

    /// Syncs are answered, and nothing is done.
    pub async fn ignore_syncs(&mut self) -> io::Result<()> {
        for disk in 0..self.folders.len() {
            self.change(disk, Change::Ignore(true)).await?;
        }
        Ok(())
    }

    /// How a disk is.
    pub async fn look(&mut self, disk: usize) -> io::Result<Look> {
        match self.change(disk, Change::Look).await? {
            Reply::Look(look) => Ok(look),
            other => Err(io::Error::other(format!("a disk answered {other}"))),
        }
    }

    /// All is mended: every disk goes on as disks should.
    pub async fn heal(&mut self) -> io::Result<()> {
        for disk in 0..self.folders.len() {
            if self.look(disk).await?.power != Power::On {
                self.switch_off(&[disk]).await?;
                self.switch_on(&[disk]).await?;
            }
            self.hang(disk, false).await?;
            self.slow_down(disk, Duration::ZERO).await?;
            self.plan(disk, None).await?;
            self.set_room(disk, DISK_BYTES).await?;
        }
        Ok(())
    }

    async fn change(&mut self, disk: usize, change: Change) -> io::Result<Reply> {
        self.order(Order::Disk(disk, change)).await
    }

    async fn order(&mut self, order: Order) -> io::Result<Reply> {
        let gone = || io::Error::other("the disks' process has ended; look at its log");
        let Some(orders) = &mut self.orders else { return Err(gone()) };
        orders.write_all(format!("{order}\n").as_bytes()).await?;
        let answer = tokio::time::timeout(ANSWER, self.answers.next_line()).await;
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the disks do not answer");
        let line = answer.map_err(late)??.ok_or_else(gone)?;
        match Reply::parse(&line) {
            Some(Reply::Failed(why)) => Err(io::Error::other(why)),
            Some(reply) => Ok(reply),
            None => Err(io::Error::other(format!("the disks' process said: {line}"))),
        }
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        // It unmounts them and ends when this pipe closes.
        self.orders = None;
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                if status.success() {
                    return;
                }
                break;
            }
            std::thread::sleep(LOOK);
        }
        _ = self.child.start_kill();
        self.folders.iter().for_each(|folder| unmount::now(folder));
    }
}
