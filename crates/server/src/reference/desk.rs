//! From a request's bytes to the answer's, by the registry's rules.

use bytes::Bytes;
use recado_chat::names;
use recado_chat::registry::{self, Persistent, Registry};
use recado_protocol::codec;
use recado_protocol::reference::{Listed, ReferenceReply, ReferenceRequest, Registration};
use recado_protocol::{Code, Refusal};

use crate::clocks::Clocks;
use crate::config::WITNESS_NAME;

/// How many servers the list holds; more names than this are somebody's mistake.
const MAX_LISTED_SERVERS: usize = 1024;

/// Numbers of clusters stay below this, so that programs whose numbers are doubles can carry them.
const MAX_CLUSTER: u64 = 1 << 53;

/// An answer, and what must be on disk before it is sent.
pub struct Response {
    /// The body.
    pub reply: Bytes,
    /// None if nothing changed.
    pub persist: Option<Persistent>,
    /// Why the request was refused, if it was.
    pub refused: Option<Code>,
}

/// Answers requests.
pub struct Desk {
    registry: Registry,
    clocks: Clocks,
    pid: u32,
    http: Option<String>,
    list: Vec<Listed>,
    /// The registry's count of changes when `list` was made.
    list_changes: Option<u64>,
}

impl Desk {
    /// Answers by this registry, and says that the reference serves HTTP there, if it does.
    pub fn new(registry: Registry, clocks: Clocks, pid: u32, http: Option<String>) -> Desk {
        Desk { registry, clocks, pid, http, list: Vec::new(), list_changes: None }
    }

    /// Answers one request; whatever the bytes are, there is an answer.
    pub fn answer(&mut self, body: &[u8], now_ms: u64) -> Response {
        let (service, reply, persist) = match codec::decode_reference_request(body) {
            Ok((request, clock)) => {
                self.clocks.observe(clock);
                let (reply, persist) = self.reply(&request, now_ms);
                (request.service().to_owned(), reply, persist)
            }
            Err(bad) => (bad.service, ReferenceReply::Refused(bad.refusal), None),
        };
        let refused = match &reply {
            ReferenceReply::Refused(refusal) => Some(refusal.code),
            _ => None,
        };
        let stamp = self.clocks.stamp_message();
        Response { reply: codec::encode_reference_reply(&service, &reply, stamp), persist, refused }
    }

    /// Takes silent servers off the list.
    pub fn expire(&mut self, now_ms: u64) {
        for name in self.registry.expire(now_ms) {
            tracing::warn!(server = %name, "was silent for too long and is off the list");
        }
    }

    fn reply(
        &mut self,
        request: &ReferenceRequest,
        now_ms: u64,
    ) -> (ReferenceReply, Option<Persistent>) {
        match request {
            ReferenceRequest::Rank(said) => self.register(said, now_ms, |answer, list| {
                ReferenceReply::Rank { rank: answer.rank, form: answer.form, list }
            }),
            ReferenceRequest::Heartbeat(said) => {
                let (pid, http) = (self.pid, self.http.clone());
                self.register(said, now_ms, |answer, list| ReferenceReply::Heartbeat {
                    rank: answer.rank,
                    form: answer.form,
                    list,
                    pid,
                    http: http.clone(),
                })
            }
            ReferenceRequest::List => (ReferenceReply::List(self.list().to_vec()), None),
            ReferenceRequest::Status => {
                let last_rank = self.registry.persistent().last_rank;
                let list = self.list().to_vec();
                let (pid, http) = (self.pid, self.http.clone());
                (ReferenceReply::Status { pid, last_rank, list, http }, None)
            }
        }
    }

    fn register(
        &mut self,
        said: &Registration,
        now_ms: u64,
        reply: impl Fn(&registry::Answer, Vec<Listed>) -> ReferenceReply,
    ) -> (ReferenceReply, Option<Persistent>) {
        if let Err(error) = names::check(&said.user) {
            let refusal = Refusal::new(Code::InvalidName, error.to_string());
            return (ReferenceReply::Refused(refusal), None);
        }
        if said.user == WITNESS_NAME {
            let text = format!("\"{WITNESS_NAME}\" is the name of the reference's own replica");
            return (ReferenceReply::Refused(Refusal::new(Code::InvalidName, text)), None);
        }
        let known_rank =
            self.list().iter().find(|listed| listed.name == said.user).map(|listed| listed.rank);
        if known_rank.is_none() && self.list.len() >= MAX_LISTED_SERVERS {
            let text = format!("the list is full: {MAX_LISTED_SERVERS} servers");
            return (ReferenceReply::Refused(Refusal::new(Code::TooLarge, text)), None);
        }
        let registration = registry::Registration {
            name: said.user.clone(),
            boot: said.boot,
            address: said.address.clone(),
            node: said.node,
            cluster: said.cluster,
        };
        if let Some(holder) = self.registry.holder(&registration) {
            let place = holder.address.as_deref().unwrap_or("an unknown address");
            let text = format!("another server named {} is at {place}", said.user);
            return (ReferenceReply::Refused(Refusal::new(Code::NameTaken, text)), None);
        }
        let fresh_cluster = rand::random_range(1..MAX_CLUSTER);
        let answer = self.registry.register(registration, fresh_cluster, now_ms);
        if known_rank == Some(answer.rank) {
            tracing::debug!(server = %said.user, rank = answer.rank, "a server is alive");
        } else {
            tracing::info!(server = %said.user, rank = answer.rank, "a server is registered");
        }
        if let Some(granted) = answer.persist.as_ref().and_then(|kept| kept.granted_to)
            && answer.form.is_some()
        {
            tracing::info!(server = %said.user, node = granted, "a server may form the cluster");
        }
        let list = self.list().to_vec();
        (reply(&answer, list), answer.persist)
    }

