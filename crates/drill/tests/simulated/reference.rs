//! The reference: the real rules of ranks and liveness; what it must not forget it has on disk.
//! Its process can be away, and the witness with it.

use recado_chat::registry::{Limits, Listed, Persistent, Registration, Registry};
use recado_drill::history::{History, Ranked};

use crate::seed::draw;
use crate::wire::{Message, Place, Post};

pub struct Reference {
    seed: u64,
    kept: Persistent,
    registry: Option<Registry>,
    post: Post,
}

impl Reference {
    pub fn new(seed: u64, post: Post) -> Reference {
        Reference { seed, kept: Persistent::default(), registry: None, post }
    }

    pub fn start(&mut self, now_ms: u64) {
        self.registry = Some(Registry::new(self.kept.clone(), Limits::default(), now_ms));
    }

    pub fn crash(&mut self) {
        self.registry = None;
    }

    pub fn runs(&self) -> bool {
        self.registry.is_some()
    }

    pub fn tick(&mut self, now_ms: u64) {
        if let Some(registry) = &mut self.registry {
            registry.expire(now_ms);
        }
    }

    pub fn list(&self) -> Vec<Listed> {
        self.registry.as_ref().map(Registry::list).unwrap_or_default()
    }

    /// A server registers, or says that it is alive.
    pub fn take(
        &mut self,
        from: Place,
        said: Registration,
        now: (u64, u64),
        history: &mut History,
    ) {
        let Some(registry) = &mut self.registry else { return };
        let (now_ms, at_us) = now;
        let boot = said.boot.unwrap_or_default();
        let name: recado_drill::history::Name = said.name.as_str().into();
        let cluster = 1 + draw(self.seed, "cluster") % (1 << 52);
        let answer = registry.register(said, cluster, now_ms);
        if let Some(kept) = &answer.persist {
            self.kept = kept.clone();
        }
        history.ranks.push(Ranked { rank: answer.rank, name, boot, at_us });
        let list = registry.list();
        self.post.send(Place::Reference, from, 0, Message::Registered { boot, answer, list });
    }
}
