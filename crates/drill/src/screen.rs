//! Where the drill says what it does.

/// Whoever shows it to people.
pub trait Screen: Send + Sync {
    /// A line that stays.
    fn line(&self, text: &str);

    /// How far it is; each takes the place of the one before, where that is possible.
    fn progress(&self, text: &str);
}
