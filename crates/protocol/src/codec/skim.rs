//! Reading MessagePack without building a tree.
//!
//! A [`Value`] borrows from the frame. Nothing is allocated here, so no header can make us
//! allocate what it merely claims; and nothing recurses, so no nesting can exhaust the stack.

use rmp::Marker;

use crate::limits::MAX_DEPTH;

/// Why bytes are not one MessagePack value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The bytes end before the value does, or a header claims more than there is.
    #[error("the body ends in the middle of a value")]
    Short,
    /// More than [`MAX_DEPTH`] containers within each other.
    #[error("the body nests deeper than {MAX_DEPTH} levels")]
    Deep,
    /// The one byte that MessagePack never uses.
    #[error("the body holds a byte that MessagePack reserves")]
    Reserved,
    /// Bytes behind the value.
    #[error("the body goes on behind its value")]
    Trailing,
}

/// A value, as it stands in the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer from 0.
    Unsigned(u64),
    /// A negative integer.
    Negative(i64),
    /// A floating-point number of either width.
    Float(f64),
    /// A string, not yet checked to be UTF-8.
    Str(&'a [u8]),
    /// Bytes.
    Bin(&'a [u8]),
    /// An array.
    Array(Items<'a>),
    /// A map; its items are keys and values in turn.
    Map(Items<'a>),
    /// An extension type, which none of our messages has.
    Ext,
}

/// The content of a container, item after item.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Items<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Items<'a> {
    /// The next item's bytes.
    pub(crate) fn next_bytes(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (own, rest) = self.bytes.split_at_checked(end_of(self.bytes).ok()?)?;
        self.bytes = rest;
        Some(own)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    /// The next item; ends early if the bytes are not what they claim, which [`whole`] rules out.
    fn next(&mut self) -> Option<Value<'a>> {
        self.next_bytes().and_then(value_of)
    }
}

/// The value that the bytes begin with, of an item that was found before.
pub(crate) fn value_of(bytes: &[u8]) -> Option<Value<'_>> {
    read(bytes).ok().map(|(value, _)| value)
}

/// The text or bytes of a key; none if it is something else.
pub(crate) fn key_of(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        // Nearly every key: a string shorter than 32 bytes, its length in the marker.
        [0xa0..=0xbf, key @ ..] => Some(key),
        _ => match value_of(bytes)? {
            Value::Str(key) | Value::Bin(key) => Some(key),
            _ => None,
        },
    }
}

/// The one value that the bytes are, checked down to its last item.
pub(crate) fn whole(bytes: &[u8]) -> Result<Value<'_>, Fault> {
    if end_of(bytes)? != bytes.len() {
        return Err(Fault::Trailing);
    }
    read(bytes).map(|(value, _)| value)
}

/// Where the value that the bytes begin with ends.
fn end_of(bytes: &[u8]) -> Result<usize, Fault> {
    match step(bytes)? {
        (end, None) => Ok(end),
        (content, Some(items)) => end_of_container(bytes, content, items),
    }
}

/// Where a container ends whose items, this many, begin at `at`.
fn end_of_container(bytes: &[u8], mut at: usize, items: usize) -> Result<usize, Fault> {
    // How many items are still to come in each container that is open.
    let mut open = [0; MAX_DEPTH];
    open[0] = items;
    let mut depth = 1;
    loop {
        // Close what is complete; a closed container is one item less for the one around it.
        while open[depth - 1] == 0 {
            depth -= 1;
            if depth == 0 {
                return Ok(at);
            }
        }
        open[depth - 1] -= 1;
        let (len, items) = step(bytes.get(at..).ok_or(Fault::Short)?)?;
        at += len;
        if let Some(items) = items {
            *open.get_mut(depth).ok_or(Fault::Deep)? = items;
            depth += 1;
        }
    }
}

/// One step over a value: how many bytes it takes, and for a container, whose items follow
/// there, how many they are.
fn step(bytes: &[u8]) -> Result<(usize, Option<usize>), Fault> {
    let first = *bytes.first().ok_or(Fault::Short)?;
    let len = match first {
        // Small integers, nil, false and true.
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 1,
        // Short strings.
        0xa0..=0xbf => 1 + usize::from(first & 0x1f),
        // Unsigned integers of 8 to 64 bits.
        0xcc..=0xcf => 1 + (1 << (first & 3)),
        // What is rarer in our messages is left to the one place that knows every marker.
        _ => {
            return read(bytes).map(|(value, len)| match value {
                Value::Array(items) | Value::Map(items) => (len, Some(items.left)),
                _ => (len, None),
            });
        }
    };
    if len <= bytes.len() { Ok((len, None)) } else { Err(Fault::Short) }
}

