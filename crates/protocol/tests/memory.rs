//! What a header claims is never allocated. Alone in its process, so that what it measures is
//! its own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use recado_protocol::codec;

/// The most address space that the process ever had, KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmPeak:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn claims_of_gigabytes_allocate_nothing() {
    let before = peak_kib();
    // str, bin, array, map, ext: each claims 2 GiB, in every place that is read.
    for marker in [0xdb, 0xc6, 0xdd, 0xdf, 0xc9] {
        for front in [
            &b""[..],
            b"\x82\xa7service\xa5users\xa4data",
            b"\x82\xa7service\xa5users\xa4data\x81\xa5users",
            b"\x82\xa7service\xa6import\xa4data\x81\xa4rows",
            b"\x82\xa7service\xa6status\xa4data\x82\xa7members\x90\xa6broker",
        ] {
            let bytes = [front, &[marker, 0x80, 0, 0, 0]].concat();
            assert!(codec::decode_request(&bytes).is_err());
            assert!(codec::decode_reply(&bytes).is_err());
            assert!(codec::decode_event(b"x", &bytes).is_err());
            assert!(codec::decode_reference_request(&bytes).is_err());
            assert!(codec::decode_reference_reply(&bytes).is_err());
            assert!(codec::decode_server_request(&bytes).is_err());
            assert!(codec::decode_server_reply(&bytes).is_err());
            assert!(codec::decode_to_broker(&bytes).is_err());
            assert!(codec::decode_to_server(&bytes).is_err());
        }
    }
    let grown = peak_kib() - before;
    // The allocator itself may reserve an arena; one believed claim would be 2 GiB.
    assert!(grown < 512 * 1024, "grew by {grown} KiB");
}
