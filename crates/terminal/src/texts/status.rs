//! The lines of `status`.

use recado_protocol::Status;
use recado_protocol::reply::{MemberStatus, Role};

use super::{Texts, texts, worded};
use crate::render::escape;

texts! {
    TEXTS;

    role_primary() "primary" "primário";
    role_backup() "backup" "backup";
    role_joining() "joining" "chegando";
    role_down() "down" "fora";
    standing(rank: u64, term: u64, position: u64)
        "rank {rank}, term {term}, position {position}"
        "rank {rank}, termo {term}, posição {position}";
    /// How far a server's clock is from the primary's.
    clock_offset(ms: &str) "clock {ms} ms" "relógio {ms} ms";
    yes() "yes" "sim";
    no() "no" "não";
}

impl Texts {
    /// A line for each server, and one for each other role that told something.
    pub(crate) fn status(self, status: &Status) -> Vec<String> {
        let names = status.members.iter().map(|member| escape(&member.name).chars().count());
        let width = names.max().unwrap_or(0).max("reference".len());
        let mut lines: Vec<_> =
            status.members.iter().map(|member| self.member(member, width)).collect();
        let parts = [
            ("broker", &status.broker),
            ("proxy", &status.proxy),
            ("reference", &status.reference),
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
        format!(
            "{:width$}  {:role_width$}  {}{}, {}",
            escape(&member.name),
            self.role(member.role),
            self.standing(member.rank, member.term, member.applied),
            clock.map_or_else(String::new, |clock| format!(", {clock}")),
            escape(member.address.trim_start_matches("tcp://")),
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

    /// A map as `key value, key value`, whatever else as it is. The keys are the sender's words.
    fn facts(self, value: &rmpv::Value) -> String {
        let Some(entries) = value.as_map() else { return value.to_string() };
        let plain = |value: &rmpv::Value| match value {
            rmpv::Value::Boolean(true) => self.yes(),
            rmpv::Value::Boolean(false) => self.no(),
            value => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        let shown = entries.iter().map(|(key, value)| format!("{} {}", plain(key), plain(value)));
        shown.collect::<Vec<_>>().join(", ")
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
        };
        let entry = |key: &str, value: rmpv::Value| (key.into(), value);
        Status {
            members: vec![member],
            broker: rmpv::Value::Map(vec![
                entry("servers", 3.into()),
                entry("plain", false.into()),
                entry("at", "tcp://a:2\u{1b}".into()),
            ]),
            proxy: rmpv::Value::Map(Vec::new()),
            reference: "odd".into(),
        }
    }

    #[test]
    fn the_status_is_for_people() {
        assert_eq!(
            Texts::new(Language::English, "").status(&status()),
            [
                "server-1   primary  rank 2, term 3, position 12, clock -4 ms, a:1",
                "broker     servers 3, plain no, at tcp://a:2\\u{1b}",
                "reference  \"odd\"",
            ]
        );
        assert_eq!(
            Texts::new(Language::Portuguese, "").status(&status()),
            [
                "server-1   primário  rank 2, termo 3, posição 12, relógio -4 ms, a:1",
                "broker     servers 3, plain não, at tcp://a:2\\u{1b}",
                "reference  \"odd\"",
            ]
        );
    }
}
