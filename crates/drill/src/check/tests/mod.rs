//! The checkers against histories that hold, and against histories that break one rule each.

mod model;
mod properties;
mod rules;
mod size;
