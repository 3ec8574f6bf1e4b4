//! What the processes' own logs tell: who led when, who got which rank and which node id.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cluster::{EMPTY_MARK, START_MARK};
use crate::history::{Folder, History, Led, Name, Ranked};

/// Reads one server's log into the history. The drill began at this time of the system's clock.
pub fn read(history: &mut History, server: &Name, log: &str, began: SystemTime) {
    let began_us = began.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let (mut node, mut start) = (0, 0);
    for line in log.lines() {
        if let Some(number) = line.strip_prefix(START_MARK) {
            start = number.trim().parse().unwrap_or(start);
            continue;
        }
        if line == EMPTY_MARK {
            node = 0;
            continue;
        }
        let time = line.split(' ').next().and_then(unix_time).unwrap_or_default();
        let at_us = u64::try_from(time.as_micros().saturating_sub(began_us)).unwrap_or(u64::MAX);
        if line.contains(" server started ") {
            let now = number(line, "node=").unwrap_or(0);
            if now != node {
                history.folders.push(Folder { server: server.clone(), node: now, at_us });
            }
            node = now;
        } else if line.contains(" this server leads now ") {
            let Some(term) = number(line, "term=") else { continue };
            history.led.push(Led { server: server.clone(), node, term, at_us });
        } else if line.contains(" the reference gave this server its rank ") {
            let Some(rank) = number(line, "rank=") else { continue };
            history.ranks.push(Ranked { rank, name: server.clone(), boot: start, at_us });
        }
    }
}

fn number(line: &str, key: &str) -> Option<u64> {
    let (_, rest) = line.split_once(key)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// A time like `2026-01-31T12:00:00.000Z`, since the Unix epoch.
fn unix_time(text: &str) -> Option<Duration> {
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let (hour, minute, second, ms) = (part(11..13)?, part(14..16)?, part(17..19)?, part(20..23)?);
    // Years begin in March here, so that the leap day is the last one.
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    let days = days.checked_sub(719_469)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Duration::from_secs(seconds) + Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("2026-11-23T09:11:34.476Z", 1_795_425_094_476),
        ] {
            assert_eq!(unix_time(text), Some(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(unix_time("nonsense"), None);
    }

    #[test]
    fn a_log_tells_who_led_with_which_rank_and_node() {
        let log = "\
--- start 1
1970-01-01T00:00:01.000Z  INFO server started name=server-1 address=tcp://127.0.0.1:7 node=55
1970-01-01T00:00:02.000Z  INFO the reference gave this server its rank rank=1
1970-01-01T00:00:03.000Z  INFO this server leads now term=4
--- start 2
1970-01-01T00:00:04.000Z  INFO server started name=server-1 address=tcp://127.0.0.1:7 node=55
--- empty
--- start 3
1970-01-01T00:00:05.000Z  INFO server started name=server-1 address=tcp://127.0.0.1:7 node=55
1970-01-01T00:00:05.500Z  INFO the reference gave this server its rank rank=2
";
        let mut history = History::default();
        let name: Name = "server-1".into();
        read(&mut history, &name, log, UNIX_EPOCH);
        let led = Led { server: name.clone(), node: 55, term: 4, at_us: 3_000_000 };
        assert_eq!(history.led, [led]);
        let ranks: Vec<_> = history.ranks.iter().map(|r| (r.rank, r.boot)).collect();
        assert_eq!(ranks, [(1, 1), (2, 3)]);
        // The same node id for two empty folders is for the checker to find.
        let folders: Vec<_> = history.folders.iter().map(|f| (f.node, f.at_us)).collect();
        assert_eq!(folders, [(55, 1_000_000), (55, 5_000_000)]);
    }
}
