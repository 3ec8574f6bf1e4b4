//! Reads rows as other programs and older exports wrote them.
//!
//! Times may be integers or floats, seconds or milliseconds, numbers in strings, ISO dates, or
//! missing; clocks and some fields of users may be missing too. Names and texts may not.

use recado_protocol::ImportRow;
use recado_protocol::message::ExportTable;
use serde_json::Value;

/// Times from here on are seconds: as milliseconds they would be in 1970. What is smaller is in
/// no unit that can be told, and kept, so that a second export gives the same number again.
const FIRST_SECONDS: f64 = 1e8;

/// Times from here on are milliseconds: as seconds they would be thousands of years away.
const FIRST_MS: f64 = 1e11;

/// Reads one file's rows in their order.
pub(super) struct RowReader {
    table: ExportTable,
    /// A message without a readable time gets the one before it, so that the order stays.
    last_ms: u64,
}

impl RowReader {
    pub(super) fn new(table: ExportTable) -> RowReader {
        RowReader { table, last_ms: 0 }
    }

    /// Reads one row.
    pub(super) fn read(&mut self, row: &Value) -> Result<ImportRow, String> {
        match self.table {
            ExportTable::Users => read_user(row),
            ExportTable::Channels => {
                let name = row.get("channel").unwrap_or(row);
                let channel = name.as_str().ok_or("it is not a channel's name")?.to_owned();
                Ok(ImportRow::Channel { channel })
            }
            ExportTable::Publications => Ok(ImportRow::Publication {
                user: text(row, "user")?,
                channel: text(row, "channel")?,
                message: text(row, "message")?,
                timestamp: self.time(row),
                clock: clock(row),
            }),
            ExportTable::Messages => Ok(ImportRow::Private {
                src: text(row, "src")?,
                dst: text(row, "dst")?,
                message: text(row, "message")?,
                timestamp: self.time(row),
                clock: clock(row),
            }),
        }
    }

    fn time(&mut self, row: &Value) -> u64 {
        self.last_ms = row.get("timestamp").and_then(time_ms).unwrap_or(self.last_ms);
        self.last_ms
    }
}

fn read_user(row: &Value) -> Result<ImportRow, String> {
    // A pair of name and details, or either of them alone.
    let (name, details) = match row {
        Value::Array(pair) => (pair.first().and_then(Value::as_str), pair.get(1)),
        Value::String(name) => (Some(name.as_str()), None),
        other => (None, Some(other)),
    };
    let field = |key: &str| details.and_then(|details| details.get(key));
    let user = name
        .or_else(|| field("user").and_then(Value::as_str))
        .ok_or("it does not begin with a user's name")?
        .to_owned();
    let time = |key| field(key).and_then(time_ms);
    let login_ms = time("loginTime").or_else(|| time("createdAt")).unwrap_or(0);
    let created_ms = time("createdAt").unwrap_or(login_ms);
    let seen_ms = time("lastSeen").unwrap_or(login_ms);
    Ok(ImportRow::User { user, login_ms, seen_ms, created_ms })
}

fn text(row: &Value, key: &str) -> Result<String, String> {
    let value = row.get(key).and_then(Value::as_str);
    value.map(str::to_owned).ok_or_else(|| format!("the text `{key}` is missing"))
}

fn clock(row: &Value) -> u64 {
    match row.get("clock") {
        Some(Value::Number(number)) => {
            number.as_u64().or_else(|| number.as_f64().map(|float| float as u64)).unwrap_or(0)
        }
        Some(Value::String(digits)) => digits.trim().parse().unwrap_or(0),
        _ => 0,
    }
}

/// A time in ms since the Unix epoch, if the value is one in any form that we know.
fn time_ms(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(whole) if whole as f64 >= FIRST_MS => Some(whole),
            _ => number.as_f64().and_then(float_ms),
        },
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => float_ms(number),
            Err(_) => iso_ms(text.trim()),
        },
        _ => None,
    }
}

fn float_ms(number: f64) -> Option<u64> {
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    let seconds = (FIRST_SECONDS..FIRST_MS).contains(&number);
    let ms = if seconds { number * 1000.0 } else { number };
    Some(ms.round() as u64)
}

