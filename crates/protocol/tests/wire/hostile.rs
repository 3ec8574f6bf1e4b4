//! No bytes make a decoder panic, overflow its stack, or believe what a header claims.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use recado_protocol::Code;
use recado_protocol::backend::ToBroker;
use recado_protocol::codec::{self, Stamp};
use recado_protocol::limits::{
    MAX_DEPTH, MAX_LABEL_BYTES, MAX_PAGE_ROWS, MAX_REASON_BYTES, MAX_REQUEST_BYTES,
};
use recado_protocol::reference::{ReferenceRequest, Registration};
use recado_protocol::reply::Scrub;

use crate::samples;

/// Feeds the bytes to every decoder; what one of them accepts must survive being encoded again.
pub fn decode_everything(bytes: &[u8]) {
    let _ = codec::peek_service(bytes);
    let _ = codec::decode_reply(bytes);
    let _ = codec::decode_event(b"geral", bytes);
    let _ = codec::decode_reference_reply(bytes);
    let _ = codec::decode_server_reply(bytes);
    let _ = codec::decode_to_broker(bytes);
    let _ = codec::decode_to_server(bytes);
    let _ = codec::decode_broker_facts(bytes);
    let _ = codec::decode_marker(bytes);
    let _ = codec::decode_proxy_facts(bytes);
    if let Ok((request, clock)) = codec::decode_reference_request(bytes) {
        let stamp = codec::Stamp { timestamp: 0, clock };
        let again = codec::encode_reference_request(&request, stamp);
        assert_eq!(codec::decode_reference_request(&again), Ok((request, clock)));
    }
    if let Ok((request, clock)) = codec::decode_server_request(bytes) {
        let stamp = codec::Stamp { timestamp: 0, clock };
        let again = codec::encode_server_request(&request, stamp);
        assert_eq!(codec::decode_server_request(&again), Ok((request, clock)));
    }
    match codec::decode_request(bytes) {
        Ok(incoming) => {
            let _ = codec::request_digest(&incoming.request);
            assert_eq!(codec::peek_service(bytes), Some(incoming.request.service()));
            let stamp = codec::Stamp { timestamp: 0, clock: incoming.clock };
            let again = codec::encode_request(&incoming, stamp);
            assert_eq!(codec::decode_request(&again), Ok(incoming));
        }
        Err(bad) => {
            assert!(matches!(
                bad.refusal.code,
                Code::Malformed | Code::UnknownService | Code::TooLarge
            ));
            assert!(!bad.refusal.text.is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..300)) {
        decode_everything(&bytes);
    }

    /// Arbitrary bytes rarely look like a message; a damaged message nearly does.
    #[test]
    fn damaged_messages(
        which: prop::sample::Index,
        damages in vec((any::<prop::sample::Index>(), 0u8..5, any::<u8>()), 1..6),
    ) {
        let samples = samples::all();
        let mut bytes = which.get(&samples).bytes.to_vec();
        for (at, kind, byte) in damages {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                _ => bytes[at] ^= 1 << (byte % 8),
            }
        }
        decode_everything(&bytes);
    }
}

#[test]
fn every_beginning_of_every_message() {
    for sample in samples::all() {
        for end in 0..sample.bytes.len() {
            let part = &sample.bytes[..end];
            decode_everything(part);
            assert!(codec::decode_request(part).is_err());
            assert!(codec::decode_reply(part).is_err());
        }
    }
}

#[test]
fn trailing_bytes_are_malformed() {
    let mut bytes = request(&rmpv::Value::Map(Vec::new()));
    bytes.push(0xc0);
    let bad = codec::decode_request(&bytes).unwrap_err();
    assert_eq!((bad.service.as_str(), bad.refusal.code), ("users", Code::Malformed));
}

#[test]
fn nesting_is_bounded_on_every_way_in() {
    // Arrays, maps by their values, maps by their keys.
    for unit in [&[0x91][..], &[0x81, 0xa1, b'k'], &[0x81]] {
        let deep = unit.repeat(100_000);
        decode_everything(&deep);
        assert!(codec::decode_request(&deep).is_err());
        // The same within an unknown field of a request that is well otherwise.
        let mut bytes = b"\x83\xa7service\xa5users\xa4data\x80\xa1x".to_vec();
        bytes.extend_from_slice(&deep);
        bytes.push(0xc0);
        decode_everything(&bytes);
        let bad = codec::decode_request(&bytes).unwrap_err();
        assert_eq!((bad.service.as_str(), bad.refusal.code), ("users", Code::Malformed));
    }
}

#[test]
fn nesting_up_to_the_limit_is_fine() {
    let nested = |levels: usize| {
        let mut value = rmpv::Value::Nil;
        for _ in 0..levels {
            value = rmpv::Value::Array(vec![value]);
        }
        request(&rmpv::Value::Map(vec![("x".into(), value)]))
    };
    // The body and its data are two levels themselves.
    assert!(codec::decode_request(&nested(MAX_DEPTH - 2)).is_ok());
    let bad = codec::decode_request(&nested(MAX_DEPTH - 1)).unwrap_err();
    assert!(bad.refusal.text.contains("deeper than 32"), "{}", bad.refusal.text);
}

