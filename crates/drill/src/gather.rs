//! What stands there at the end: every history through the broker, and every store's rows.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use recado_client::ClientError;
use recado_protocol::{HistoryQuery, Record};
use recado_storage::{STORE_FILE, Store};

use crate::arena::Arena;
use crate::history::{FinalRow, Name, State, Topic};
use crate::net::Node;
use crate::workload::{self, Doors};

/// The reference's replica, in the reference's folder.
const WITNESS_FOLDER: &str = "replica";

/// Rows in a page.
const PAGE_ROWS: usize = 1000;
/// How long one page is asked for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long servers may take until all are active and level when nothing is written: one that a
/// busy machine made fall silent has to keep pace first.
const LEVEL: Duration = Duration::from_secs(130);
/// So it must have been for this time, with nothing more applied: the voters follow two seconds
/// behind the active servers, and whether the reference's replica is level nobody tells.
const UNCHANGED: Duration = Duration::from_millis(3000);
/// Nothing goes over the links for so long before the servers stop.
const STILL: Duration = Duration::from_millis(300);

/// All rows of these topics.
///
/// # Errors
/// When the cluster does not answer.
pub async fn topics(
    doors: &Doors,
    topics: &[Topic],
) -> Result<BTreeMap<Topic, Vec<FinalRow>>, ClientError> {
    let client = doors.client(PATIENCE).await?;
    let mut found = BTreeMap::new();
    for topic in topics {
        let mut rows: Vec<FinalRow> = Vec::new();
        loop {
            let after = rows.last().map_or(0, |row| row.row.seq);
            let of = workload::history_of(topic);
            let query = HistoryQuery { of, after: Some(after), before: None, limit: PAGE_ROWS };
            let page = client.history(query).await?;
            if page.messages.is_empty() {
                break;
            }
            rows.extend(page.messages.iter().map(final_row));
        }
        found.insert(topic.clone(), rows);
    }
    client.close().await;
    Ok(found)
}

fn final_row(record: &Record) -> FinalRow {
    FinalRow {
        row: workload::row(record),
        message_id: <[u8; 16]>::try_from(&*record.id).unwrap_or_default(),
        timestamp_ms: record.timestamp,
    }
}

/// What the servers hold in the end, and which of them were not there.
pub struct Standing {
    /// Every replica's state.
    pub states: Vec<State>,
    /// Servers that are not active.
    pub missing: Vec<Name>,
}

/// Stops all processes and looks into the stores. When the servers stop one after the other,
/// those that are left still write down who left; so first the links between them stand still.
///
/// # Errors
/// When the drill was told to stop.
pub async fn standing(arena: &mut Arena) -> io::Result<Standing> {
    let mut last = (None, Instant::now());
    let level = |arena: &mut Arena| {
        let view = arena.watch.now();
        let applied = view.level().filter(|_| view.active() == arena.cluster.servers());
        if applied.is_none() || applied != last.0 {
            last = (applied, Instant::now());
        }
        last.1.elapsed() >= UNCHANGED
    };
    arena.until(LEVEL, level).await?;
    let view = arena.watch.now();
    let missing = (0..arena.cluster.servers()).filter(|server| !view.is_active(*server));
    let missing = missing.map(|server| Node::Server(server).to_string().as_str().into()).collect();
    for link in arena.net.between_replicas() {
        link.change(|rules| (rules.hold_forward, rules.hold_backward) = (true, true));
    }
    arena.wait(STILL).await?;
    arena.cluster.stop_all().await;
    let mut states = Vec::new();
    for node in arena.cluster.nodes().collect::<Vec<_>>() {
        let active = match node {
            Node::Server(server) => view.is_active(server),
            // A replica that serves nobody is there to be compared all the same.
            _ => true,
        };
        for folder in stores(&arena.cluster.folder(node)) {
            match state(&folder) {
                Ok((position, hash)) => {
                    let server = node.to_string().as_str().into();
                    states.push(State { server, position, hash, active });
                }
                Err(why) => arena.fails(&format!("{node}'s store can't be read: {why}")),
            }
        }
    }
    Ok(Standing { states, missing })
}

/// Folders with a store. What was damaged is kept beside a server's own, and is no state.
fn stores(folder: &Path) -> Vec<PathBuf> {
    let own = [folder.to_owned(), folder.join(WITNESS_FOLDER)];
    own.into_iter().filter(|folder| folder.join(STORE_FILE).exists()).collect()
}

fn state(folder: &Path) -> Result<(u64, [u8; 32]), String> {
    let store = Store::open(folder).map_err(|why| why.to_string())?;
    let reader = store.reader().map_err(|why| why.to_string())?;
    let position = reader.position().map_err(|why| why.to_string())?;
    let hash = reader.state_hash().map_err(|why| why.to_string())?;
    Ok((position, hash))
}
