//! When silence or slowness is a fault: pure rules, time comes in from outside.
//!
//! Nobody is judged by an absolute time that a busy machine breaks for everybody. Silence is held
//! against how regularly this peer was heard and against how late this process itself runs, and
//! disks are held against each other.

mod delays;
mod lateness;
mod paces;
mod primary;
mod rhythm;

pub use delays::Delays;
pub use lateness::{EXCUSED, Lateness};
pub use paces::{Paces, Sign, Slow};
pub use primary::HeardPrimary;
pub use rhythm::{Bounds, Rhythm};