/// Bodies of a few bytes that claim up to 4 GiB of content, everywhere a length can stand.
#[test]
fn claims_fail_at_once() {
    let started = Instant::now();
    for bytes in claims() {
        decode_everything(&bytes);
        assert!(codec::decode_request(&bytes).is_err());
        assert!(codec::decode_reply(&bytes).is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(1));
}

fn claims() -> Vec<Vec<u8>> {
    // str, bin, array, map, ext: 32 bits of length each.
    let heads = [0xdb, 0xc6, 0xdd, 0xdf, 0xc9].map(|marker| [marker, 255, 255, 255, 255]);
    let fronts: [&[u8]; 6] = [
        b"",
        b"\x81",
        b"\x82\xa7service",
        b"\x82\xa7service\xa5users\xa4data",
        b"\x82\xa7service\xa5login\xa4data\x81\xa4user",
        b"\x82\xa7service\xa6import\xa4data\x81\xa4rows",
    ];
    let mut claims = Vec::new();
    for front in fronts {
        for head in heads {
            claims.push([front, &head].concat());
            claims.push([front, &head, b"and a little more"].concat());
        }
    }
    claims
}

/// Many small items cost time in proportion to their bytes, wherever they stand.
#[test]
fn crowds_are_cheap() {
    let count = MAX_REQUEST_BYTES / 4;
    let mut array = vec![0xdd];
    array.extend_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
    array.extend(std::iter::repeat_n(0xc0, count));
    let mut map = vec![0xdf];
    map.extend_from_slice(&u32::try_from(count / 2).unwrap().to_be_bytes());
    map.extend(std::iter::repeat_n(0xc0, count / 2 * 2));
    let started = Instant::now();
    for crowd in [array, map] {
        for front in [
            &b""[..],
            b"\x82\xa7service\xa5login\xa4data",
            b"\x83\xa1x",
            b"\x82\xa7service\xa6import\xa4data\x81\xa4rows",
        ] {
            decode_everything(&[front, &crowd].concat());
        }
    }
    // Some seconds without optimisation; with a loop in a loop it would be hours.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn long_bodies_are_too_large() {
    let mut bytes = b"\x82\xa7service\xa5login\xa4data\x81\xa4user\xdb".to_vec();
    let text = vec![b'x'; MAX_REQUEST_BYTES];
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&text);
    let bad = codec::decode_request(&bytes).unwrap_err();
    assert_eq!((bad.service.as_str(), bad.refusal.code), ("login", Code::TooLarge));
}

#[test]
fn an_import_of_too_many_rows_is_too_large() {
    let row = rmpv::Value::Map(vec![("channel".into(), "c".into())]);
    let body = |count: usize| {
        let rows = rmpv::Value::Array(vec![row.clone(); count]);
        let data = rmpv::Value::Map(vec![("rows".into(), rows)]);
        message("import", data)
    };
    assert!(codec::decode_request(&body(MAX_PAGE_ROWS)).is_ok());
    let bad = codec::decode_request(&body(MAX_PAGE_ROWS + 1)).unwrap_err();
    assert_eq!((bad.service.as_str(), bad.refusal.code), ("import", Code::TooLarge));
}

/// A name that comes twice must mean the same to the broker, who peeks, and to the server.
#[test]
fn the_first_of_two_services_counts_for_everybody() {
    let bytes = b"\x83\xa7service\xa5users\xa7service\xa8channels\xa4data\x80";
    assert_eq!(codec::peek_service(bytes), Some("users"));
    let incoming = codec::decode_request(bytes).unwrap();
    assert_eq!(incoming.request, recado_protocol::Request::Users);
}

#[test]
fn a_long_service_name_is_not_sent_back() {
    let bytes = message(&"x".repeat(65), rmpv::Value::Map(Vec::new()));
    let bad = codec::decode_request(&bytes).unwrap_err();
    assert_eq!((bad.service.as_str(), bad.refusal.code), ("error", Code::UnknownService));
}

fn request(data: &rmpv::Value) -> Vec<u8> {
    message("users", data.clone())
}

fn message(service: &str, data: rmpv::Value) -> Vec<u8> {
    let body = rmpv::Value::Map(vec![("service".into(), service.into()), ("data".into(), data)]);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &body).unwrap();
    bytes
}

/// What a part of the cluster tells of itself is kept and told on, so it must not be endless.
#[test]
fn names_and_addresses_of_the_clusters_parts_are_bounded() {
    let long = "x".repeat(MAX_LABEL_BYTES + 1);
    let fits = "x".repeat(MAX_LABEL_BYTES);
    let ready = |name: &str, http: &str| ToBroker::Ready {
        name: name.to_owned(),
        boot: 1,
        credit: 1,
        primary: false,
        serving: true,
        http: Some(http.to_owned()),
        why: None,
        scrub: Scrub::default(),
    };
    let reads = |header: &ToBroker| {
        codec::decode_to_broker(&codec::encode_to_broker(header, Stamp::default())).is_ok()
    };
    assert!(reads(&ready(&fits, &fits)));
    let mut wordy = ready("s", "h:1");
    if let ToBroker::Ready { why, .. } = &mut wordy {
        *why = Some("é".repeat(MAX_REASON_BYTES));
    }
    let read = codec::decode_to_broker(&codec::encode_to_broker(&wordy, Stamp::default())).unwrap();
    let ToBroker::Ready { why: Some(cut), .. } = read.0 else { panic!("{read:?}") };
    assert_eq!(cut, "é".repeat(MAX_REASON_BYTES / 2));
    assert!(!reads(&ready(&long, "h:1")) && !reads(&ready("s", &long)));
    let registers = |address: &str| {
        let registration = Registration {
            user: "s".into(),
            boot: Some(1),
            address: Some(address.to_owned()),
            node: None,
            cluster: None,
        };
        let request = ReferenceRequest::Rank(registration);
        let body = codec::encode_reference_request(&request, Stamp::default());
        codec::decode_reference_request(&body).is_ok()
    };
    assert!(registers(&fits) && !registers(&long));
}
