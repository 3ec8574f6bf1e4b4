//! The lines of `status`.

use recado_protocol::Status;
use recado_protocol::reply::{MemberStatus, Role};

use super::{Texts, texts, worded};
use crate::render::escape;

texts! {
    TEXTS;

    reference() "reference" "referência";
    role_primary() "primary" "primário";
    role_backup() "backup" "backup";
    role_joining() "joining" "chegando";
    role_down() "down" "fora";
    standing(rank: u64, term: u64, position: u64)
        "rank {rank}, term {term}, position {position}"
        "rank {rank}, termo {term}, posição {position}";
    nobody_leads(why: &str) "no server leads: {why}" "nenhum servidor lidera: {why}";
    /// How far a server's clock is from the primary's.
    clock_offset(ms: &str) "clock {ms} ms" "relógio {ms} ms";
    fact_address() "at" "em";
    fact_connected() "connected" "conectado";
    fact_pid() "process" "processo";
    fact_servers() "servers" "servidores";
    fact_in_flight() "in flight" "em andamento";
    fact_queued() "waiting" "esperando";
    fact_answered() "answered" "respondidos";
    fact_retried() "asked again" "repetidos";
    fact_refused() "refused" "recusados";
    fact_sessions() "sessions" "sessões";
    fact_replica() "replica" "réplica";
    /// What the reference's replica does.
    fact_follows() "follows" "acompanha";
    fact_votes() "votes" "vota";
    fact_uptime() "running for" "no ar há";
    yes() "yes" "sim";
    no() "no" "não";
}

impl Texts {
    /// A line for each server, and one for each other role that told something.
    pub(crate) fn status(self, status: &Status) -> Vec<String> {
        let names = status.members.iter().map(|member| escape(&member.name).chars().count());
        let reference = self.reference();
        let width = names.max().unwrap_or(0).max(reference.chars().count());
        let mut lines: Vec<_> =
            status.members.iter().map(|member| self.member(member, width)).collect();
        // The servers' word.
        lines.extend(status.why.as_ref().map(|why| self.nobody_leads(&escape(why))));
        let parts = [
            ("broker", &status.broker),
            ("proxy", &status.proxy),
            (reference.as_str(), &status.reference),
        ];
        for (name, value) in parts {
            if !value.is_nil() && value.as_map().is_none_or(|entries| !entries.is_empty()) {
                lines.push(format!("{name:width$}  {}", escape(&self.facts(value))));
            }
        }
        lines
    }

    fn member(self, member: &MemberStatus, width: usize) -> String {
        let roles = [Role::Primary, Role::Backup, Role::Joining, Role::Down];
        let longest = roles.map(|role| self.role(role).chars().count());
        let role_width = longest.into_iter().max().unwrap_or(0);
        let clock = member.clock_offset_ms.map(|ms| self.clock_offset(&format!("{ms:+}")));
        // The reason is the server's word.
        let why = member.why.as_ref().map(|why| format!(" ({})", escape(why)));
        format!(
            "{:width$}  {:role_width$}  {}{}, {}{}",
            escape(&member.name),
            self.role(member.role),
            self.standing(member.rank, member.term, member.applied),
            clock.map_or_else(String::new, |clock| format!(", {clock}")),
            escape(member.address.trim_start_matches("tcp://")),
            why.unwrap_or_default(),
        )
    }

    fn role(self, role: Role) -> String {
        match role {
            Role::Primary => self.role_primary(),
            Role::Backup => self.role_backup(),
            Role::Joining => self.role_joining(),
            Role::Down => self.role_down(),
        }
    }

    /// What a key of a role's facts is called; none for one that is not known here.
    fn fact(self, key: &str) -> Option<String> {
        Some(match key {
            "address" => self.fact_address(),
            "connected" => self.fact_connected(),
            "pid" => self.fact_pid(),
            "servers" => self.fact_servers(),
            "in_flight" => self.fact_in_flight(),
            "queued" => self.fact_queued(),
            "answered" => self.fact_answered(),
            "retried" => self.fact_retried(),
            "refused" => self.fact_refused(),
            "sessions" => self.fact_sessions(),
            "uptime_ms" => self.fact_uptime(),
            "replica" => self.fact_replica(),
            _ => return None,
        })
    }

    /// A map as `key value, key value`, whatever else as it is. A key that is not known here is
    /// the sender's word.
    fn facts(self, value: &rmpv::Value) -> String {
        let Some(entries) = value.as_map() else { return value.to_string() };
        let plain = |value: &rmpv::Value| match value {
            rmpv::Value::Boolean(true) => self.yes(),
            rmpv::Value::Boolean(false) => self.no(),
            value => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        let shown = entries.iter().map(|(key, value)| {
            let value = match (key.as_str(), value.as_u64(), value.as_str()) {
                (Some("uptime_ms"), Some(ms), _) => duration(ms),
                (Some("address"), _, Some(address)) => {
                    address.trim_start_matches("tcp://").to_owned()
                }
                (Some("replica"), _, Some("follows")) => self.fact_follows(),
                (Some("replica"), _, Some("votes")) => self.fact_votes(),
                _ => plain(value),
            };
            let name = key.as_str().and_then(|key| self.fact(key));
            format!("{} {value}", name.unwrap_or_else(|| plain(key)))
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// The two largest units of a time that has passed, as all languages here write them.
fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::Language;

    fn status() -> Status {
        let member = MemberStatus {
            name: "server-1".to_owned(),
            rank: 2,
            role: Role::Primary,
            address: "tcp://a:1".to_owned(),
            pid: 7,
            applied: 12,
            term: 3,
            clock_offset_ms: Some(-4),
            http: None,
            why: None,
            scrub: recado_protocol::reply::Scrub::default(),
        };
        let entry = |key: &str, value: rmpv::Value| (key.into(), value);
        Status {
            min_copies: 1,
            members: vec![member],
            broker: rmpv::Value::Map(vec![
                entry("servers", 3.into()),
                entry("in_flight", 2.into()),
                entry("connected", false.into()),
                entry("address", "tcp://a:2\u{1b}".into()),
                entry("uptime_ms", 7_384_000.into()),
                entry("a later word", true.into()),
            ]),
            proxy: rmpv::Value::Map(vec![entry("replica", "follows".into())]),
            reference: "odd".into(),
            brokers: rmpv::Value::Nil,
            proxies: rmpv::Value::Nil,
            why: None,
        }
    }

    #[test]
    fn durations_have_two_units() {
        let cases = [
            (0, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min 0 s"),
            (3_600_000, "1 h 0 min"),
            (90_000_000, "1 d 1 h"),
        ];
        for (ms, expected) in cases {
            assert_eq!(duration(ms), expected);
        }
    }

    #[test]
    fn the_status_is_for_people() {
        assert_eq!(
            Texts::new(Language::English, "").status(&status()),
            [
                "server-1   primary  rank 2, term 3, position 12, clock -4 ms, a:1",
                "broker     servers 3, in flight 2, connected no, at a:2\\u{1b}, \
                 running for 2 h 3 min, a later word yes",
                "proxy      replica follows",
                "reference  \"odd\"",
            ]
        );
        assert_eq!(
            Texts::new(Language::Portuguese, "").status(&status()),
            [
                "server-1    primário  rank 2, termo 3, posição 12, relógio -4 ms, a:1",
                "broker      servidores 3, em andamento 2, conectado não, em a:2\\u{1b}, \
                 no ar há 2 h 3 min, a later word sim",
                "proxy       réplica acompanha",
                "referência  \"odd\"",
            ]
        );
    }
}
