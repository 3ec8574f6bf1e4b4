//! What `status` shows of brokers and proxies: what the servers know of each, what each broker says
//! of itself, and what is seen from here.

use recado_protocol::reply::Status;
use serde_json::{Map, Value, json};

use crate::address;

/// Two words about the same process, one of them a little older, differ by no more than that, ms.
const SAME_UPTIME_MS: u64 = 5_000;

/// One broker or proxy, by the names of its facts.
pub type Door = Map<String, Value>;

/// A broker that was asked.
pub struct Asked {
    /// Where clients reach it from here.
    pub front: String,
    /// What it says of itself; none when it did not answer.
    pub told: Option<Door>,
}

/// All brokers: those that the servers know, in their order, then those that only we know.
pub fn brokers(known: &Value, asked: Vec<Asked>) -> Vec<Door> {
    let mut brokers: Vec<Door> = doors(known);
    for broker in &mut brokers {
        // Servers connect to the port behind the one for clients.
        let front = broker["address"].as_str().and_then(|at| neighbour(at, -1));
        broker.insert("address".into(), json!(front));
    }
    for Asked { front, told } in asked {
        let place = brokers.iter().position(|broker| is_same(broker, &front, told.as_ref()));
        let place = place.unwrap_or_else(|| {
            brokers.push(Door::from_iter([("address".to_owned(), json!(front))]));
            brokers.len() - 1
        });
        brokers[place].insert("answers".into(), json!(told.is_some()));
        brokers[place].extend(told.into_iter().flatten());
    }
    brokers
}

/// All proxies: those that the servers know, in their order, then those that only we know, by
/// their ports for publishers.
pub fn proxies(known: &Value, looked_at: Vec<(String, bool)>) -> Vec<Door> {
    let mut proxies = doors(known);
    for (at, answers) in looked_at {
        let place = proxies.iter().position(|proxy| proxy["address"] == at.as_str());
        let place = match place {
            Some(place) => place,
            // Known to the servers by another name for the same host, most likely.
            None if !answers && !proxies.is_empty() => continue,
            None if proxies.len() == 1 && !is_here(&proxies[0]) => 0,
            None => {
                proxies.push(Door::from_iter([("address".to_owned(), json!(at))]));
                proxies.len() - 1
            }
        };
        proxies[place].insert("answers".into(), json!(answers));
    }
    proxies
}

/// What the servers know, of brokers or of proxies, whatever shape it has.
fn doors(known: &Value) -> Vec<Door> {
    let objects = known.as_array().into_iter().flatten().filter_map(Value::as_object);
    objects.filter(|door| door.contains_key("address")).cloned().collect()
}

/// Whether what the servers know of a broker is about the one that was asked at this address. In
/// containers and behind mapped ports the two have different names for the same host.
fn is_same(known: &Door, front: &str, told: Option<&Door>) -> bool {
    if known["address"] == front {
        return true;
    }
    let number = |door: &Door, key: &str| door.get(key).and_then(Value::as_u64);
    let Some(told) = told else { return false };
    let uptimes = number(known, "uptime_ms").zip(number(told, "uptime_ms"));
    number(known, "pid").is_some_and(|pid| Some(pid) == number(told, "pid"))
        && uptimes.is_some_and(|(one, other)| one.abs_diff(other) <= SAME_UPTIME_MS)
}

fn is_here(door: &Door) -> bool {
    door.get("address").and_then(Value::as_str).is_some_and(address::is_loopback)
}

/// The same host, so many ports further.
fn neighbour(endpoint: &str, step: i16) -> Option<String> {
    let (host, port) = address::split(endpoint)?;
    Some(address::endpoint(host, port?.checked_add_signed(step)?))
}

/// What the servers know of the brokers, or of the proxies, as JSON.
pub fn known(status: &Status) -> [Value; 2] {
    [&status.brokers, &status.proxies].map(crate::status::to_json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Door {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn what_servers_know_and_what_a_broker_says_become_one() {
        let known = json!([
            {"address": "tcp://127.0.0.1:5556", "connected": true, "clients": 2},
            {"address": "tcp://127.0.0.1:5586", "connected": false},
        ]);
        let told = object(json!({"pid": 7, "queued": 0}));
        let asked = Asked { front: "tcp://127.0.0.1:5555".into(), told: Some(told) };
        let shown = brokers(&known, vec![asked]);
        let expected = [
            json!({"address": "tcp://127.0.0.1:5555", "connected": true, "clients": 2,
                   "answers": true, "pid": 7, "queued": 0}),
            json!({"address": "tcp://127.0.0.1:5585", "connected": false}),
        ];
        assert_eq!(shown, expected.map(object));
    }

    #[test]
    fn a_mapped_port_makes_no_second_broker() {
        let known = json!([
            {"address": "tcp://broker:5556", "pid": 1, "uptime_ms": 90_000},
            {"address": "tcp://broker-2:5586", "pid": 1, "uptime_ms": 50_000},
        ]);
        let told = object(json!({"pid": 1, "uptime_ms": 50_900}));
        let asked = Asked { front: "tcp://127.0.0.1:5585".into(), told: Some(told) };
        let shown = brokers(&known, vec![asked]);
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[1]["answers"], true);
        assert_eq!(shown[1]["address"], "tcp://broker-2:5585");
    }

    #[test]
    fn one_that_nobody_reaches_is_shown_all_the_same() {
        let asked = Asked { front: "tcp://hub:5555".into(), told: None };
        let shown = brokers(&Value::Null, vec![asked]);
        assert_eq!(shown, [object(json!({"address": "tcp://hub:5555", "answers": false}))]);
    }

    #[test]
    fn proxies_are_shown_once() {
        let known = json!([{"address": "tcp://127.0.0.1:5557", "live": true}]);
        let shown = proxies(&known, vec![("tcp://127.0.0.1:5557".into(), false)]);
        let expected = json!({"address": "tcp://127.0.0.1:5557", "live": true, "answers": false});
        assert_eq!(shown, [object(expected)]);
        let inside = json!([{"address": "tcp://proxy:5557", "live": true}]);
        let shown = proxies(&inside, vec![("tcp://127.0.0.1:5557".into(), true)]);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0]["answers"], true);
        assert_eq!(proxies(&Value::Null, vec![("tcp://a:1".into(), false)]).len(), 1);
    }
}
