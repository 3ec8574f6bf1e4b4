//! The full-screen client.
//!
//! [`model`] says what is shown and done, as a function of events; [`draw`] turns it into a screen;
//! [`driver`] listens to the terminal and the cluster, and does what the model wants done. The
//! first two do no I/O.

mod draw;
mod driver;
mod keymap;
mod layout;
mod model;
mod page;
mod rows;
#[cfg(test)]
mod tests;
mod wrap;

pub use draw::theme::Theme;
pub use driver::{ChatConfig, run_chat};
pub use keymap::{Action, Key, Keymap};
pub use model::Notify;
pub(crate) use page::Line;

/// The exit code after a signal, as shells have it for Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;
