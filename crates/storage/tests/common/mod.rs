//! Feeding a store with commands, for all tests of this crate.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod memory;

use std::path::Path;

use recado_chat::rows::MemoryRows;
use recado_chat::{Applied, Command, LogEntry, Origin, Stamp};
use recado_storage::{Logged, Marks, Store};

/// Numbers commands, stamps them, and applies them to a store and to the model alike.
#[derive(Clone, Default)]
pub struct Feed {
    pub position: u64,
    pub model: MemoryRows,
}

impl Feed {
    /// The entry for a command at the next position.
    pub fn entry(&self, command: Command) -> LogEntry {
        let next = self.position + 1;
        let stamp = Stamp { time_ms: 1_000 + next * 3, clock: next * 2 };
        LogEntry { stamp, origin: None, published: 0, command }
    }

    pub fn apply(
        &mut self,
        store: &Store,
        commands: impl IntoIterator<Item = Command>,
    ) -> Vec<Applied> {
        self.apply_with(store, commands.into_iter().map(|command| (command, None)))
    }

    pub fn apply_with(
        &mut self,
        store: &Store,
        commands: impl IntoIterator<Item = (Command, Option<Origin>)>,
    ) -> Vec<Applied> {
        let mut batch = Vec::new();
        let mut expected = Vec::new();
        for (command, origin) in commands {
            let entry = LogEntry { origin, ..self.entry(command) };
            self.position += 1;
            let Ok(applied) = recado_chat::apply(&mut self.model, self.position, &entry);
            expected.push(applied);
            batch.push(Logged { position: self.position, entry: Some(entry) });
        }
        let applied = store.apply(&batch, &self.marks()).unwrap();
        assert_eq!(applied, expected, "the store and the model agree");
        applied
    }

    pub fn marks(&self) -> Marks {
        Marks { applied: self.position.to_be_bytes().to_vec(), membership: b"members".to_vec() }
    }
}

/// A feed without a model.
pub struct Rewound {
    pub position: u64,
}

impl Rewound {
    pub fn apply(&mut self, store: &Store, commands: impl IntoIterator<Item = Command>) {
        for command in commands {
            let entry = Feed { position: self.position, ..Feed::default() }.entry(command);
            self.position += 1;
            let marks = Feed { position: self.position, ..Feed::default() }.marks();
            store.apply(&[Logged { position: self.position, entry: Some(entry) }], &marks).unwrap();
        }
    }
}

pub fn login(user: &str) -> Command {
    Command::Login { user: user.into() }
}

pub fn channel(channel: &str) -> Command {
    Command::Channel { channel: channel.into() }
}

pub fn publish(user: &str, channel: &str, message: &str) -> Command {
    Command::Publish { user: user.into(), channel: channel.into(), message: message.into() }
}

pub fn private(src: &str, dst: &str, message: &str) -> Command {
    Command::Message { src: src.into(), dst: dst.into(), message: message.into() }
}

/// Copies all files of a folder as they are.
pub fn folder_copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
