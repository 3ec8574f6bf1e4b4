//! The answer to `status`, from what this server sees.

use recado_protocol::backend::{BrokerFacts, ConnectedServer};
use recado_protocol::reply::{MemberStatus, Role, Scrub, Status};
use recado_replication::quorum::WHAT_TO_DO;
use recado_replication::{MemberView, View};
use rmpv::Value;

use crate::facts::{Door, Facts, ProxyView};

/// The cluster as this view shows it. The broker puts itself in on the way back.
pub fn status(view: &View, facts: &Facts) -> Status {
    let offsets = facts.offsets.borrow().clone();
    let members = view
        .members
        .iter()
        .map(|member| {
            let offset = offsets.get(&member.member.announced.node).copied();
            member_status(view, member, offset)
        })
        .collect();
    let proxies: Vec<Value> = facts.proxies().into_iter().map(proxy).collect();
    let brokers = facts.brokers().into_iter().map(broker).collect();
    Status {
        members,
        min_copies: view.min_copies,
        broker: Value::Map(Vec::new()),
        proxy: proxies.first().cloned().unwrap_or(Value::Nil),
        reference: reference(view, facts),
        brokers: Value::Array(brokers),
        proxies: Value::Array(proxies),
        why: why(view),
    }
}

/// Why nobody leads, as far as this server knows, and what to do about it.
pub fn why(view: &View) -> Option<String> {
    view.lacks.as_ref().map(|lacks| format!("{lacks}; {WHAT_TO_DO}"))
}

fn member_status(view: &View, row: &MemberView, clock_offset_ms: Option<i64>) -> MemberStatus {
    let announced = &row.member.announced;
    let applied = if announced.node == view.node { view.applied } else { row.matched.unwrap_or(0) };
    MemberStatus {
        name: announced.name.clone(),
        rank: announced.rank,
        role: role(view, row),
        address: announced.address.clone(),
        pid: announced.pid,
        applied,
        term: view.term,
        clock_offset_ms,
        // The broker has these from each server itself.
        http: None,
        why: row.why.clone(),
        scrub: Scrub::default(),
    }
}

fn role(view: &View, row: &MemberView) -> Role {
    if view.primary == Some(row.member.announced.node) {
        Role::Primary
    } else if !row.alive {
        Role::Down
    } else if row.member.active {
        Role::Backup
    } else {
        Role::Joining
    }
}

/// What is known of a broker or a proxy without its telling.
fn door<T>(door: &Door<T>) -> Vec<(Value, Value)> {
    vec![
        ("address".into(), door.address.as_str().into()),
        ("connected".into(), door.connected.into()),
        ("since".into(), door.since_ms.into()),
    ]
}

fn broker(broker: Door<BrokerFacts>) -> Value {
    let mut map = door(&broker);
    if let Some(told) = broker.told {
        map.push(("clients_at".into(), told.address.into()));
        push_process(&mut map, told.pid, told.http, told.uptime_ms);
        map.push(("clients".into(), told.clients.into()));
        map.push(("connections".into(), connections(told.servers)));
    }
    Value::Map(map)
}

fn proxy(view: ProxyView) -> Value {
    let mut map = door(&view.door);
    map.push(("live".into(), view.live.into()));
    if let Some(told) = view.door.told {
        push_process(&mut map, told.pid, told.http, told.uptime_ms);
        map.push(("publishers".into(), told.publishers.into()));
        map.push(("subscribers".into(), told.subscribers.into()));
        map.push(("connections".into(), connections(told.servers)));
    }
    Value::Map(map)
}

/// Which servers are connected, and since when.
fn connections(servers: Vec<ConnectedServer>) -> Value {
    let connection = |server: ConnectedServer| {
        let since = ("since".into(), server.since.into());
        Value::Map(vec![("name".into(), server.name.into()), since])
    };
    Value::Array(servers.into_iter().map(connection).collect())
}

