//! The process that keeps a drill's disks. It is one of its own, so that nothing that hangs on a
//! disk can hang the drill, and ends when the drill does, however that dies.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use super::device::{Device, SYNC_US};
use super::mount::Mounted;
use super::orders::{Change, Order, Reply};
use super::unmount;

/// The word by which the program is told to be this process.
pub const HOST_COMMAND: &str = "drill-disks";

/// Keeps disks as it is told on standard input, until that ends; then everything is unmounted.
///
/// # Errors
/// When nobody hears what it answers.
pub fn host() -> io::Result<()> {
    unmount::stale();
    let mut disks = Disks::default();
    let done = disks.serve(io::stdin().lock(), io::stdout().lock());
    disks.end();
    done
}

#[derive(Default)]
struct Disks {
    mounted: Vec<Mounted>,
    folders: Vec<std::path::PathBuf>,
}

impl Disks {
    fn serve(&mut self, orders: impl BufRead, mut answers: impl Write) -> io::Result<()> {
        for line in orders.lines() {
            let reply = match Order::parse(&line?) {
                Some(order) => self.carry_out(order),
                None => Reply::Failed("that is no order".into()),
            };
            writeln!(answers, "{reply}")?;
            answers.flush()?;
        }
        Ok(())
    }

    fn carry_out(&mut self, order: Order) -> Reply {
        match order {
            Order::Mount { room_bytes, seed, folder } => {
                match Mounted::new(Device::new(room_bytes, seed, SYNC_US), &folder) {
                    Ok(mounted) => {
                        self.mounted.push(mounted);
                        self.folders.push(folder);
                        Reply::Done
                    }
                    Err(why) => Reply::Failed(why.to_string()),
                }
            }
            Order::Disk(number, change) => match self.mounted.get(number) {
                Some(disk) => changed(disk, change),
                None => Reply::Failed(format!("there is no disk {number}")),
            },
        }
    }

    /// Whoever still waits is told that the disk failed, and can end.
    fn end(&self) {
        for disk in &self.mounted {
            disk.switch_off();
        }
        self.folders.iter().for_each(|folder| unmount::now(folder));
    }
}

fn changed(disk: &Mounted, change: Change) -> Reply {
    match change {
        Change::Off => return Reply::Lost(disk.switch_off()),
        Change::Look => return Reply::Look(disk.device(|device| device.look())),
        Change::GoOn => disk.go_on(),
        Change::On => disk.device(Device::switch_on),
        Change::Hang => disk.device(Device::hang),
        Change::Slow(ms) => disk.device(|device| device.slow_down(Duration::from_millis(ms))),
        Change::Plan(number, mishap) => disk.device(|device| device.plan(Some((number, mishap)))),
        Change::PlanNothing => disk.device(|device| device.plan(None)),
        Change::Ignore(ignores) => disk.device(|device| device.ignore_syncs(ignores)),
        Change::Room(bytes) => disk.device(|device| device.tree.set_room(bytes)),
    }
    Reply::Done
}
