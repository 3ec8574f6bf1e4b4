//! `status`: the cluster as the servers, the broker, the proxy and the reference say it is.

mod table;

use std::time::Duration;

use futures::future::join_all;
use recado_protocol::codec::{self, Stamp};
use recado_protocol::reference::{Listed, ReferenceReply, ReferenceRequest};
use recado_protocol::reply::{MemberStatus, Role, Status};
use recado_protocol::{Incoming, Reply, Request};
use recado_transport::{AnyOf, Caller};
use serde_json::{Map, Value, json};

use crate::address::{self, Endpoints};
use crate::doors::{self, Asked, Door};
use crate::failure::Failure;
use crate::options::Settings;
use crate::roles::numbered;
use crate::{ports, runfile};
pub use table::table;

/// How long a connection to the broker is waited for.
pub const CONNECT_MS: u64 = 1500;

/// How long the broker's answer is waited for: it answers within 5 s, whatever the servers do.
const ANSWER_MS: u64 = 6000;

/// How long the reference is waited for, which may be away.
const REFERENCE_MS: u64 = 500;

/// Asks everybody.
///
/// # Errors
/// One sentence when no broker or no server answers.
pub async fn ask(settings: &Settings) -> Result<Value, Failure> {
    let at = Endpoints::to_connect(settings)?;
    let (found, asked) = ask_brokers(&at.fronts).await?;
    let mut brokers = doors::brokers(&to_json(&found.brokers), asked);
    add_running(settings, "broker", &mut brokers);
    let mut proxies = doors::proxies(&to_json(&found.proxies), look_at_proxies(&at.xsubs));
    add_running(settings, "proxy", &mut proxies);
    let running = |name: &str| runfile::read(settings.data_dir(), name);
    let pid_of = |name: &str| running(name).map(|file| file.pid);
    let http_of = |name: &str| running(name).and_then(|file| file.http);

    let members: Vec<Value> =
        found.members.iter().map(|member| member_json(settings, &at, member)).collect();

    let mut reference = object(&found.reference);
    reference.entry("address").or_insert_with(|| json!(at.reference));
    match ask_reference(&at.reference).await {
        Some((pid, last_rank, listed)) => {
            reference.insert("answers".into(), json!(true));
            reference.insert("pid".into(), json!(pid));
            reference.insert("last_rank".into(), json!(last_rank));
            reference.insert("listed".into(), json!(listed));
        }
        None => {
            reference.insert("answers".into(), json!(false));
            // What the servers remember is the number of a process that may be gone.
            reference.shift_remove("pid");
            add_pid(&mut reference, pid_of("reference"));
        }
    }
    add_http(&mut reference, http_of("reference"));
    Ok(json!({
        "members": members,
        "min_copies": found.min_copies,
        "broker": brokers.first(),
        "proxy": proxies.first(),
        "reference": reference,
        "brokers": brokers,
        "proxies": proxies,
        "why": found.why,
    }))
}

/// Whether any server answers.
///
/// # Errors
/// One sentence when none does.
pub fn check_servers(status: &Value) -> Result<(), Failure> {
    let members = status["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    if members.iter().any(|member| member["role"] == Role::Primary.as_str()) {
        return Ok(());
    }
    if let Some(why) = status["why"].as_str() {
        return Err(Failure::Failed(format!("no server leads: {why}")));
    }
    let connected = |broker: &Value| broker["servers"].as_u64();
    let brokers = status["brokers"].as_array().into_iter().flatten();
    Err(Failure::Failed(match brokers.filter_map(connected).max() {
        None | Some(0) => "no server answers; start servers, or look at their logs".into(),
        Some(count) => format!(
            "no server answers: {count} of them are connected to the broker, but they know no \
             primary; start the others, or look at their logs"
        ),
    }))
}

/// Why a cluster that is reached can't do anything now, if the servers say so.
pub async fn why_not(brokers: &AnyOf) -> Option<String> {
    match ask_broker(brokers, Request::Status).await {
        Ok(Reply::Status(status)) => status.why,
        _ => None,
    }
}

