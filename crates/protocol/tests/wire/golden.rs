//! Golden bytes: what crosses the wire may only change on purpose.
//!
//! `tests/golden/` holds every message's bytes, printable ones as themselves. After a change that
//! is meant, `RECADO_BLESS=1 cargo test -p recado-protocol golden` writes the files anew; the
//! difference then shows in review.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use recado_protocol::codec::request_digest;
use recado_protocol::message::{ExportTable, HistoryOf};
use recado_protocol::services::Link;
use recado_protocol::{HistoryQuery, Request};

use crate::samples::{self, Sample};

fn path(link: Link) -> PathBuf {
    let name = format!("{link:?}.txt").to_lowercase();
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn title(sample: &Sample) -> String {
    format!("{} {:?}", sample.name, sample.way).to_lowercase()
}

#[test]
fn every_message_has_its_golden_bytes() {
    let samples = samples::all();
    for &link in Link::ALL {
        let mut text = String::new();
        for sample in samples.iter().filter(|s| s.link == link) {
            writeln!(text, "{}\n    {}", title(sample), sample.bytes.escape_ascii()).unwrap();
        }
        if std::env::var_os("RECADO_BLESS").is_some() {
            std::fs::write(path(link), &text).unwrap();
        }
        let golden = std::fs::read_to_string(path(link)).unwrap();
        assert_eq!(golden, text, "the bytes on the link {link:?} changed");
    }
}

#[test]
fn golden_bytes_mean_what_they_did() {
    let mut golden = BTreeMap::new();
    for &link in Link::ALL {
        let text = std::fs::read_to_string(path(link)).unwrap();
        for pair in text.lines().collect::<Vec<_>>().chunks(2) {
            let bytes = unescape(pair[1].trim_start());
            assert!(golden.insert((format!("{link:?}"), pair[0].to_owned()), bytes).is_none());
        }
    }
    for sample in samples::all() {
        let key = (format!("{:?}", sample.link), title(&sample));
        (sample.check)(&golden.remove(&key).unwrap());
    }
    assert!(golden.is_empty(), "golden bytes that no sample stands for: {golden:?}");
}

/// Reads what `escape_ascii` wrote.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (escaped, used) = match rest {
            [b'x', high, low, ..] => {
                let digits = [*high, *low];
                (u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap(), 3)
            }
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [itself, ..] => (*itself, 1),
            [] => panic!("an escape at the end of {text}"),
        };
        bytes.push(escaped);
        rest = &rest[used..];
    }
    bytes
}

#[test]
fn digests_are_the_same_in_every_release() {
    let history = Request::History(HistoryQuery {
        of: HistoryOf::Conversation { user: "ana".into(), with: "bob".into() },
        after: Some(3),
        before: None,
        limit: 100,
    });
    let export = Request::Export { table: ExportTable::Users, after: None, limit: 1 };
    let golden: [(Request, u64); 6] = [
        (Request::Login { user: "ana".into() }, 0x5238_d2bf_d983_e733),
        (Request::Channel { channel: "ana".into() }, 0x03d2_ddcb_05ba_96e4),
        (samples::publish(), 0x01e9_f09c_4fc2_7c9d),
        (samples::private(), 0xffcb_c574_64f4_7078),
        (history, 0x483d_101b_6b17_8bf9),
        (export, 0x7ca2_43f7_d796_3398),
    ];
    for (request, digest) in golden {
        assert_eq!(
            request_digest(&request),
            digest,
            "{request:?}: {:#x}",
            request_digest(&request)
        );
    }
}
