//! The drill: runs a cluster, breaks things on purpose, and checks whether the promises P1–P8 held
//! for everything that was acknowledged and everything that was received.

pub mod check;
pub mod history;
pub mod report;