/// What the first of the brokers says that knows of servers, and what each says of itself.
async fn ask_brokers(fronts: &[String]) -> Result<(Status, Vec<Asked>), Failure> {
    let answers = join_all(fronts.iter().map(|front| ask_cluster(front))).await;
    let asked = fronts.iter().zip(&answers).map(|(front, answer)| {
        let told = answer.as_ref().ok().map(|status| object(&status.broker));
        Asked { front: front.clone(), told }
    });
    let asked = asked.collect();
    let (answered, silent): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let mut answered: Vec<Status> = answered.into_iter().flatten().collect();
    if answered.is_empty() {
        return Err(silent.into_iter().find_map(Result::err).unwrap_or_else(|| no_broker(fronts)));
    }
    let best = answered.iter().position(|status| !status.members.is_empty()).unwrap_or(0);
    Ok((answered.swap_remove(best), asked))
}

/// Whether each of the proxies is there.
fn look_at_proxies(xsubs: &[String]) -> Vec<(String, bool)> {
    let patience = Duration::from_millis(REFERENCE_MS);
    xsubs.iter().map(|xsub| (xsub.clone(), ports::answers(xsub, patience))).collect()
}

/// Adds what the run files of this machine tell.
fn add_running(settings: &Settings, role: &str, doors: &mut [Door]) {
    for (door, number) in doors.iter_mut().zip(1..) {
        let running = runfile::read(settings.data_dir(), &numbered(role, number));
        if door["address"].as_str().is_some_and(address::is_loopback)
            && let Some(running) = running
        {
            door.insert("pid".into(), json!(running.pid));
            add_http(door, running.http);
        }
    }
}

async fn ask_cluster(front: &str) -> Result<Status, Failure> {
    match ask_broker(&front.into(), Request::Status).await? {
        Reply::Status(status) => Ok(*status),
        Reply::Refused(refusal) => Err(Failure::Failed(format!(
            "the broker at {front} answers, but no server does: {}; start servers, or look at \
             their logs",
            refusal.text
        ))),
        _ => Err(silent(front, "its answer is none to this question")),
    }
}

/// The broker is there, and can't be made use of.
fn silent(front: &str, why: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!(
        "the broker at {front} is there but gives no answer ({why}); look at the logs of broker \
         and servers"
    ))
}

/// Asks the cluster one thing, once, through one of the brokers.
///
/// # Errors
/// One sentence when nobody answers, or not in a way that can be understood.
pub async fn ask_broker(brokers: &AnyOf, request: Request) -> Result<Reply, Failure> {
    let caller = Caller::connect(brokers).await.map_err(Failure::failed)?;
    if !caller.wait_connected(Duration::from_millis(CONNECT_MS)).await {
        return Err(no_broker(brokers.endpoints()));
    }
    let front = &caller.endpoint();
    let incoming = Incoming { request, clock: 0, id: None };
    let body = codec::encode_request(&incoming, stamp());
    let answer = caller.call(vec![body], Duration::from_millis(ANSWER_MS)).await;
    let frames = answer.map_err(|why| silent(front, why))?;
    let body = frames.first().ok_or_else(|| silent(front, "its answer is empty"))?;
    let (_, reply, _) = codec::decode_reply(body).map_err(|why| silent(front, why))?;
    Ok(reply)
}

/// Nobody is there to be asked.
pub fn no_broker(fronts: &[String]) -> Failure {
    let patience = Duration::from_millis(REFERENCE_MS);
    let each = fronts.iter().map(|front| match ports::reach(front, patience) {
        Ok(()) => format!("{front} (something listens there, but answers like no broker)"),
        Err(why) => format!("{front} ({why})"),
    });
    let each: Vec<_> = each.collect();
    Failure::Failed(format!(
        "no broker answers at {}; start a cluster with `recado up`, or say where it is with \
         --broker or --port-base",
        each.join(", ")
    ))
}

async fn ask_reference(endpoint: &str) -> Option<(u32, u64, Vec<Value>)> {
    let patience = Duration::from_millis(REFERENCE_MS);
    let caller = Caller::connect(endpoint).await.ok()?;
    if !caller.wait_connected(patience).await {
        return None;
    }
    let (pid, last_rank, list) = ask_list(&caller, patience).await?;
    let listed = list.iter().map(|l| json!({"name": l.name, "rank": l.rank}));
    Some((pid, last_rank, listed.collect()))
}