fn push_process(map: &mut Vec<(Value, Value)>, pid: u32, http: Option<String>, uptime_ms: u64) {
    map.push(("pid".into(), pid.into()));
    if let Some(http) = http {
        map.push(("http".into(), http.into()));
    }
    map.push(("uptime_ms".into(), uptime_ms.into()));
}

fn reference(view: &View, facts: &Facts) -> Value {
    let known = facts.reference.borrow().clone();
    let mut map = vec![
        ("address".into(), facts.reference_address.as_str().into()),
        ("connected".into(), known.connected.into()),
    ];
    if let Some(pid) = known.pid {
        map.push(("pid".into(), pid.into()));
    }
    if let Some(http) = known.http {
        map.push(("http".into(), http.into()));
    }
    if let Some(replica) = &view.witness {
        let does = if replica.voter { "votes" } else { "follows" };
        map.push(("replica".into(), does.into()));
    }
    Value::Map(map)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use recado_chat::Member;
    use recado_chat::members::Announcement;

    use super::*;

    fn row(node: u64, active: bool, alive: bool) -> MemberView {
        let announced = Announcement {
            node,
            name: format!("s{node}"),
            address: format!("tcp://127.0.0.1:{node}"),
            rank: node,
            boot: 1,
            pid: 100,
            witness: false,
        };
        let member = Member { announced, active };
        MemberView {
            member,
            voter: active,
            matched: (node != 9).then_some(40 + node),
            why: None,
            alive,
        }
    }

    fn view(members: Vec<MemberView>) -> View {
        View {
            node: 1,
            term: 3,
            primary: Some(1),
            is_primary: true,
            applied: 77,
            members,
            witness: None,
            min_copies: 1,
            joint: false,
            lacks: None,
        }
    }

    #[test]
    fn roles_follow_from_liveness_and_activity() {
        let rows = vec![
            row(1, true, true),
            row(2, true, true),
            row(3, false, true),
            row(4, false, false),
            row(5, true, false),
        ];
        let facts = Facts::new("r", &[], &[]);
        let shown = status(&view(rows), &facts);
        let roles: Vec<Role> = shown.members.iter().map(|member| member.role).collect();
        assert_eq!(roles, [Role::Primary, Role::Backup, Role::Joining, Role::Down, Role::Down]);
    }

    #[test]
    fn positions_and_offsets_are_shown_where_known() {
        let facts = Facts::new("r", &[], &[]);
        facts.offsets.send_replace(Arc::new([(2, -4)].into()));
        let shown = status(
            &view(vec![row(1, true, true), row(2, true, true), row(9, false, true)]),
            &facts,
        );
        let seen: Vec<_> = shown.members.iter().map(|m| (m.applied, m.clock_offset_ms)).collect();
        assert_eq!(seen, [(77, None), (42, Some(-4)), (0, None)]);
    }

    #[test]
    fn the_reference_and_the_proxy_are_named_even_when_away() {
        let facts =
            Facts::new("tcp://r", &["tcp://b".into()], &["tcp://p".into(), "tcp://q".into()]);
        let shown = status(&view(Vec::new()), &facts);
        let said = |map: &Value, key: &str| {
            let entries = map.as_map().unwrap();
            entries.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v.clone())
        };
        assert_eq!(said(&shown.reference, "address"), Some("tcp://r".into()));
        assert_eq!(said(&shown.reference, "connected"), Some(false.into()));
        assert_eq!(said(&shown.reference, "pid"), None);
        assert_eq!(said(&shown.proxy, "address"), Some("tcp://p".into()));
        let all = shown.proxies.as_array().unwrap();
        assert_eq!((all.len(), &all[0]), (2, &shown.proxy));
        assert_eq!(said(&shown.brokers.as_array().unwrap()[0], "connected"), Some(false.into()));
        facts.reference.send_replace(crate::facts::ReferenceFacts {
            connected: true,
            pid: Some(5),
            http: None,
        });
        let shown = status(&view(Vec::new()), &facts);
        assert_eq!(said(&shown.reference, "pid"), Some(5.into()));
    }
}
