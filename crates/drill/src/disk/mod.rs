//! Disks that forget what was not synced when their server is killed: a process that is killed
//! loses nothing that the kernel has, so a drill on a real disk would take a server's word for
//! what is on it.
//!
//! [`content`] and [`names`] say what one file and one folder hold, on the disk and beside it,
//! [`tree`] makes a file system of them, and [`device`] has syncs done, wait, fail, or be the last
//! thing that happens: all of that is pure. [`mount`] shows it to the kernel, in a process of its
//! own ([`host`]), which does what the drill orders through [`Disks`].

mod content;
mod device;
mod host;
mod keeper;
mod mount;
mod names;
mod orders;
mod tree;
mod unmount;

pub use content::Lost;
pub use device::{Look, Mishap, Power};
pub use host::{HOST_COMMAND, host};
pub use keeper::{DISK_BYTES, Disks};
