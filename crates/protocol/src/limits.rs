//! Every limit of the wire, in one place, its unit last in its name.

/// The longest body frame that any port takes; a longer one closes the connection.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// The longest request body that is looked into; a longer one is refused with `too_large`.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The longest text of one message, unless the operator sets another limit.
pub const DEFAULT_MESSAGE_BYTES: usize = 64 * 1024;

/// How deep arrays and maps may nest in a request.
pub const MAX_DEPTH: usize = 32;

/// The longest service name that a refusal repeats; to a longer one it answers as `error`.
pub const MAX_SERVICE_BYTES: usize = 64;

/// The highest logical clock that is taken from a client; a higher one counts as none. It leaves
/// room to count on for ever without leaving the integers that every language can hold.
pub const MAX_CLOCK: u64 = 1 << 48;

/// How many rows a `history` or `export` request gets that names no `limit`.
pub const DEFAULT_PAGE_ROWS: usize = 100;

/// How many rows one `history`, `export` or `import` message carries at the most.
pub const MAX_PAGE_ROWS: usize = 1000;

/// How many bytes of texts one page of `history` or `export` carries at about the most.
pub const MAX_PAGE_BYTES: usize = 512 * 1024;

/// How many results a session's window holds; a sender keeps its newest `n` less than this
/// ahead of its oldest unanswered one.
pub const SESSION_WINDOW_REQUESTS: u64 = 1024;
