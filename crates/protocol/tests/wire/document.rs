//! PROTOCOL.md says what the code says: the same services, fields, codes and limits.

use std::collections::BTreeSet;

use recado_protocol::Code;
use recado_protocol::limits;
use recado_protocol::services::{Link, SERVICES, Service, Shape};

use crate::samples::{self, Way};

const DOCUMENT: &str = include_str!("../../../../PROTOCOL.md");

/// The rows of all tables under this heading whose first column has this title, as cells.
fn table(heading: &str, first_column: &str) -> Vec<Vec<&'static str>> {
    let mut rows = Vec::new();
    let (mut in_section, mut in_table) = (false, false);
    for line in DOCUMENT.lines() {
        if let Some(title) = line.strip_prefix('#') {
            in_section = title.trim_start_matches('#').trim() == heading;
        }
        let Some(inner) = line.strip_prefix("| ").and_then(|l| l.strip_suffix(" |")) else {
            // The line of dashes below a table's head has no spaces and is part of the table.
            in_table &= line.starts_with("|--");
            continue;
        };
        let cells: Vec<&str> = inner.split(" | ").map(str::trim).collect();
        if in_table {
            rows.push(cells);
        } else {
            in_table = in_section && cells[0] == first_column;
        }
    }
    assert!(!rows.is_empty(), "PROTOCOL.md has no table of {first_column} under “{heading}”");
    rows
}

/// The words of a cell that stand in back quotes.
fn words(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A shape as a cell has it: the standard's fields, then ours behind the word `ours:`.
fn cell(shape: Shape) -> String {
    let list = |fields: &[&str]| {
        fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
    };
    match (shape.standard, shape.ours) {
        ([], []) => "nothing".to_owned(),
        (standard, []) => list(standard),
        ([], ours) => format!("ours: {}", list(ours)),
        (standard, ours) => format!("{}; ours: {}", list(standard), list(ours)),
    }
}

fn row(service: &Service) -> Vec<String> {
    let part = if service.standard { "standard" } else { "ours" };
    let mut cells = vec![format!("`{}`", service.name), part.to_owned(), cell(service.request)];
    cells.extend(service.reply.map(cell));
    cells
}

#[test]
fn services() {
    for &link in Link::ALL {
        let told = SERVICES.iter().all(|s| s.link != link || s.reply.is_none());
        // The last column is for people.
        let columns = if told { 3 } else { 4 };
        let documented: Vec<Vec<&str>> = table(link.heading(), "service")
            .into_iter()
            .map(|row| row.into_iter().take(columns).collect())
            .collect();
        let coded: Vec<Vec<String>> = SERVICES.iter().filter(|s| s.link == link).map(row).collect();
        assert_eq!(documented, coded, "PROTOCOL.md (left) and SERVICES (right), {link:?}");
    }
}

#[test]
fn codes() {
    let documented: Vec<&str> =
        table("Error codes", "code").into_iter().flat_map(|row| words(row[0])).collect();
    let coded: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(documented, coded);
}

#[test]
fn limits() {
    let documented: Vec<(String, String)> = table("Limits", "limit")
        .into_iter()
        .map(|row| (words(row[0]).concat(), row[1].replace(' ', "")))
        .collect();
    let coded: Vec<(String, String)> =
        limits::ALL.iter().map(|limit| (limit.name.to_owned(), limit.value.to_string())).collect();
    assert_eq!(documented, coded);
}

/// The table in code is no wish: every message that we encode has exactly the table's fields.
#[test]
fn the_table_describes_what_is_sent() {
    let mut seen = BTreeSet::new();
    for sample in samples::all() {
        let value = rmpv::decode::read_value(&mut &sample.bytes[..]).unwrap();
        let fields: BTreeSet<&str> = value["data"]
            .as_map()
            .unwrap()
            .iter()
            .map(|(key, _)| key.as_str().unwrap())
            .filter(|key| !["timestamp", "clock"].contains(key))
            .collect();
        if sample.way == Way::Refusal {
            let text = match sample.service.as_str() {
                "publish" | "message" => "message",
                _ => "description",
            };
            assert_eq!(fields, BTreeSet::from(["status", text, "code"]), "{}", sample.name);
            continue;
        }
        let service = SERVICES
            .iter()
            .find(|s| s.link == sample.link && s.name == sample.service)
            .unwrap_or_else(|| panic!("SERVICES lacks {}", sample.name));
        let shape = match sample.way {
            Way::Request => service.request,
            _ => service.reply.unwrap(),
        };
        seen.insert((format!("{:?}", service.link), service.name, sample.way == Way::Request));
        let listed = || shape.standard.iter().chain(shape.ours);
        let known: BTreeSet<&str> = listed().map(|field| field.trim_end_matches('?')).collect();
        assert!(fields.is_subset(&known), "{} sends {fields:?}", sample.name);
        // We never write replicated entries on this port, we only recognise their names.
        if !service.name.starts_with("replicate_") {
            let always: BTreeSet<&str> =
                listed().copied().filter(|field| !field.ends_with('?')).collect();
            assert!(fields.is_superset(&always), "{} sends {fields:?}", sample.name);
        }
    }
    for service in SERVICES {
        let link = format!("{:?}", service.link);
        assert!(seen.contains(&(link.clone(), service.name, true)), "no sample of {service:?}");
        // Nobody answers `replicate_*` with success.
        let answered = service.reply.is_some() && !service.name.starts_with("replicate_");
        assert!(
            !answered || seen.contains(&(link, service.name, false)),
            "no reply of {service:?}"
        );
    }
}
