//! What people type into and read from: the full-screen client, and the line client for terminals
//! and pipes. Both share commands and texts; the sockets are the client crate's.

mod full;
mod line;
mod render;
mod texts;

pub use full::{Action, ChatConfig, Key, Keymap, Notify, Theme, run_chat};
pub use line::{LineConfig, default_history_file, run_line_client, run_piped};
pub use render::utc;
pub use texts::Language;
