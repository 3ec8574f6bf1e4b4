//! Writing MessagePack straight into one buffer.

use bytes::Bytes;
use rmp::encode::{self, ByteBuf, ValueWriteError};
use std::convert::Infallible;

use super::Stamp;

/// A map whose entries are being written. Its size is filled in at the end, so that it can't
/// disagree with what was written.
pub(crate) struct MapWriter {
    buf: ByteBuf,
    /// Where the header of the innermost open map stands.
    header_at: usize,
    /// How many entries it has so far.
    entries: u8,
}

/// Writes `{"service": …, "data": {…, timestamp, clock}}`; `fields` writes what stands in front
/// of the two. `room` is about how many bytes the fields take.
pub(crate) fn message(
    service: &str,
    stamp: Stamp,
    room: usize,
    fields: impl FnOnce(&mut MapWriter),
) -> Bytes {
    // 64: keys of the envelope, timestamp and clock, with their widest values.
    let buf = ByteBuf::with_capacity(64 + service.len() + room);
    let mut map = MapWriter { buf, header_at: 0, entries: 0 };
    map.open();
    map.str("service", service);
    map.map("data", |data| {
        fields(data);
        data.uint("timestamp", stamp.timestamp);
        data.uint("clock", stamp.clock);
    });
    map.close();
    Bytes::from(map.buf.into_vec())
}

impl MapWriter {
    /// The header of a map with fewer than 16 entries is one byte: these bits and the count.
    const SMALL_MAP: u8 = 0x80;

    fn open(&mut self) {
        self.header_at = self.buf.as_slice().len();
        self.entries = 0;
        self.buf.as_mut_vec().push(Self::SMALL_MAP);
    }

    fn close(&mut self) {
        debug_assert!(self.entries < 16, "maps of ours have fewer than 16 entries");
        if let Some(header) = self.buf.as_mut_vec().get_mut(self.header_at) {
            *header = Self::SMALL_MAP | self.entries;
        }
    }

    fn key(&mut self, key: &str) {
        self.entries += 1;
        sure(encode::write_str(&mut self.buf, key));
    }

    /// A map within the one that is open.
    fn nested(&mut self, fields: impl FnOnce(&mut MapWriter)) {
        let (header_at, entries) = (self.header_at, self.entries);
        self.open();
        fields(self);
        self.close();
        (self.header_at, self.entries) = (header_at, entries);
    }

    pub(crate) fn str(&mut self, key: &str, value: &str) {
        self.key(key);
        sure(encode::write_str(&mut self.buf, value));
    }

    pub(crate) fn uint(&mut self, key: &str, value: u64) {
        self.key(key);
        sure(encode::write_uint(&mut self.buf, value));
    }

    pub(crate) fn sint(&mut self, key: &str, value: i64) {
        self.key(key);
        sure(encode::write_sint(&mut self.buf, value));
    }

    pub(crate) fn bool(&mut self, key: &str, value: bool) {
        self.key(key);
        self.buf.as_mut_vec().push(if value { 0xc3 } else { 0xc2 });
    }

    pub(crate) fn bin(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        sure(encode::write_bin(&mut self.buf, value));
    }

    /// Bytes as lower-case hexadecimal text, which any client can print.
    pub(crate) fn hex(&mut self, key: &str, value: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.key(key);
        sure(encode::write_str_len(&mut self.buf, length(value.len() * 2)));
        let out = self.buf.as_mut_vec();
        for byte in value {
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
    }

    /// A value of no fixed shape.
    pub(crate) fn free(&mut self, key: &str, value: &rmpv::Value) {
        self.key(key);
        // Writing to a growing buffer can't fail.
        let _ = rmpv::encode::write_value(self.buf.as_mut_vec(), value);
    }

    pub(crate) fn map(&mut self, key: &str, fields: impl FnOnce(&mut MapWriter)) {
        self.key(key);
        self.nested(fields);
    }

    pub(crate) fn strs(&mut self, key: &str, values: &[String]) {
        self.key(key);
        sure(encode::write_array_len(&mut self.buf, length(values.len())));
        for value in values {
            sure(encode::write_str(&mut self.buf, value));
        }
    }

    /// An array of maps.
    pub(crate) fn maps<T>(&mut self, key: &str, values: &[T], fields: impl Fn(&mut MapWriter, &T)) {
        self.key(key);
        sure(encode::write_array_len(&mut self.buf, length(values.len())));
        for value in values {
            self.nested(|map| fields(map, value));
        }
    }
}

/// MessagePack counts with 32 bits; a frame is far smaller.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Takes the value out of a result that can't be an error, as its type says.
fn sure<T>(result: Result<T, ValueWriteError<Infallible>>) -> T {
    match result {
        Ok(value) => value,
        Err(
            ValueWriteError::InvalidMarkerWrite(never) | ValueWriteError::InvalidDataWrite(never),
        ) => match never {},
    }
}
