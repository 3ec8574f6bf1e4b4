//! Logical clock, and the arithmetic of Berkeley's algorithm.

mod berkeley;
mod logical;
mod slew;

pub use berkeley::{Correction, Reading, corrections};
pub use logical::{LogicalClock, MAX_JUMP};
pub use slew::{CorrectedClock, SLEW_MS, Slew};
