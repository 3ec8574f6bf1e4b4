//! Servers find each other again, wherever each of them starts.

use std::time::{Duration, Instant};

use crate::support::Cluster;

/// How long servers that moved may take.
const FOUND_WITHIN: Duration = Duration::from_secs(5);

const SERVERS: [&str; 3] = ["server-1", "server-2", "server-3"];

/// Kills all servers and starts each on the port that another one had: the first of `places` says
/// whose port the first server gets.
fn change_places(cluster: &mut Cluster, places: [u16; 3]) {
    for name in SERVERS {
        cluster.kill(name);
    }
    for (name, place) in SERVERS.into_iter().zip(places) {
        let port = (cluster.base + 4 + place).to_string();
        cluster.start(name, &["server", "--name", name, "--port", &port]);
    }
}

#[test]
fn servers_that_change_places_are_active_again_at_once() {
    let mut cluster = Cluster::roles(3);
    for places in [[2, 1, 3], [2, 3, 1], [3, 2, 1], [3, 1, 2], [1, 3, 2]] {
        change_places(&mut cluster, places);
        let started = Instant::now();
        cluster.wait_active(3);
        let took = started.elapsed();
        println!("{places:?}: active after {} ms", took.as_millis());
        assert!(took < FOUND_WITHIN, "{places:?}: {took:?}\n{}", cluster.log_tail());
    }
}

#[test]
fn without_a_port_and_in_another_order_too() {
    let mut cluster = Cluster::roles(3);
    for order in [[3, 2, 1], [2, 3, 1]] {
        for name in SERVERS {
            cluster.kill(name);
        }
        for number in order {
            let name = SERVERS[number - 1];
            cluster.start(name, &["server", "--name", name]);
        }
        let started = Instant::now();
        cluster.wait_active(3);
        let took = started.elapsed();
        assert!(took < FOUND_WITHIN, "{order:?}: {took:?}\n{}", cluster.log_tail());
    }
}

#[test]
fn without_the_reference_they_find_out_by_asking_each_other() {
    let mut cluster = Cluster::roles(3);
    cluster.kill("reference");
    for places in [[2, 1, 3], [3, 1, 2]] {
        change_places(&mut cluster, places);
        cluster.wait_active(3);
    }
}
