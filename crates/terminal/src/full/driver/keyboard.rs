//! Keys, mouse and size, read on a thread of its own: reading blocks.

use std::thread;

use ratatui::crossterm::event::{Event as Input, read};
use tokio::sync::mpsc;

use crate::full::model::event::Event;

/// Reads until the terminal is gone or nobody listens. A terminal that is gone ends the client.
pub(super) fn listen(events: mpsc::Sender<Event>) -> std::io::Result<()> {
    thread::Builder::new().name("keyboard".to_owned()).spawn(move || {
        loop {
            let event = match read() {
                Ok(Input::Key(key)) => Event::Key(key),
                Ok(Input::Paste(text)) => Event::Paste(text),
                Ok(Input::Mouse(mouse)) => Event::Mouse(mouse),
                Ok(Input::Resize(columns, rows)) => Event::Resize { columns, rows },
                Ok(Input::FocusGained) => Event::Focus(true),
                Ok(Input::FocusLost) => Event::Focus(false),
                Err(_) => Event::Terminate,
            };
            let gone = matches!(event, Event::Terminate);
            if events.blocking_send(event).is_err() || gone {
                return;
            }
        }
    })?;
    Ok(())
}
