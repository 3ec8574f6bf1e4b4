//! The pages of a role.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// How long a page may take on a busy machine.
const ANSWER_S: u64 = 5;

/// A page: its status and its text; none when nobody answers.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(ANSWER_S))).ok()?;
    let asked = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The value of a series, by its whole name with labels.
pub fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{page}"));
    line.trim().parse().unwrap()
}

/// Every role that `status --json` shows, with the address of its pages.
pub fn addresses(status: &Value) -> Vec<(String, String)> {
    let at = |role: &Value| role["http"].as_str().map(str::to_owned);
    let middle = ["broker", "proxy", "reference"];
    let middle = middle.iter().map(|name| ((*name).to_owned(), at(&status[*name])));
    let members = status["members"].as_array().cloned().unwrap_or_default();
    let members = members.iter().map(|m| (m["name"].as_str().unwrap().to_owned(), at(m)));
    let all = middle.chain(members);
    all.map(|(name, http)| (name.clone(), http.unwrap_or_else(|| panic!("{name} has no http"))))
        .collect()
}
