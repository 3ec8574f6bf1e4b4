//! The broker's limits and times.

use recado_protocol::limits::SESSION_WINDOW_REQUESTS;

/// What the broker holds at the most, and how long it waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests that are held at a time, waiting or in flight; more are refused.
    pub held_requests: usize,
    /// Bytes of their bodies and envelopes.
    pub held_bytes: usize,
    /// Requests of one connection that are held at a time.
    pub client_requests: usize,
    /// Without a sign of life for this long, a server gets nothing more.
    pub silence_ms: u64,
    /// Without an answer for this long, the next server is asked too.
    pub attempt_ms: u64,
    /// Without an answer for this long from its arrival, a request is answered by the broker.
    pub request_ms: u64,
    /// The same for `status`, which the broker can answer by itself.
    pub status_ms: u64,
    /// Without a server for this long, the broker looks itself whether the request is sound.
    pub vet_ms: u64,
    /// The first pause before a request that a server gave back goes to the next; it doubles.
    pub retry_min_ms: u64,
    /// The longest such pause.
    pub retry_max_ms: u64,
    /// An attempt that got no answer for this long no longer counts against its server's credit.
    pub forget_ms: u64,
    /// Sessions that are opened at the start.
    pub sessions_min: usize,
    /// Sessions that are opened when all are too far ahead of their oldest unanswered request.
    pub sessions_max: usize,
    /// How far a session's newest request may be ahead of its oldest unanswered one.
    pub session_ahead: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            held_requests: 32 * 1024,
            held_bytes: 16 * 1024 * 1024,
            client_requests: 8 * 1024,
            silence_ms: 1_000,
            attempt_ms: 1_000,
            request_ms: 5_000,
            status_ms: 3_000,
            vet_ms: 1_000,
            retry_min_ms: 20,
            retry_max_ms: 100,
            forget_ms: 30_000,
            sessions_min: 4,
            sessions_max: 64,
            session_ahead: SESSION_WINDOW_REQUESTS / 2,
        }
    }
}
