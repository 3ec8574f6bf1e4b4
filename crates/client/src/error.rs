//! Why a request did not succeed.

use recado_protocol::Refusal;
use recado_transport::OpenError;

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address can't be used at all.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The cluster answered no, and says why. Nothing changed.
    #[error("{0}")]
    Refused(Refusal),
    /// Nobody took the request in this time: certainly not done.
    #[error(
        "no answer from the cluster within {} s; it was not done{}",
        seconds(*waited_ms),
        why.as_ref().map_or_else(|| ", try again later".to_owned(), |why| format!(": {why}"))
    )]
    Unavailable {
        /// How long it was tried, ms.
        waited_ms: u64,
        /// Why nobody took it, in a sentence without its stop, when the broker knows.
        why: Option<String>,
    },
    /// It was sent and the answer never came: it may be done or not.
    #[error(
        "no answer within {} s, so it may be done or not; look into the history before you repeat it",
        seconds(*waited_ms)
    )]
    Unknown {
        /// How long it was tried, ms.
        waited_ms: u64,
    },
    /// The answer is not one to this request; whoever sent it speaks another protocol.
    #[error("the answer can't be understood: {0}")]
    BadReply(String),
}

/// Whole seconds, at least one.
fn seconds(ms: u64) -> u64 {
    (ms.saturating_add(500) / 1000).max(1)
}

impl ClientError {
    /// The stable word of a refusal, if this is one.
    pub fn code(&self) -> Option<recado_protocol::Code> {
        match self {
            ClientError::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}
