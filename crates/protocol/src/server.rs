//! Between servers, on port 5560 and above: the standard's services.
//!
//! Our own replication traffic on the same port has frames of its own (see PROTOCOL.md); a body
//! that is a plain `{service, data}` map is one of these.

/// A standard request from another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerRequest {
    /// What does your corrected clock show?
    Clock,
    /// Correct your clock by this many milliseconds (ours, from the primary only).
    ClockAdjust {
        /// To be added to the clock, ms.
        delta_ms: i64,
    },
    /// Are you there?
    Election,
    /// One of the four `replicate_*` names: the log's vocabulary, refused from outside of it.
    Replicate {
        /// The name.
        service: String,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerReply {
    /// To `clock`: ms since the Unix epoch.
    Clock {
        /// The corrected clock, ms since the Unix epoch.
        time: u64,
    },
    /// To `clock_adjust`.
    Adjusted,
    /// To `election`.
    Election,
    /// Refused.
    Refused(crate::code::Refusal),
}

impl ServerRequest {
    /// The service's name on the wire.
    pub fn service(&self) -> &str {
        match self {
            ServerRequest::Clock => "clock",
            ServerRequest::ClockAdjust { .. } => "clock_adjust",
            ServerRequest::Election => "election",
            ServerRequest::Replicate { service } => service,
        }
    }
}
