//! Everything that crosses the wire: golden bytes, round trips, leniency, hostile bytes, and the
//! public document.

// A test that meets the unexpected shall fail, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod document;
mod golden;
mod hostile;
mod lenient;
mod roundtrip;
mod samples;
mod strategies;
