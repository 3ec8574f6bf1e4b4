//! What `status` shows of brokers and proxies: what the servers know of each, what each broker says
//! of itself, and what is seen from here.

use serde_json::{Map, Value, json};

use crate::address;

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
        let at = brokers.iter().position(|broker| broker["address"] == front.as_str());
        let place = at.or_else(|| brokers.iter().position(|broker| is_same(broker, told.as_ref())));
        let place = place.unwrap_or_else(|| {
            brokers.push(Door::from_iter([("address".to_owned(), json!(front))]));
            brokers.len() - 1
        });
        brokers[place].insert("answers".into(), json!(told.is_some()));
        brokers[place].extend(told.into_iter().flatten());
    }
    brokers
}

/// All proxies: those that the servers know, in their order, or else those that we know, by their
/// ports for publishers. A proxy tells nothing to who asks, so two addresses can't be found to be one.
pub fn proxies(known: &Value, looked_at: Vec<(String, bool)>) -> Vec<Door> {
    let mut proxies = doors(known);
    for (at, answers) in looked_at {
        let place = proxies.iter().position(|proxy| proxy["address"] == at.as_str());
        let place = match place {
            Some(place) => place,
            None if known.as_array().is_some_and(|known| !known.is_empty()) => continue,
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

/// Whether what the servers know of a broker is about the one that was asked. In containers and
/// behind mapped ports the two have different addresses for the same broker, and process ids repeat;
/// where it serves HTTP, as it says itself, is its own.
fn is_same(known: &Door, told: Option<&Door>) -> bool {
    let http = |door: &Door| door.get("http").and_then(Value::as_str).map(str::to_owned);
    http(known).is_some_and(|at| told.and_then(http) == Some(at))
}

/// The same host, so many ports further.
fn neighbour(endpoint: &str, step: i16) -> Option<String> {
    let (host, port) = address::split(endpoint)?;
    Some(address::endpoint(host, port?.checked_add_signed(step)?))
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
            {"address": "tcp://broker:5556", "pid": 1, "http": "a:1", "uptime_ms": 50_000},
            {"address": "tcp://broker-2:5586", "pid": 1, "http": "b:1", "uptime_ms": 50_000},
        ]);
        let told = object(json!({"pid": 1, "http": "b:1", "uptime_ms": 50_900}));
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
        assert_eq!(
            shown,
            inside.as_array().unwrap().iter().cloned().map(object).collect::<Vec<_>>()
        );
        assert_eq!(proxies(&Value::Null, vec![("tcp://a:1".into(), false)]).len(), 1);
    }
}
