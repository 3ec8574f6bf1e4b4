//! Every text of the line client, so that a translation has one place to go.

use recado_client::ClientError;
use recado_protocol::{Ack, Code, Status};

use crate::line::command::{Fault, Usage};
use crate::render::escape;

/// What `help` prints.
pub(crate) const HELP: &str = "\
login <name>              log in, or become known
users                     who there is
channels                  which channels there are
create <channel>          create a channel and join it
join <channel>            receive a channel's messages
leave <channel>           receive them no more
pub <channel> <message>   publish, and join the channel
msg <user> <message>      send a private message
history [name] [n]        last n messages of a channel, with a user, or to you
status                    how the cluster is
help                      this list
quit                      leave
A name with a space goes into double quotes: join \"coffee break\"";

/// What stands in front of every error.
pub(crate) const ERROR: &str = "error: ";

pub(crate) const NO_USERS: &str = "no users yet; log in with: login <name>";
pub(crate) const NO_CHANNELS: &str = "no channels yet; create one with: create <channel>";
pub(crate) const NO_MESSAGES: &str = "no messages yet";
pub(crate) const LOG_IN_FIRST: &str = "log in first: login <name>";
pub(crate) const WHICH_HISTORY: &str = "say whose history: history <channel or user> [n]";
pub(crate) const GAVE_UP: &str = "gave up waiting; it may be done or not";
pub(crate) const NOT_TEXT: &str = "a line is not UTF-8 text; it was skipped";
pub(crate) const CONNECTED: &str = "connected; help lists the commands";
pub(crate) const CONNECTED_NOBODY: &str =
    "connected; begin with: login <name> (help lists the commands)";
pub(crate) const BROKER_BACK: &str = "the broker is back";
pub(crate) const PROXY_BACK: &str = "the proxy is back; missed messages follow";

pub(crate) fn usage(usage: Usage) -> &'static str {
    match usage {
        Usage::Login => "login <name>",
        Usage::Users => "users",
        Usage::Channels => "channels",
        Usage::Create => "create <channel>",
        Usage::Publish => "pub <channel> <message>",
        Usage::Message => "msg <user> <message>",
        Usage::Join => "join <channel>",
        Usage::Leave => "leave <channel>",
        Usage::History => "history [channel or user] [n]",
        Usage::Status => "status",
        Usage::Help => "help",
        Usage::Quit => "quit",
    }
}

/// What is wrong with a line that is not a command.
pub(crate) fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Unknown { word, nearest: Some(nearest) } => {
            format!("no command \"{}\"; did you mean {nearest}? help lists all", escape(word))
        }
        Fault::Unknown { word, nearest: None } => {
            format!("no command \"{}\"; help lists all", escape(word))
        }
        Fault::OpenQuote => "a double quote is not closed".to_owned(),
        Fault::Missing(command) => format!("something is missing: {}", usage(*command)),
        Fault::TooMuch(command) => format!(
            "too many words: {} (a name with a space goes into double quotes)",
            usage(*command)
        ),
        Fault::NotANumber(word) => format!("\"{}\" is not a number of messages", escape(word)),
    }
}

pub(crate) fn too_long(limit_bytes: usize) -> String {
    format!("a line is longer than {limit_bytes} bytes; it was skipped")
}

pub(crate) fn cant_connect(endpoint: &str) -> String {
    format!(
        "can't reach the broker at {endpoint} (still trying); start it with `recado up`, or say \
         where it is with --broker or --port-base"
    )
}

pub(crate) fn broker_lost(endpoint: &str) -> String {
    format!("the broker at {endpoint} is not connected; commands wait for it (Ctrl-C gives up)")
}

pub(crate) fn proxy_lost(endpoint: &str) -> String {
    format!("the proxy at {endpoint} is not connected; messages come in when it is back")
}

pub(crate) fn logged_in(user: &str) -> String {
    format!("logged in as {}", escape(user))
}

pub(crate) fn created(channel: &str) -> String {
    format!("created and joined {}", escape(channel))
}

pub(crate) fn joined(channel: &str) -> String {
    format!("joined {}", escape(channel))
}

pub(crate) fn left(channel: &str) -> String {
    format!("left {}", escape(channel))
}

pub(crate) fn not_joined(channel: &str) -> String {
    format!("you are not in {}; join it with: join {}", escape(channel), quoted(channel))
}

pub(crate) fn no_such_name(name: &str) -> String {
    format!("there is no channel or user called {}", escape(name))
}

pub(crate) fn elected(coordinator: &str) -> String {
    format!("new primary: {}", escape(coordinator))
}

