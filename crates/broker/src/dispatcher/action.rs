//! What comes out of the dispatcher.

use bytes::Bytes;
use recado_protocol::backend::ToServer;
use recado_protocol::{Refusal, Status};
use recado_transport::Envelope;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Send a request to a server.
    Deal {
        /// The server's connection.
        server: Bytes,
        /// The header.
        header: ToServer,
        /// The client's request, untouched.
        body: Bytes,
    },
    /// Pass a server's reply on.
    Reply {
        /// Whom to.
        to: Envelope,
        /// The reply, untouched.
        body: Bytes,
    },
    /// Refuse a request.
    Refuse {
        /// Whom to.
        to: Envelope,
        /// The service that the refusal names.
        service: String,
        /// Why.
        refusal: Refusal,
    },
    /// Tell servers how the broker is.
    Tell {
        /// Their connections.
        to: Vec<Bytes>,
        /// All servers that are connected.
        servers: Vec<Connected>,
    },
    /// Answer `status`.
    Status {
        /// Whom to.
        to: Envelope,
        /// What the servers say; the broker's part is filled in.
        status: Box<Status>,
    },
}

/// A server that is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Its name.
    pub name: String,
    /// Since when, on the clock of the calls.
    pub since_ms: u64,
}
