//! Which servers are connected to the proxy, by the names that they give themselves.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use omq_tokio::Socket;
use recado_protocol::backend::ConnectedServer;
use recado_protocol::limits::{MAX_LABEL_BYTES, MAX_TOLD_SERVERS};
use tokio::sync::Notify;

use super::stamp;

/// The publishers that are connected, by the number of their connection. Those that give no name
/// (a PUB of somebody else's) are left out.
#[derive(Default)]
pub struct Roster(Mutex<HashMap<u64, ConnectedServer>>);

impl Roster {
    /// Who is connected, the oldest connections first.
    pub fn servers(&self) -> Vec<ConnectedServer> {
        let mut servers: Vec<_> = self.lock().values().cloned().collect();
        servers.sort_by(|a, b| (a.since, &a.name).cmp(&(b.since, &b.name)));
        servers.truncate(MAX_TOLD_SERVERS);
        servers
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, ConnectedServer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the roster true, and says when it changed. Ends with the socket.
pub async fn follow(publishers: &Socket, roster: &Roster, changed: &Notify) {
    loop {
        let seen = publishers.connections_generation();
        let Ok(connections) = publishers.connections().await else { return };
        let now_ms = stamp().timestamp;
        {
            let mut known = roster.lock();
            let mut left = std::mem::take(&mut *known);
            for connection in connections {
                let info = connection.peer_info.as_ref();
                let Some(name) = info.and_then(|info| name(info.peer_identity.as_deref()?)) else {
                    continue;
                };
                let number = connection.connection_id;
                let new = || ConnectedServer { name, since: now_ms };
                known.insert(number, left.remove(&number).unwrap_or_else(new));
            }
        }
        changed.notify_one();
        if publishers.connections_changed(seen).await.is_err() {
            return;
        }
    }
}

/// The name that a publisher gives itself; none if it can't be one.
fn name(identity: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(identity).ok()?;
    let fits = !name.is_empty() && name.len() <= MAX_LABEL_BYTES;
    (fits && !name.contains(char::is_control)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_name_is_taken_for_one() {
        assert_eq!(name("Zoé's server".as_bytes()).as_deref(), Some("Zoé's server"));
        for identity in [&b""[..], b"\xff\xfe", b"a\nb", &[b'x'; MAX_LABEL_BYTES + 1]] {
            assert_eq!(name(identity), None);
        }
    }
}
