//! What people type into and read from.
//!
//! The line client reads commands, one a line, and prints messages as they come. Commands,
//! completion and rendering are pure functions; the sockets are the client crate's.

mod full;
mod line;
mod render;
mod texts;

pub use full::{Action, ChatConfig, Key, Keymap, Notify, Theme, run_chat};
pub use line::{LineConfig, default_history_file, run_line_client, run_piped};
pub use texts::Language;