pub(crate) fn gap_filled(topic: &str, count: usize) -> String {
    match count {
        1 => format!("1 message of {} came late, from the history", escape(topic)),
        _ => format!("{count} messages of {} came late, from the history", escape(topic)),
    }
}

pub(crate) fn left_out(lines: u64) -> String {
    format!("{lines} lines came faster than they could be shown; history has the messages")
}

/// Where an acknowledged message is; a standard server tells nothing.
pub(crate) fn sent(to: &str, ack: &Ack) -> String {
    let to = escape(to);
    match ack {
        Ack { seq: 0, .. } => format!("sent to {to}"),
        Ack { seq, members: 0, .. } => format!("sent to {to} as #{seq}"),
        Ack { seq, stored, members, .. } => {
            format!("sent to {to} as #{seq}, stored on {stored} of {members} servers")
        }
    }
}

/// What a request was about, so that a refusal can say what to do.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    User(&'a str),
    Channel(&'a str),
    Nothing,
}

pub(crate) fn failed(error: &ClientError, about: About<'_>) -> String {
    let ClientError::Refused(refusal) = error else { return escape(&error.to_string()) };
    match (refusal.code, about) {
        (Code::UnknownChannel, About::Channel(channel)) => format!(
            "there is no channel {}; create it with: create {}",
            escape(channel),
            quoted(channel)
        ),
        (Code::ChannelExists, About::Channel(channel)) => format!(
            "the channel {} exists already; join it with: join {}",
            escape(channel),
            quoted(channel)
        ),
        (Code::UnknownUser, About::User(user)) => {
            format!("there is no user {}; users lists who there is", escape(user))
        }
        (Code::NameTaken, About::User(name)) => {
            format!("{} is the name of a channel; choose another one", escape(name))
        }
        (Code::NameTaken, About::Channel(name)) => {
            format!("{} is the name of a user; choose another one", escape(name))
        }
        _ => escape(&refusal.text),
    }
}

/// The lines of `status`.
pub(crate) fn status(status: &Status) -> Vec<String> {
    let names: Vec<String> = status.members.iter().map(|member| escape(&member.name)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max();
    let width = longest.unwrap_or(0).max("reference".len());
    let mut lines = Vec::with_capacity(status.members.len() + 3);
    for (member, name) in status.members.iter().zip(names) {
        let role = member.role.as_str();
        let clock = member.clock_offset_ms.map_or(String::new(), |ms| format!(", clock {ms:+} ms"));
        lines.push(format!(
            "{name:width$}  {role:<7}  rank {}, term {}, position {}{clock}, {}",
            member.rank,
            member.term,
            member.applied,
            escape(member.address.trim_start_matches("tcp://")),
        ));
    }
    let parts =
        [("broker", &status.broker), ("proxy", &status.proxy), ("reference", &status.reference)];
    for (name, value) in parts {
        if !value.is_nil() && value.as_map().is_none_or(|entries| !entries.is_empty()) {
            lines.push(format!("{name:width$}  {}", escape(&facts(value))));
        }
    }
    lines
}

/// A map as `key value, key value`, whatever else as it is.
fn facts(value: &rmpv::Value) -> String {
    let Some(entries) = value.as_map() else { return value.to_string() };
    let plain = |value: &rmpv::Value| match value {
        rmpv::Value::Boolean(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        value => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    let shown = entries.iter().map(|(key, value)| format!("{} {}", plain(key), plain(value)));
    shown.collect::<Vec<_>>().join(", ")
}

/// A name as it is typed.
pub(crate) fn quoted(name: &str) -> String {
    escape(&crate::line::command::quote(name))
}

#[cfg(test)]
mod tests {
    use recado_protocol::reply::{MemberStatus, Role};

    use super::*;

    #[test]
    fn the_help_fits_a_terminal() {
        for line in HELP.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn the_status_is_for_people() {
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
        let status = Status {
            members: vec![member],
            broker: rmpv::Value::Map(vec![
                entry("servers", 3.into()),
                entry("plain", false.into()),
                entry("at", "tcp://a:2\u{1b}".into()),
            ]),
            proxy: rmpv::Value::Map(Vec::new()),
            reference: "odd".into(),
        };
        assert_eq!(
            super::status(&status),
            [
                "server-1   primary  rank 2, term 3, position 12, clock -4 ms, a:1",
                "broker     servers 3, plain no, at tcp://a:2\\u{1b}",
                "reference  \"odd\"",
            ]
        );
    }
}
