//! A clock that is wrong by an hour. It is the server's own offset, set at a start: changing the
//! machine's clock would hit everybody on it.

use std::io;

use super::{Outcome, Planned};
use crate::arena::Arena;
use crate::net::Node;

const HOUR_MS: i64 = 3_600_000;

pub async fn jump(arena: &mut Arena, planned: &Planned) -> io::Result<Outcome> {
    let server = Node::Server(planned.choose(arena.cluster.servers()));
    let offset_ms = if planned.pick % 4 < 2 { HOUR_MS } else { -HOUR_MS };
    arena.begins();
    for more in [vec![format!("--clock-offset-ms={offset_ms}")], Vec::new()] {
        arena.cluster.kill(&[server], None).await?;
        arena.cluster.set_more(server, more);
        arena.start(&[server])?;
        arena.until_up(&[server]).await?;
        arena.wait(planned.hold).await?;
    }
    Ok(Outcome::Done(format!("{server} by {offset_ms} ms and back")))
}
