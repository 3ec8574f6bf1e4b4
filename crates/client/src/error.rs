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
        "no answer from the cluster within {} s; it was not done, try again later",
        waited_ms.div_ceil(1000)
    )]
    Unavailable {
        /// How long it was tried, ms.
        waited_ms: u64,
    },
    /// It was sent and the answer never came: it may be done or not.
    #[error(
        "no answer within {} s, so it may be done or not; look into the history before you repeat it",
        waited_ms.div_ceil(1000)
    )]
    Unknown {
        /// How long it was tried, ms.
        waited_ms: u64,
    },
    /// The answer is not one to this request; whoever sent it speaks another protocol.
    #[error("the answer can't be understood: {0}")]
    BadReply(String),
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