/// Reads one value's header and, unless it is a container, its content. The number is how many
/// bytes that took; a container's items follow there.
pub(crate) fn read(bytes: &[u8]) -> Result<(Value<'_>, usize), Fault> {
    let (&first, rest) = bytes.split_first().ok_or(Fault::Short)?;
    let mut cursor = Cursor { rest };
    let value = match Marker::from_u8(first) {
        Marker::Null => Value::Nil,
        Marker::True => Value::Bool(true),
        Marker::False => Value::Bool(false),
        Marker::FixPos(n) => Value::Unsigned(u64::from(n)),
        Marker::FixNeg(n) => signed(i64::from(n)),
        Marker::U8 => Value::Unsigned(cursor.unsigned::<1>()?),
        Marker::U16 => Value::Unsigned(cursor.unsigned::<2>()?),
        Marker::U32 => Value::Unsigned(cursor.unsigned::<4>()?),
        Marker::U64 => Value::Unsigned(cursor.unsigned::<8>()?),
        Marker::I8 => signed(i64::from(i8::from_be_bytes(cursor.array()?))),
        Marker::I16 => signed(i64::from(i16::from_be_bytes(cursor.array()?))),
        Marker::I32 => signed(i64::from(i32::from_be_bytes(cursor.array()?))),
        Marker::I64 => signed(i64::from_be_bytes(cursor.array()?)),
        Marker::F32 => Value::Float(f64::from(f32::from_be_bytes(cursor.array()?))),
        Marker::F64 => Value::Float(f64::from_be_bytes(cursor.array()?)),
        Marker::FixStr(len) => Value::Str(cursor.take(u64::from(len))?),
        Marker::Str8 => Value::Str(cursor.sized::<1>()?),
        Marker::Str16 => Value::Str(cursor.sized::<2>()?),
        Marker::Str32 => Value::Str(cursor.sized::<4>()?),
        Marker::Bin8 => Value::Bin(cursor.sized::<1>()?),
        Marker::Bin16 => Value::Bin(cursor.sized::<2>()?),
        Marker::Bin32 => Value::Bin(cursor.sized::<4>()?),
        Marker::FixArray(len) => Value::Array(cursor.items(u64::from(len))?),
        Marker::Array16 => Value::Array(cursor.counted::<2>(1)?),
        Marker::Array32 => Value::Array(cursor.counted::<4>(1)?),
        Marker::FixMap(len) => Value::Map(cursor.items(u64::from(len) * 2)?),
        Marker::Map16 => Value::Map(cursor.counted::<2>(2)?),
        Marker::Map32 => Value::Map(cursor.counted::<4>(2)?),
        Marker::FixExt1 => cursor.ext(1)?,
        Marker::FixExt2 => cursor.ext(2)?,
        Marker::FixExt4 => cursor.ext(4)?,
        Marker::FixExt8 => cursor.ext(8)?,
        Marker::FixExt16 => cursor.ext(16)?,
        Marker::Ext8 => {
            let len = cursor.unsigned::<1>()?;
            cursor.ext(len)?
        }
        Marker::Ext16 => {
            let len = cursor.unsigned::<2>()?;
            cursor.ext(len)?
        }
        Marker::Ext32 => {
            let len = cursor.unsigned::<4>()?;
            cursor.ext(len)?
        }
        Marker::Reserved => return Err(Fault::Reserved),
    };
    Ok((value, bytes.len() - cursor.rest.len()))
}

/// An integer from any signed width.
fn signed<'a>(n: i64) -> Value<'a> {
    match u64::try_from(n) {
        Ok(n) => Value::Unsigned(n),
        Err(_) => Value::Negative(n),
    }
}

/// What is left behind a marker.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], Fault> {
        let len = usize::try_from(len).map_err(|_| Fault::Short)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn unsigned<const N: usize>(&mut self) -> Result<u64, Fault> {
        Ok(self.array::<N>()?.iter().fold(0, |n, &byte| (n << 8) | u64::from(byte)))
    }

    fn sized<const N: usize>(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.unsigned::<N>()?;
        self.take(len)
    }

    fn counted<const N: usize>(&mut self, items_each: u64) -> Result<Items<'a>, Fault> {
        let count = self.unsigned::<N>()?;
        self.items(count * items_each)
    }

    /// The items behind this header. Every item takes a byte at least, so a claim of more items
    /// than bytes is refused before anybody believes it.
    fn items(&mut self, claimed: u64) -> Result<Items<'a>, Fault> {
        match usize::try_from(claimed) {
            Ok(left) if left <= self.rest.len() => Ok(Items { bytes: self.rest, left }),
            _ => Err(Fault::Short),
        }
    }

    /// An extension: a byte for its type, then its content.
    fn ext(&mut self, len: u64) -> Result<Value<'a>, Fault> {
        self.take(len + 1)?;
        Ok(Value::Ext)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short cuts in `step` and `key_of` must not disagree with `read`.
    #[test]
    fn short_cuts_lead_to_the_same_place() {
        for first in 0..=u8::MAX {
            for len in 0..80 {
                // Lengths behind the marker come out as 1, or far too long.
                for filler in [0, 1, 255] {
                    let mut bytes = vec![filler; len];
                    bytes.insert(0, first);
                    let seen = read(&bytes).map(|(value, len)| match value {
                        Value::Array(items) | Value::Map(items) => (len, Some(items.left)),
                        _ => (len, None),
                    });
                    assert_eq!(step(&bytes), seen, "{bytes:?}");
                    let Ok((end, None)) = seen else { continue };
                    let key = match value_of(&bytes[..end]) {
                        Some(Value::Str(key) | Value::Bin(key)) => Some(key),
                        _ => None,
                    };
                    assert_eq!(key_of(&bytes[..end]), key, "{bytes:?}");
                }
            }
        }
    }
}