/// `2024-05-01T12:30:00.250Z`, with `T` or a space, with or without fraction and offset; without
/// an offset it is taken for UTC.
fn iso_ms(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.splitn(3, '-');
    let year: i64 = parts.next()?.parse().ok()?;
    let month: i64 = parts.next()?.parse().ok()?;
    let day: i64 = parts.next()?.parse().ok()?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut ms = days_since_epoch(year, month, day) * 86_400_000;
    if !rest.is_empty() {
        let rest = rest.strip_prefix(['T', ' '])?;
        let end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(end);
        ms += clock_ms(clock.trim())? - offset_ms(zone)?;
    }
    u64::try_from(ms).ok()
}

fn clock_ms(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next().map_or(Some(0.0), |text| text.parse().ok())?;
    let valid = (0..24).contains(&hours) && (0..60).contains(&minutes);
    (valid && (0.0..61.0).contains(&seconds))
        .then(|| (hours * 60 + minutes) * 60_000 + (seconds * 1000.0).round() as i64)
}

fn offset_ms(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next() {
        None | Some('Z' | 'z') => return Some(0),
        Some('-') => -1,
        _ => 1,
    };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..4).map_or(Some(0), |text| text.parse().ok())?;
    Some(sign * (hours * 60 + minutes) * 60_000)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, years counted from March so that
/// the leap day comes last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days_before_month = (153 * month + 2) / 5;
    year * 365 + leap_days + days_before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_in_every_form() {
        let cases = [
            (json!(1_714_566_600_250_u64), Some(1_714_566_600_250)),
            (json!(1_714_566_600_250.0), Some(1_714_566_600_250)),
            (json!(1_714_566_600), Some(1_714_566_600_000)),
            (json!(1_714_566_600.25), Some(1_714_566_600_250)),
            (json!("1714566600250"), Some(1_714_566_600_250)),
            (json!("1714566600.25"), Some(1_714_566_600_250)),
            (json!("2024-05-01T12:30:00.250Z"), Some(1_714_566_600_250)),
            (json!("2024-05-01T14:30:00.250+02:00"), Some(1_714_566_600_250)),
            (json!("2024-05-01 12:30:00"), Some(1_714_566_600_000)),
            (json!("2024-05-01T09:30:00-0300"), Some(1_714_566_600_000)),
            (json!("2000-02-29"), Some(951_782_400_000)),
            (json!("1970-01-01T00:00:00Z"), Some(0)),
            (json!(0), Some(0)),
            (json!(12_345), Some(12_345)),
            (json!("yesterday"), None),
            (json!("2024-13-01"), None),
            (json!("2024-05-01T99:00"), None),
            (json!(-5), None),
            (json!(null), None),
            (json!({}), None),
        ];
        for (value, expected) in cases {
            assert_eq!(time_ms(&value), expected, "{value}");
        }
    }

    #[test]
    fn older_users_lack_some_fields() {
        let mut reader = RowReader::new(ExportTable::Users);
        let user = |login_ms, seen_ms, created_ms| {
            Ok(ImportRow::User { user: "ana".to_owned(), login_ms, seen_ms, created_ms })
        };
        let old =
            json!(["ana", {"loginTime": 1_714_566_600_000_u64, "lastSeen": 1_714_566_700_000_u64}]);
        assert_eq!(
            reader.read(&old),
            user(1_714_566_600_000, 1_714_566_700_000, 1_714_566_600_000)
        );
        assert_eq!(reader.read(&json!("ana")), user(0, 0, 0));
        assert_eq!(reader.read(&json!({"user": "ana"})), user(0, 0, 0));
        assert!(reader.read(&json!([1, {}])).is_err());
    }

    #[test]
    fn a_message_without_a_time_keeps_its_place() {
        let mut reader = RowReader::new(ExportTable::Messages);
        let first = json!({"src": "a", "dst": "b", "message": "x", "timestamp": 1_714_566_600.0});
        let second =
            json!({"src": "a", "dst": "b", "message": "y", "timestamp": "soon", "clock": "7"});
        assert!(reader.read(&first).is_ok());
        assert_eq!(
            reader.read(&second),
            Ok(ImportRow::Private {
                src: "a".to_owned(),
                dst: "b".to_owned(),
                message: "y".to_owned(),
                timestamp: 1_714_566_600_000,
                clock: 7
            })
        );
    }

    proptest::proptest! {
        #[test]
        fn no_date_panics(text in ".{0,40}") {
            iso_ms(&text);
            time_ms(&json!(text));
        }

        #[test]
        fn no_number_panics(number: f64) {
            time_ms(&json!(number));
        }
    }
}
