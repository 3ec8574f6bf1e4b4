//! Typed fields out of maps, leniently: what PROTOCOL.md promises to understand.

use bytes::Bytes;

use super::skim::{self, Items, Value};
use super::{DecodeError, Stamp};
use crate::code::{Code, Refusal};
use crate::limits::{MAX_LABEL_BYTES, MAX_REASON_BYTES};

/// A message taken apart: its service, and its data as fields.
pub(crate) struct Message<'a> {
    pub(crate) service: &'a str,
    pub(crate) data: Fields<'a>,
}

/// Reads `{"service": …, "data": {…}}`. Absent data is empty data; a service that needs fields
/// will miss them.
pub(crate) fn message(body: &[u8]) -> Result<Message<'_>, DecodeError> {
    let Value::Map(items) = skim::whole(body).map_err(|fault| DecodeError(fault.to_string()))?
    else {
        return Err(DecodeError("the body must be a map with `service` and `data`".into()));
    };
    let top = Fields { items };
    let [service, data] = top.pick(["service", "data"]);
    let service = service.text()?;
    let data = match data.value {
        Some(Value::Map(items)) => Fields { items },
        Some(_) => return Err(DecodeError("the field `data` must be a map".into())),
        None => Fields { items: Items::default() },
    };
    Ok(Message { service, data })
}

