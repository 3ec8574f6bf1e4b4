//! A row of free ports.

use std::net::TcpStream;

/// Below the range from which systems hand out ports to connections, so that a role that is
/// started again finds its port free.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// The first of a row of ports where nobody listens now; none when there is no such row. Asked by
/// connecting: whoever listened for a moment would be in the way of the next who asks.
pub fn free_row(count: u16) -> Option<u16> {
    let rows = (LAST - FIRST) / count.max(1);
    let start = u16::try_from(std::process::id() % u32::from(rows)).unwrap_or(0);
    (0..rows).map(|turn| FIRST + (start + turn) % rows * count).find(|base| {
        (*base..*base + count).all(|port| TcpStream::connect(("127.0.0.1", port)).is_err())
    })
}
