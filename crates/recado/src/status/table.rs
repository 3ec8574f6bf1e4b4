//! The status for people.

use std::fmt::Write;

use serde_json::Value;

/// How much of a line facts may take, behind the role's name.
const FACTS_COLUMNS: usize = 69;

/// Servers in columns; below them what is known of every other role, as facts in lines.
pub fn table(status: &Value) -> String {
    let header =
        ["SERVER", "RANK", "ROLE", "ADDRESS", "PID", "APPLIED", "TERM", "CLOCK", "CHECKED"];
    let mut rows = vec![header.map(str::to_owned)];
    for member in status["members"].as_array().into_iter().flatten() {
        let clock = member["clock_offset_ms"].as_i64().map(|ms| format!("{ms:+} ms"));
        let cell = |key: &str| cell(&member[key]);
        rows.push([
            cell("name"),
            cell("rank"),
            cell("role"),
            cell("address"),
            cell("pid"),
            cell("applied"),
            cell("term"),
            clock.unwrap_or_else(|| "-".into()),
            checked(member),
        ]);
    }
    let widths: [usize; 9] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in rows {
        let line: Vec<_> = row.iter().zip(widths).map(|(c, width)| format!("{c:width$}")).collect();
        _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    if status["members"].as_array().is_none_or(Vec::is_empty) {
        text.clear();
    }
    for member in status["members"].as_array().into_iter().flatten() {
        if let Some(why) = member["why"].as_str() {
            _ = writeln!(text, "{} is not waited for: {why}", cell(&member["name"]));
        }
    }
    if let Some(needed) = status["min_copies"].as_u64().filter(|needed| *needed > 1) {
        let members = status["members"].as_array().into_iter().flatten();
        let active = members.filter(|m| matches!(m["role"].as_str(), Some("primary" | "backup")));
        let active = active.count() as u64;
        let refused = if active < needed { "; no write is taken" } else { "" };
        _ = writeln!(text, "writes need {needed} active servers, {active} are{refused}");
    }
    text.push('\n');
    let of = |list: &str| status[list].as_array().map(Vec::as_slice).unwrap_or_default();
    let brokers = of("brokers").iter().map(|broker| ("broker", broker));
    let proxies = of("proxies").iter().map(|proxy| ("proxy", proxy));
    for (role, facts) in brokers.chain(proxies).chain([("reference", &status["reference"])]) {
        let facts = facts.as_object().into_iter().flatten().filter(|(_, fact)| !fact.is_null());
        let mut facts: Vec<_> = facts.collect();
        // What matters to people stands first, whoever told it.
        facts.sort_by_key(|(key, _)| match key.as_str() {
            "address" => 0,
            "pid" => 1,
            _ => 2,
        });
        let facts: Vec<_> = facts.iter().filter_map(|(key, value)| fact(key, value)).collect();
        for (number, line) in fold(&facts).iter().enumerate() {
            let name = if number == 0 { role } else { "" };
            _ = writeln!(text, "{}", format!("{name:9}  {line}").trim_end());
        }
    }
    text
}

/// A fact for people. Times are told as how long ago they were.
fn fact(key: &str, value: &Value) -> Option<String> {
    match (key, value) {
        ("connections", Value::Array(servers)) if !servers.is_empty() => {
            let each = servers.iter().filter_map(|server| {
                let name = server["name"].as_str()?;
                Some(format!("{name} for {}", ago(server["since"].as_u64()?)))
            });
            Some(format!("connected {}", each.collect::<Vec<_>>().join(" · ")))
        }
        (_, Value::Array(_)) => None,
        ("since", since) => Some(format!("for {}", ago(since.as_u64()?))),
        ("uptime_ms", _) => None,
        _ => Some(format!("{key} {}", cell(value))),
    }
}

/// How long ago a time was, ms since the Unix epoch.
fn ago(since_ms: u64) -> String {
    let seconds = recado_client::now_ms().saturating_sub(since_ms) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// Facts in lines that fit a terminal.
fn fold(facts: &[String]) -> Vec<String> {
    let mut lines = vec![String::new()];
    for fact in facts {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(fact),
            Some(line) if line.len() + 2 + fact.len() <= FACTS_COLUMNS => {
                line.push_str(", ");
                line.push_str(fact);
            }
            _ => lines.push(fact.clone()),
        }
    }
    lines
}

/// How the check of a server's rows stands.
fn checked(member: &Value) -> String {
    match (member["scrub_left"].as_u64(), member["scrubbed"].as_u64()) {
        (Some(rows), _) => format!("{rows} rows left"),
        (None, Some(ended_ms)) => format!("{} ago", ago(ended_ms)),
        (None, None) => "-".into(),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn many_facts_take_several_lines() {
        let facts: Vec<_> = (0..9).map(|n| format!("number_of_things {n}")).collect();
        let lines = fold(&facts);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines.iter().all(|line| line.len() <= FACTS_COLUMNS), "{lines:?}");
        assert_eq!(lines.join(", "), facts.join(", "));
        assert_eq!(fold(&[]), [""]);
    }

    #[test]
    fn it_is_said_when_too_few_are_active_for_writes() {
        let row = |role: &str| json!({"name": "s", "role": role});
        let mut status = json!({"members": [row("primary"), row("joining")], "min_copies": 2});
        let said = table(&status);
        assert!(said.contains("writes need 2 active servers, 1 are; no write is taken"), "{said}");
        status["members"][1] = row("backup");
        let said = table(&status);
        assert!(said.contains("writes need 2 active servers, 2 are\n"), "{said}");
        status["min_copies"] = json!(1);
        assert!(!table(&status).contains("writes need"));
    }

    #[test]
    fn the_table_lines_up() {
        let status = json!({
            "members": [
                {"name": "server-1", "rank": 1, "role": "primary", "address": "tcp://a:1",
                 "pid": 7, "applied": 12, "term": 2, "clock_offset_ms": -3, "scrub_left": 9},
                {"name": "s", "rank": 12, "role": "down", "address": "tcp://b:1",
                 "pid": null, "applied": 12, "term": 2, "clock_offset_ms": null,
                 "why": "its disk hangs"},
            ],
            "brokers": [{"pid": 9, "queued": 0, "address": "tcp://a:5555"}],
            "proxies": [{"answers": false}],
            "reference": {"listed": []},
        });
        let expected = "\
SERVER    RANK  ROLE     ADDRESS    PID  APPLIED  TERM  CLOCK  CHECKED
server-1  1     primary  tcp://a:1  7    12       2     -3 ms  9 rows left
s         12    down     tcp://b:1  -    12       2     -      -
s is not waited for: its disk hangs

broker     address tcp://a:5555, pid 9, queued 0
proxy      answers no
reference\n";
        assert_eq!(table(&status), expected);
    }
}
