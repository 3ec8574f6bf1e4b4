//! Whether somebody looks at the terminal.

/// In a terminal that does not tell its focus: so long after the last key nobody looks, ms. Many
/// terminals and multiplexers tell nothing, and without a guess nobody would ever be called there.
const AWAY_AFTER_MS: u64 = 60_000;

/// What is known of who sits in front.
#[derive(Debug)]
pub(crate) struct Attention {
    /// What the terminal told last; none as long as it tells nothing.
    focus: Option<bool>,
    /// When the last key was pressed, ms.
    key_ms: u64,
}

impl Attention {
    /// Somebody has just started the client.
    pub(super) fn new(now_ms: u64) -> Attention {
        Attention { focus: None, key_ms: now_ms }
    }

    /// The terminal told whether it has the focus.
    pub(super) fn told(&mut self, focused: bool, now_ms: u64) {
        self.focus = Some(focused);
        self.key_ms = now_ms;
    }

    /// A key was pressed, which nobody does elsewhere.
    pub(super) fn key(&mut self, now_ms: u64) {
        self.key_ms = now_ms;
        if self.focus == Some(false) {
            self.focus = Some(true);
        }
    }

    /// The clock was set back to this time.
    pub(super) fn set_back(&mut self, now_ms: u64) {
        self.key_ms = self.key_ms.min(now_ms);
    }

    /// Whether somebody looks, as far as is known.
    pub(super) fn is_here(&self, now_ms: u64) -> bool {
        self.focus.unwrap_or(now_ms < self.key_ms + AWAY_AFTER_MS)
    }
}