    /// The servers that are there, by rank.
    pub fn list(&mut self) -> &[Listed] {
        let changes = self.registry.changes();
        if self.list_changes != Some(changes) {
            self.list_changes = Some(changes);
            self.list = self.registry.list().into_iter().map(listed).collect();
        }
        &self.list
    }
}

fn listed(row: registry::Listed) -> Listed {
    Listed { name: row.name, rank: row.rank, address: row.address, node: row.node }
}

#[cfg(test)]
mod tests {
    use recado_chat::registry::Limits;

    use super::*;

    fn desk() -> Desk {
        let registry = Registry::new(Persistent::default(), Limits::default(), 0);
        Desk::new(registry, Clocks::new(0), 99, None)
    }

    fn ask(desk: &mut Desk, request: &ReferenceRequest) -> (ReferenceReply, Option<Persistent>) {
        let stamp = codec::Stamp { timestamp: 0, clock: 1 };
        let response = desk.answer(&codec::encode_reference_request(request, stamp), 10);
        (codec::decode_reference_reply(&response.reply).unwrap().0, response.persist)
    }

    fn standard(user: &str) -> Registration {
        Registration { user: user.into(), ..Registration::default() }
    }

    #[test]
    fn a_standard_server_gets_a_rank_that_must_be_stored_first() {
        let mut desk = desk();
        let (reply, persist) = ask(&mut desk, &ReferenceRequest::Rank(standard("a")));
        assert!(matches!(reply, ReferenceReply::Rank { rank: 1, .. }), "{reply:?}");
        assert_eq!(persist.unwrap().last_rank, 1);
        let (reply, persist) = ask(&mut desk, &ReferenceRequest::Heartbeat(standard("a")));
        assert!(matches!(reply, ReferenceReply::Heartbeat { rank: 1, pid: 99, .. }), "{reply:?}");
        assert_eq!(persist, None);
    }

    #[test]
    fn a_name_is_not_given_to_another_folder_while_its_server_is_heard_of() {
        let mut desk = desk();
        let server = |node, boot| Registration {
            user: "a".into(),
            boot: Some(boot),
            node: Some(node),
            address: Some(format!("tcp://{node}:1")),
            ..Registration::default()
        };
        ask(&mut desk, &ReferenceRequest::Rank(server(1, 1)));
        for request in [ReferenceRequest::Rank, ReferenceRequest::Heartbeat] {
            let (reply, persist) = ask(&mut desk, &request(server(2, 2)));
            let ReferenceReply::Refused(refusal) = reply else { panic!("{reply:?}") };
            assert_eq!(refusal.code, Code::NameTaken);
            assert!(refusal.text.contains("tcp://1:1"), "{refusal}");
            assert_eq!(persist, None);
        }
        let (reply, _) = ask(&mut desk, &ReferenceRequest::Rank(server(1, 3)));
        assert!(matches!(reply, ReferenceReply::Rank { rank: 2, .. }), "a restart: {reply:?}");
        for now_ms in (0..4000).step_by(100) {
            desk.expire(now_ms);
        }
        let (reply, _) = ask(&mut desk, &ReferenceRequest::Rank(server(2, 2)));
        assert!(matches!(reply, ReferenceReply::Rank { rank: 3, .. }), "{reply:?}");
    }

    #[test]
    fn the_list_shows_who_registered_by_rank() {
        let mut desk = desk();
        for name in ["b", "a"] {
            ask(&mut desk, &ReferenceRequest::Rank(standard(name)));
        }
        let (ReferenceReply::List(list), _) = ask(&mut desk, &ReferenceRequest::List) else {
            panic!("no list");
        };
        let shown: Vec<_> = list.iter().map(|row| (row.name.as_str(), row.rank)).collect();
        assert_eq!(shown, [("b", 1), ("a", 2)]);
    }

    #[test]
    fn bad_bodies_and_bad_names_get_an_error() {
        let mut desk = desk();
        for body in [&b""[..], b"\xff\xff", b"\x80", b"\x81\xa7service\xa4rank", &[0x91; 2000]] {
            let response = desk.answer(body, 10);
            let reply = codec::decode_reference_reply(&response.reply).unwrap().0;
            let ReferenceReply::Refused(refusal) = reply else { panic!("{body:?}: {reply:?}") };
            assert_eq!((response.refused, response.persist), (Some(refusal.code), None));
        }
        for name in [" ", WITNESS_NAME] {
            let (reply, persist) = ask(&mut desk, &ReferenceRequest::Rank(standard(name)));
            assert!(matches!(reply, ReferenceReply::Refused(_)), "{reply:?}");
            assert_eq!(persist, None);
        }
    }

    #[test]
    fn the_list_has_an_end() {
        let mut desk = desk();
        for number in 0..MAX_LISTED_SERVERS {
            ask(&mut desk, &ReferenceRequest::Rank(standard(&format!("s{number}"))));
        }
        let (reply, _) = ask(&mut desk, &ReferenceRequest::Rank(standard("one more")));
        assert!(matches!(reply, ReferenceReply::Refused(_)), "{reply:?}");
        let (reply, _) = ask(&mut desk, &ReferenceRequest::Heartbeat(standard("s5")));
        assert!(matches!(reply, ReferenceReply::Heartbeat { rank: 6, .. }), "{reply:?}");
    }
}
