//! The table in docs/metrics.md and the alerts are compared with the code.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const DOCUMENT: &str = include_str!("../../../../docs/metrics.md");
const RULES: &str = include_str!("../../../../dist/prometheus/recado.rules.yml");

/// One row of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    kind: String,
    labels: BTreeSet<String>,
    roles: BTreeSet<&'static str>,
    help: String,
}

/// What each role shows, before anything has happened.
fn pages() -> Vec<(&'static str, String)> {
    let (mut broker, mut proxy) = (Shown::default(), Shown::default());
    let (mut reference, mut server) = (Shown::default(), Shown::default());
    let dir = std::env::temp_dir().join("no folder of recado");
    // The disk is that of a folder that is there.
    let dir = dir.parent().unwrap_or(&dir);
    broker.broker();
    proxy.proxy();
    reference.reference(dir);
    server.server(dir);
    let all = [("broker", broker), ("proxy", proxy), ("reference", reference), ("server", server)];
    let shown = all.map(|(role, shown)| {
        let mut text = String::new();
        let registry = shown.complete(&Vitals::default());
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        (role, text)
    });
    shown.into()
}

/// Everything that any role shows, by the name that a rule would use.
fn rows() -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (role, page) in pages() {
        let kinds: BTreeMap<&str, &str> =
            page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        for line in page.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
            let (base, help) = line.split_once(' ').unwrap();
            let kind = kinds[base];
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let row = rows.entry(format!("{base}{suffix}")).or_default();
            assert!(row.help.is_empty() || row.help == help, "two meanings of {base}");
            row.kind = kind.to_owned();
            row.help = help.to_owned();
            row.roles.insert(role);
            row.labels.extend(labels(&page, base));
        }
    }
    rows
}

/// The names of a metric's labels.
fn labels(page: &str, base: &str) -> BTreeSet<String> {
    let series = page.lines().filter(|line| line.starts_with(base));
    let inside = series.filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
    let pairs = inside.flat_map(|all| all.split(','));
    let names = pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
    // The bounds of a histogram's buckets.
    names.filter(|name| name != "le").collect()
}

fn table() -> String {
    let mut text =
        String::from("| metric | type | labels | of | meaning |\n|---|---|---|---|---|\n");
    for (name, row) in rows() {
        let labels: Vec<_> = row.labels.iter().map(|label| format!("`{label}`")).collect();
        let roles: Vec<_> = row.roles.iter().copied().collect();
        let roles = if roles.len() == 4 { "all".to_owned() } else { roles.join(", ") };
        let (kind, help) = (row.kind, row.help.trim_end_matches('.'));
        text += &format!("| `{name}` | {kind} | {} | {roles} | {help} |\n", labels.join(", "));
    }
    text
}

#[test]
fn the_document_lists_every_metric() {
    let table = table();
    assert!(DOCUMENT.contains(&table), "docs/metrics.md must hold this table:\n\n{table}");
}

#[test]
fn every_metric_has_a_name_as_prometheus_wants_it() {
    for (name, row) in rows() {
        let ours = name.starts_with("recado_") || name.starts_with("process_");
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(ours && plain && !name.contains("__"), "{name}");
        assert!(!name.ends_with("_ms") && row.help.ends_with('.'), "{name}: {}", row.help);
    }
}

#[test]
fn alerts_ask_for_metrics_that_exist() {
    let rows = rows();
    let word = |c: char| !(c.is_ascii_lowercase() || c == '_');
    let mut asked = BTreeSet::new();
    for name in RULES.split(word).filter(|w| w.starts_with("recado_") || w.starts_with("process_"))
    {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let found = rows.contains_key(name) || base.is_some_and(|base| rows.contains_key(base));
        assert!(found, "{name} is asked for, and nobody shows it");
        asked.insert(name);
    }
    assert!(asked.len() > 5, "{asked:?}");
    assert_eq!(RULES.matches("- alert:").count(), DOCUMENT.matches("| `Recado").count());
}
