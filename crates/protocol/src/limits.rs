//! Every limit of the wire, in one place, its unit last in its name.

/// A limit as PROTOCOL.md lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The constant's name.
    pub name: &'static str,
    /// Its value, in the unit that its name ends with.
    pub value: u64,
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ty = $value:expr;)+) => {
        $($(#[doc = $doc])+ pub const $name: $kind = $value;)+

        /// All limits, in the order of PROTOCOL.md.
        pub const ALL: &[Limit] =
            &[$(Limit { name: stringify!($name), value: $name as u64 },)+];
    };
}

limits! {
    /// The longest body frame that any port takes; a longer one closes the connection.
    MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

    /// The longest request body that is looked into; a longer one is refused with `too_large`.
    MAX_REQUEST_BYTES: usize = 1024 * 1024;

    /// The longest text of one message, unless the operator sets another limit.
    DEFAULT_MESSAGE_BYTES: usize = 64 * 1024;

    /// The longest service name that a refusal repeats; to a longer one it answers as `error`.
    MAX_SERVICE_BYTES: usize = 64;

    /// The longest name or address of a part of the cluster.
    MAX_LABEL_BYTES: usize = 300;

    /// The longest reason that a part of the cluster gives; a longer one is cut off.
    MAX_REASON_BYTES: usize = 2048;

    /// How many servers one message tells of.
    MAX_TOLD_SERVERS: usize = 256;

    /// How deep arrays and maps may nest in a body.
    MAX_DEPTH: usize = 32;

    /// The highest logical clock that is taken from a client; a higher one counts as none. It
    /// leaves room to count on for ever without leaving the integers that every language can hold.
    MAX_CLOCK: u64 = 1 << 48;

    /// How many rows a `history` or `export` request gets that names no `limit`.
    DEFAULT_PAGE_ROWS: usize = 100;

    /// How many rows one `history`, `export` or `import` message carries at the most.
    MAX_PAGE_ROWS: usize = 1000;

    /// How many bytes of texts one page of `history` or `export` carries at about the most.
    MAX_PAGE_BYTES: usize = 512 * 1024;

    /// How many results a session's window holds; a sender keeps its newest `n` less than this
    /// ahead of its oldest unanswered one.
    SESSION_WINDOW_REQUESTS: u64 = 1024;
}