/// Whether the reference lists a server of this name.
pub async fn is_listed(reference: &Caller, name: &str) -> bool {
    let patience = Duration::from_millis(REFERENCE_MS);
    let answer = ask_list(reference, patience).await;
    answer.is_some_and(|(_, _, list)| list.iter().any(|listed| listed.name == name))
}

async fn ask_list(caller: &Caller, patience: Duration) -> Option<(u32, u64, Vec<Listed>)> {
    let body = codec::encode_reference_request(&ReferenceRequest::Status, stamp());
    let frames = caller.call(vec![body], patience).await.ok()?;
    match codec::decode_reference_reply(frames.first()?) {
        Ok((ReferenceReply::Status { pid, last_rank, list, .. }, _)) => {
            Some((pid, last_rank, list))
        }
        _ => None,
    }
}

fn stamp() -> Stamp {
    Stamp { timestamp: recado_client::now_ms(), clock: 1 }
}

fn member_json(settings: &Settings, at: &Endpoints, member: &MemberStatus) -> Value {
    // A process id means something on its own machine only.
    let all_here = at.fronts.iter().all(|front| address::is_loopback(front));
    let here = all_here && address::is_loopback(&member.address);
    let running = runfile::read(settings.data_dir(), &member.name);
    let running = running.filter(|file| file.pid == member.pid);
    let local = here || running.is_some();
    json!({
        "name": member.name,
        "rank": member.rank,
        "role": member.role.as_str(),
        "address": member.address,
        // What the others remember of a dead server is the number of a process that is gone.
        "pid": (local && runfile::is_alive(member.pid)).then_some(member.pid),
        "applied": member.applied,
        "term": member.term,
        "clock_offset_ms": member.clock_offset_ms,
        "scrubbed": member.scrub.ended_ms,
        "scrub_left": member.scrub.left_rows,
        "http": member.http.clone().or_else(|| running.and_then(|file| file.http)),
        "why": member.why,
    })
}

/// What a role said itself counts before what lies on this machine.
fn add_http(map: &mut Map<String, Value>, http: Option<String>) {
    if !map.contains_key("http") {
        map.insert("http".into(), json!(http));
    }
}

fn add_pid(map: &mut Map<String, Value>, pid: Option<u32>) {
    if let Some(pid) = pid {
        map.insert("pid".into(), json!(pid));
    }
}

fn object(value: &rmpv::Value) -> Map<String, Value> {
    match to_json(value) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A value of MessagePack as JSON; what JSON can't say is null.
fn to_json(value: &rmpv::Value) -> Value {
    match value {
        rmpv::Value::Boolean(yes) => json!(yes),
        rmpv::Value::Integer(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => json!(number),
            (None, number) => json!(number),
        },
        rmpv::Value::F32(number) => json!(number),
        rmpv::Value::F64(number) => json!(number),
        rmpv::Value::String(text) => json!(text.as_str()),
        rmpv::Value::Array(items) => items.iter().map(to_json).collect(),
        rmpv::Value::Map(entries) => {
            let named = entries.iter().filter_map(|(key, value)| {
                key.as_str().map(|key| (key.to_owned(), to_json(value)))
            });
            Value::Object(named.collect())
        }
        rmpv::Value::Nil | rmpv::Value::Binary(_) | rmpv::Value::Ext(..) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_servers_are_a_failure_in_words() {
        let status = json!({"members": [], "brokers": [{"pid": 9}], "broker": {"pid": 9}});
        let shown = table(&status);
        assert!(shown.contains("broker     pid 9") && !shown.contains("SERVER"), "{shown}");
        let none = check_servers(&status).unwrap_err().to_string();
        assert!(none.contains("start servers"), "{none}");
        let few = json!({"members": [], "brokers": [{"servers": 0}, {"servers": 1}]});
        let few = check_servers(&few).unwrap_err().to_string();
        assert!(few.contains("start the others"), "{few}");
        let why = json!({"members": [{"role": "backup"}], "why": "server-2 is missing"});
        let why = check_servers(&why).unwrap_err().to_string();
        assert_eq!(why, "no server leads: server-2 is missing");
        check_servers(&json!({"members": [{"role": "primary"}]})).unwrap();
    }
}