/// The text of a str or bin, if it is valid UTF-8.
pub(crate) fn text(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Str(bytes) | Value::Bin(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// A map's entries. Keys may be str or bin, in any order; unknown keys are passed over. Of a key
/// that comes twice the first one counts: the broker peeks at the service without reading on, and
/// the server must not see another one.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    items: Items<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of these names, in one pass.
    pub(crate) fn pick<const N: usize>(&self, names: [&'static str; N]) -> [Field<'a>; N] {
        let mut fields = names.map(|name| Field { name, value: None, bytes: &[] });
        let mut items = self.items;
        while let (Some(key), Some(bytes)) = (items.next_bytes(), items.next_bytes()) {
            let Some(key) = skim::key_of(key) else { continue };
            let Some(field) = fields.iter_mut().find(|f| f.name.as_bytes() == key) else {
                continue;
            };
            // Every value has bytes, so a field without any was not seen yet.
            if field.bytes.is_empty() {
                field.bytes = bytes;
                // Nil is how many languages write "not there".
                field.value = skim::value_of(bytes).filter(|value| *value != Value::Nil);
            }
        }
        fields
    }

    /// The sender's stamp, as far as it can be understood; 0 stands for the rest.
    pub(crate) fn stamp(&self) -> Stamp {
        let [timestamp, clock] = self.pick(["timestamp", "clock"]);
        Stamp { timestamp: timestamp.lenient_time(), clock: clock.lenient_clock() }
    }
}

/// One field of a map, by name, there or not.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    name: &'static str,
    value: Option<Value<'a>>,
    bytes: &'a [u8],
}

impl<'a> Field<'a> {
    fn must_be(&self, what: &str) -> DecodeError {
        match self.value {
            None => DecodeError(format!("the field `{}` is missing", self.name)),
            Some(_) => DecodeError(format!("the field `{}` must be {what}", self.name)),
        }
    }

    /// Applies `read` if the field is there.
    pub(crate) fn optional<T>(
        self,
        read: impl FnOnce(Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.is_there() { read(self).map(Some) } else { Ok(None) }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.value.is_some()
    }

    pub(crate) fn text(&self) -> Result<&'a str, DecodeError> {
        self.value.and_then(text).ok_or_else(|| self.must_be("a string of valid UTF-8"))
    }

    pub(crate) fn string(self) -> Result<String, DecodeError> {
        self.text().map(str::to_owned)
    }

    /// The name or the address of a part of the cluster.
    pub(crate) fn label(self) -> Result<String, DecodeError> {
        let text = self.text()?;
        if text.len() > MAX_LABEL_BYTES {
            return Err(self.must_be("a shorter string"));
        }
        Ok(text.to_owned())
    }

    /// Why something is as it is, in words; more of them than anybody wants to read are cut off.
    pub(crate) fn reason(self) -> Result<String, DecodeError> {
        let text = self.text()?;
        Ok(text[..text.floor_char_boundary(MAX_REASON_BYTES)].to_owned())
    }

    /// An integer from 0, of any width; floats count when they are whole.
    pub(crate) fn uint(self) -> Result<u64, DecodeError> {
        self.value.and_then(whole_uint).ok_or_else(|| self.must_be("an integer from 0"))
    }

    pub(crate) fn uint32(self) -> Result<u32, DecodeError> {
        self.uint().and_then(|n| {
            u32::try_from(n).map_err(|_| self.must_be("an integer of at most 32 bits"))
        })
    }

    /// An integer of either sign; floats count when they are whole.
    pub(crate) fn sint(self) -> Result<i64, DecodeError> {
        let n = match self.value {
            Some(Value::Unsigned(n)) => i64::try_from(n).ok(),
            Some(Value::Negative(n)) => Some(n),
            // Both bounds are powers of two, so the comparison is exact.
            Some(Value::Float(f)) if f.fract() == 0.0 && (-POW_63..POW_63).contains(&f) => {
                Some(f as i64)
            }
            _ => None,
        };
        n.ok_or_else(|| self.must_be("an integer"))
    }

    /// How many rows are wanted: brought between 1 and `most` instead of refused.
    pub(crate) fn limit(self, default: usize, most: usize) -> Result<usize, DecodeError> {
        let wanted = match self.value {
            None => return Ok(default),
            Some(Value::Negative(_)) => 0,
            Some(Value::Float(f)) if f.fract() == 0.0 => f as u64,
            _ => self.uint()?,
        };
        Ok(usize::try_from(wanted).unwrap_or(most).clamp(1, most))
    }

    pub(crate) fn bool(self) -> Result<bool, DecodeError> {
        match self.value {
            Some(Value::Bool(b)) => Ok(b),
            _ => Err(self.must_be("true or false")),
        }
    }

    pub(crate) fn bin(self) -> Result<Bytes, DecodeError> {
        match self.value {
            Some(Value::Bin(bytes) | Value::Str(bytes)) => Ok(Bytes::copy_from_slice(bytes)),
            _ => Err(self.must_be("bytes")),
        }
    }

    pub(crate) fn map(self) -> Result<Fields<'a>, DecodeError> {
        match self.value {
            Some(Value::Map(items)) => Ok(Fields { items }),
            _ => Err(self.must_be("a map")),
        }
    }

    pub(crate) fn strings(self) -> Result<Vec<String>, DecodeError> {
        const WHAT: &str = "an array of strings of valid UTF-8";
        let Some(Value::Array(items)) = self.value else { return Err(self.must_be(WHAT)) };
        items.map(|item| text(item).map(str::to_owned).ok_or_else(|| self.must_be(WHAT))).collect()
    }

    /// The first `most` maps of an array, read one by one; what stands behind them is not looked
    /// at.
    pub(crate) fn maps<T>(
        self,
        read: impl Fn(Fields<'a>) -> Result<T, DecodeError>,
        most: usize,
    ) -> Result<Vec<T>, DecodeError> {
        const WHAT: &str = "an array of maps";
        let Some(Value::Array(items)) = self.value else { return Err(self.must_be(WHAT)) };
        let read = |item| match item {
            Value::Map(items) => read(Fields { items }),
            _ => Err(self.must_be(WHAT)),
        };
        items.take(most).map(read).collect()
    }

    /// A value of no fixed shape; nil if it is not there.
    pub(crate) fn free(self) -> Result<rmpv::Value, DecodeError> {
        if !self.is_there() {
            return Ok(rmpv::Value::Nil);
        }
        rmpv::decode::read_value(&mut &*self.bytes).map_err(|_| self.must_be("readable"))
    }

    /// A message's public id: hexadecimal text, or the bytes themselves. Somebody else's idea of
    /// an id is no id.
    pub(crate) fn message_id(self) -> Bytes {
        match self.value {
            Some(Value::Bin(bytes)) => Bytes::copy_from_slice(bytes),
            Some(Value::Str(digits)) => unhex(digits).unwrap_or_default(),
            _ => Bytes::new(),
        }
    }

    /// Whatever somebody sends as a time, in ms. A number between 2001 and 5138 if it were
    /// seconds is taken for seconds; what is no number is 0.
    pub(crate) fn lenient_time(self) -> u64 {
        const SECONDS: std::ops::Range<f64> = 1e9..1e11;
        match self.value {
            Some(Value::Unsigned(n)) if SECONDS.contains(&(n as f64)) => n.saturating_mul(1000),
            Some(Value::Unsigned(n)) => n,
            Some(Value::Float(f)) if SECONDS.contains(&f) => (f * 1000.0) as u64,
            // The conversion brings what is negative, too large or not a number into range.
            Some(Value::Float(f)) => f as u64,
            _ => 0,
        }
    }

    /// A logical clock; 0 if it is none.
    pub(crate) fn lenient_clock(self) -> u64 {
        self.value.and_then(whole_uint).unwrap_or(0)
    }

    /// The code of a refusal. Somebody who sends none, or one of a later version, has refused all
    /// the same.
    pub(crate) fn code(self) -> Code {
        self.value.and_then(text).and_then(Code::parse).unwrap_or(Code::Refused)
    }
}

/// A refusal whose text stands in the first of these fields that is there.
pub(crate) fn refusal(code: Field<'_>, texts: [Field<'_>; 2]) -> Refusal {
    let text = texts.into_iter().find_map(|field| field.text().ok());
    Refusal::new(code.code(), text.unwrap_or("refused without a reason"))
}

const POW_63: f64 = 9_223_372_036_854_775_808.0;
const POW_64: f64 = 2.0 * POW_63;

fn whole_uint(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Unsigned(n) => Some(n),
        Value::Float(f) if f.fract() == 0.0 && (0.0..POW_64).contains(&f) => Some(f as u64),
        _ => None,
    }
}

fn unhex(digits: &[u8]) -> Option<Bytes> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| Some(nibble(high)? << 4 | nibble(low)?)).collect()
}
