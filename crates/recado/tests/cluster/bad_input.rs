//! Whatever a body holds, its sender gets a refusal with a code, soon, and nothing else happens.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use recado_protocol::{Reply, codec};
use recado_transport::Caller;

use crate::support::{Cluster, chat, process};

const ANSWER: Duration = Duration::from_secs(3);
const MIB: usize = 1024 * 1024;

/// How much more memory a server may hold after all of this.
const MAX_GROWTH_KIB: u64 = 50 * 1024;

/// A MessagePack map of text to text under `data`, with this service.
fn request(service: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![0x82];
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(0xdb);
        out.extend((text.len() as u32).to_be_bytes());
        out.extend(text.as_bytes());
    };
    text(&mut out, "service");
    text(&mut out, service);
    text(&mut out, "data");
    out.push(0x80 + fields.len() as u8);
    for (key, value) in fields {
        text(&mut out, key);
        text(&mut out, value);
    }
    out
}

fn publish(message: &str) -> Vec<u8> {
    request("publish", &[("user", "ana"), ("channel", "general"), ("message", message)])
}

fn bad_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let million = "x".repeat(1_000_000);
    let good = publish("hello");
    let claim = |head: &[u8]| {
        let mut body = request("login", &[]);
        body.pop();
        body.extend([0x81, 0xa4]);
        body.extend(b"user");
        body.extend(head);
        body
    };
    vec![
        ("nothing", vec![]),
        ("a byte that is never used", vec![0xc1]),
        ("nil", vec![0xc0]),
        ("a number", vec![0x05]),
        ("an empty map", vec![0x80]),
        ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("zeros", vec![0; 4 * MIB]),
        ("the highest bytes", vec![0xff; 100_000]),
        ("no data", request("login", &[])),
        ("an unknown service", request("dance", &[("user", "ana")])),
        ("the log's own service", request("replicate_publish", &[("user", "ana")])),
        ("a name of no characters", request("login", &[("user", "")])),
        ("a name of a million characters", request("login", &[("user", &million)])),
        ("a channel of a million characters", request("channel", &[("channel", &million)])),
        ("a service of a million characters", request(&million, &[])),
        ("no message", request("publish", &[("user", "ana"), ("channel", "general")])),
        ("a message over the limit", publish(&"x".repeat(64 * 1024 + 1))),
        ("nearly 4 MiB of message", publish(&"x".repeat(4 * MIB - 200))),
        ("cut at the end", good[..good.len() - 1].to_vec()),
        ("cut in the middle", good[..good.len() / 2].to_vec()),
        ("a bomb of arrays", vec![0x91; 3 * MIB]),
        ("a bomb of arrays as a user", claim(&vec![0x91; MIB / 2])),
        ("a bomb of maps", [0x81, 0xa1, b'a'].repeat(300_000)),
        ("a string of 4 GiB is claimed", claim(&[0xdb, 0xff, 0xff, 0xff, 0xff])),
        ("a bin of 4 GiB is claimed", claim(&[0xc6, 0xff, 0xff, 0xff, 0xff])),
        ("an array of 4 Gi is claimed", claim(&[0xdd, 0xff, 0xff, 0xff, 0xff])),
        ("a map of 4 Gi is claimed", vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
        ("a user that is a number", claim(&[0x07])),
        ("a user that is nil", claim(&[0xc0])),
        ("a user that is a list", claim(&[0x91, 0xa1, b'a'])),
        ("a user that is no UTF-8", claim(&[0xa2, 0xff, 0xfe])),
    ]
}

/// What all servers together hold.
fn resident_kib(cluster: &Cluster) -> u64 {
    let members = cluster.members();
    let pids = members.iter().filter_map(|m| m["pid"].as_u64());
    pids.map(|pid| process::resident_kib(pid as u32)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_body_is_refused_with_a_code_and_has_no_effect() {
    let cluster = Cluster::up(1);
    let client = chat::connect(&cluster).await;
    client.login("ana").await.unwrap();
    client.create_channel("general").await.unwrap();
    let before = resident_kib(&cluster);

    let caller = Caller::connect(&cluster.endpoint(0)).await.unwrap();
    assert!(caller.wait_connected(ANSWER).await);
    for round in 0..3 {
        for (what, body) in bad_bodies() {
            let answer = caller.call(vec![Bytes::from(body)], ANSWER).await;
            let frames = answer.unwrap_or_else(|why| panic!("{what}, round {round}: {why}"));
            match codec::decode_reply(&frames[0]) {
                Ok((_, Reply::Refused(refusal), _)) => {
                    assert!(!refusal.text.is_empty(), "{what}: no words for people");
                }
                other => panic!("{what}: {other:?}"),
            }
        }
        let ack = client.publish("ana", "general", "an honest client goes on").await.unwrap();
        assert_eq!(ack.seq, round + 1);
    }
    assert_eq!(client.users().await.unwrap(), ["ana"]);
    assert_eq!(client.channels().await.unwrap(), ["general"]);
    let grown = resident_kib(&cluster).saturating_sub(before);
    assert!(grown < MAX_GROWTH_KIB, "{grown} KiB more than before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_speak_zeromq_is_closed_on_every_port() {
    let cluster = Cluster::up(1);
    let client = chat::connect(&cluster).await;
    client.create_channel("general").await.unwrap();
    for offset in 0..6 {
        let mut other = TcpStream::connect(("127.0.0.1", cluster.base + offset)).unwrap();
        other.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        _ = other.write_all(&[b'?'; 500]);
        let mut rest = Vec::new();
        // Closed, in order or by a reset; only silence would be an error of another kind.
        if let Err(why) = other.read_to_end(&mut rest) {
            assert_eq!(why.kind(), std::io::ErrorKind::ConnectionReset, "port base + {offset}");
        }
    }
    client.publish("ana", "general", "all is well").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn client_bodies_on_the_other_ports_do_no_harm() {
    let cluster = Cluster::up(1);
    let client = chat::connect(&cluster).await;
    client.create_channel("general").await.unwrap();
    for offset in [1, 4, 5] {
        let caller = Caller::connect(&cluster.endpoint(offset)).await.unwrap();
        caller.wait_connected(ANSWER).await;
        let mut bodies = bad_bodies();
        bodies.push(("a publication", publish("by the back door")));
        bodies.push(("a login", request("login", &[("user", "eve")])));
        for (what, body) in bodies {
            // Dropped or refused, as the port likes.
            let answer = caller.call(vec![Bytes::from(body)], Duration::from_millis(50)).await;
            let reply = answer.ok().and_then(|frames| codec::decode_reply(&frames[0]).ok());
            let refused = matches!(reply, None | Some((_, Reply::Refused(_), _)));
            assert!(refused, "{what} on port base + {offset}: {reply:?}");
        }
    }
    client.publish("ana", "general", "all is well").await.unwrap();
    assert_eq!(chat::channel_history(&client, "general").await.len(), 1);
    assert!(client.users().await.unwrap().is_empty());
}
