//! Whatever the types can say survives the wire.

use proptest::prelude::*;
use recado_protocol::codec::{self, Stamp};

use crate::strategies as any;

proptest! {
    #[test]
    fn requests(incoming in any::incoming(), timestamp: u64) {
        let stamp = Stamp { timestamp, clock: incoming.clock };
        let bytes = codec::encode_request(&incoming, stamp);
        prop_assert_eq!(codec::peek_service(&bytes), Some(incoming.request.service()));
        prop_assert_eq!(codec::decode_request(&bytes), Ok(incoming));
    }

    #[test]
    fn replies((service, reply) in any::reply(), stamp in any::stamp()) {
        let bytes = codec::encode_reply(service, &reply, stamp);
        prop_assert_eq!(codec::peek_service(&bytes), Some(service));
        prop_assert_eq!(codec::decode_reply(&bytes), Ok((service.to_owned(), reply, stamp)));
    }

    #[test]
    fn events(event in any::event()) {
        let bytes = codec::encode_event(&event);
        prop_assert_eq!(codec::decode_event(event.topic().as_bytes(), &bytes), Ok(event));
    }

    #[test]
    fn reference_requests(request in any::reference_request(), stamp in any::stamp()) {
        let bytes = codec::encode_reference_request(&request, stamp);
        prop_assert_eq!(codec::decode_reference_request(&bytes), Ok((request, stamp.clock)));
    }

    #[test]
    fn reference_replies((service, reply) in any::reference_reply(), stamp in any::stamp()) {
        let bytes = codec::encode_reference_reply(service, &reply, stamp);
        prop_assert_eq!(codec::decode_reference_reply(&bytes), Ok((reply, stamp)));
    }

    #[test]
    fn server_requests(request in any::server_request(), stamp in any::stamp()) {
        let bytes = codec::encode_server_request(&request, stamp);
        prop_assert_eq!(codec::decode_server_request(&bytes), Ok((request, stamp.clock)));
    }

    #[test]
    fn server_replies((service, reply) in any::server_reply(), stamp in any::stamp()) {
        let bytes = codec::encode_server_reply(service, &reply, stamp);
        prop_assert_eq!(codec::decode_server_reply(&bytes), Ok((reply, stamp)));
    }

    #[test]
    fn headers_to_the_broker(header in any::to_broker(), stamp in any::stamp()) {
        let bytes = codec::encode_to_broker(&header, stamp);
        prop_assert_eq!(codec::decode_to_broker(&bytes), Ok((header, stamp.clock)));
    }

    #[test]
    fn headers_to_a_server(header in any::to_server(), stamp in any::stamp()) {
        let bytes = codec::encode_to_server(&header, stamp);
        prop_assert_eq!(codec::decode_to_server(&bytes), Ok((header, stamp.clock)));
    }

    /// A digest depends on what is asked and on nothing else.
    #[test]
    fn digests_follow_the_content(a in any::request(), b in any::request()) {
        let (of_a, of_b) = (codec::request_digest(&a), codec::request_digest(&b));
        prop_assert_eq!(of_a == of_b, a == b);
    }

    /// An independent decoder sees well-formed MessagePack and nothing behind it.
    #[test]
    fn another_library_reads_what_we_write((service, reply) in any::reply(), stamp in any::stamp()) {
        let bytes = codec::encode_reply(service, &reply, stamp);
        let mut rest = &bytes[..];
        let value = rmpv::decode::read_value(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(value["service"].as_str(), Some(service));
        prop_assert_eq!(value["data"]["clock"].as_u64(), Some(stamp.clock));
    }
}
