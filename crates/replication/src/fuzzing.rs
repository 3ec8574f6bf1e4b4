//! What fuzzers feed that nobody else needs to name: messages of peers, and the files of a data
//! folder.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use openraft::EntryPayload as Kind;
use raft_log::codeq::{Decode, Encode};
use recado_chat::LogEntry;
use recado_chat::members::Announcement;
use recado_storage::Marks;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::announce::Announced;
use crate::bounds::message::{self, Known};
use crate::bounds::{MAX_ENTRY_BYTES, payload};
use crate::confirm::Reach;
use crate::identity::{IDENTITY_FILE, Identity, Standing};
use crate::log::Log;
use crate::log_codec::{DiskPayload, DiskVote};
use crate::machine::decode_marks;
use crate::meet::Who;
use crate::network::{seal, unseal};
use crate::snapshot::{Chunk, ChunkAnswer};
use crate::tail::{self, Finding};
use crate::types::{
    AppendRequest, AppendResponse, Entry, EntryPayload, LogId, Payload, SnapshotResponse,
    TransferRequest, Vote, VoteRequest, VoteResponse,
};

/// The name of a log's first file.
const FIRST_FILE: &str = "r-00_000_000_000_000_000_000.wal";
const CLUSTER: u64 = 7;
const ME: u64 = 1;
const OTHER: u64 = 2;
const KNOWN: Known = Known { me: ME, term: 3, committed: None };

/// Reads a message as a peer's of every kind, and an answer to it. What is within bounds can be
/// written to the log, and comes back from it.
///
/// # Panics
/// When it does not.
pub fn peer_message(body: &[u8]) {
    if let Some(request) = read::<AppendRequest>(body)
        && message::append(&request, KNOWN).is_ok()
    {
        request.entries.iter().for_each(|entry| goes_to_disk(&entry.payload));
    }
    if let Some(request) = read::<VoteRequest>(body) {
        _ = message::vote(&request, KNOWN);
    }
    if let Some(request) = read::<TransferRequest>(body) {
        _ = message::transfer(&request, KNOWN);
    }
    if let Some(Chunk { end: Some((vote, meta)), .. }) = read(body) {
        _ = message::snapshot(&vote, &meta, KNOWN);
    }
    if let Some(announcement) = read::<Announcement>(body) {
        _ = crate::bounds::announcement(&announcement);
    }
    _ = read::<AppendResponse>(body);
    _ = read::<VoteResponse>(body);
    _ = read::<SnapshotResponse>(body);
    _ = read::<ChunkAnswer>(body);
    _ = read::<Announced>(body);
    _ = read::<Who>(body);
    _ = read::<Reach>(body);
    _ = read::<Option<u64>>(body);
}

/// Messages of every kind.
pub fn peer_messages() -> Vec<Vec<u8>> {
    let id = |term: u64, index: u64| LogId { leader_id: term.into(), index };
    let vote = Vote::new_committed(3, OTHER);
    let normal = Kind::Normal(Payload(entry_with_origin()));
    let entries = vec![
        Entry { log_id: id(3, 5), payload: Kind::Blank },
        Entry { log_id: id(3, 6), payload: normal },
    ];
    let append =
        AppendRequest { vote, prev_log_id: Some(id(2, 4)), entries, leader_commit: Some(id(2, 4)) };
    let announcement = Announcement {
        node: OTHER,
        name: "server-2".into(),
        address: "tcp://127.0.0.1:5561".into(),
        rank: 2,
        boot: 9,
        pid: 10,
        witness: false,
    };
    let chunk = Chunk { transfer: 4, offset: 0, bytes: b"RECADOSN".to_vec(), end: None };
    let who = Who { name: "server-2".into(), boot: 9, removed: false };
    vec![
        body(&append),
        body(&VoteRequest::new(Vote::new(4, OTHER), Some(id(3, 6)))),
        body(&announcement),
        body(&chunk),
        body(&who),
        body(&Announced::Welcome { cluster: CLUSTER }),
        body(&ChunkAnswer::Failed("no room".into())),
        body(&Reach { term: 3, index: 6 }),
    ]
}

/// Reads whole frames, heads too. Nothing that is not for this cluster and node is decoded.
pub fn peer_frame(frame: &[u8]) {
    let mut own = Vec::with_capacity(frame.len() + 16);
    own.extend(CLUSTER.to_be_bytes());
    own.extend(ME.to_be_bytes());
    own.extend(frame);
    assert!(unseal::<AppendRequest>(Some(CLUSTER + 1), Some(ME), &own).is_none());
    assert!(unseal::<AppendRequest>(Some(CLUSTER), Some(OTHER), &own).is_none());
    _ = unseal::<VoteRequest>(Some(CLUSTER), Some(ME), frame);
}

/// Reads an entry of the chat; what is within bounds is admitted again, and applied.
pub fn entry_bytes(bytes: &[u8]) -> Option<LogEntry> {
    let entry = LogEntry::decode(bytes).ok()?;
    let normal = Kind::Normal(Payload(Bytes::copy_from_slice(bytes)));
    payload(&normal).ok()?;
    Some(entry)
}

/// Entries of the chat, with a byte between that MessagePack never uses.
pub fn chat_entries() -> Vec<Vec<u8>> {
    use recado_chat::{Command, ImportedRow, MemberCommand, Stamp};

    let text = |text: &str| text.to_owned();
    let rows = vec![ImportedRow::Channel { channel: text("sala") }];
    let commands = [
        Command::Session { session: 3 },
        Command::Login { user: text("ana") },
        Command::Channel { channel: text("geral") },
        Command::Publish { user: text("ana"), channel: text("geral"), message: text("a") },
        Command::Message { src: text("ana"), dst: text("bob"), message: text("b") },
        Command::Import { rows },
        Command::Member(MemberCommand::Remove { node: OTHER }),
    ];
    let entry = |command: Command| {
        let stamp = Stamp { time_ms: 1_760_000_000_000, clock: 5 };
        LogEntry { stamp, origin: None, published: 0, command }.encode()
    };
    let entries: Vec<Vec<u8>> = commands.into_iter().map(entry).collect();
    vec![entries.join(&0xc1), entry_with_origin().to_vec()]
}

/// Reads what stands in a log's record.
pub fn log_record(bytes: &[u8]) {
    if let Ok(vote) = DiskVote::decode(bytes) {
        let mut again = Vec::new();
        _ = vote.encode(&mut again);
        assert_eq!(DiskVote::decode(&again[..]).ok(), Some(vote));
    }
    if let Ok(read) = DiskPayload::decode(bytes) {
        let mut again = Vec::new();
        _ = read.encode(&mut again);
        assert!(DiskPayload::decode(&again[..]).is_ok());
    }
    let (applied, membership) = bytes.split_at(bytes.len() / 2);
    _ = decode_marks(&Marks { applied: applied.to_vec(), membership: membership.to_vec() });
}

/// Records of a log.
pub fn log_records() -> Vec<Vec<u8>> {
    let mut vote = Vec::new();
    _ = DiskVote(Vote::new_committed(3, OTHER)).encode(&mut vote);
    let mut records = vec![vote];
    for payload in [Kind::Blank, Kind::Normal(Payload(entry_with_origin()))] {
        let mut record = Vec::new();
        _ = DiskPayload::Known(payload).encode(&mut record);
        records.push(record);
    }
    records
}

/// Looks at a log of one file, and opens it if it seems whole. It may be refused.
pub fn log_file(folder: &Path, bytes: &[u8]) {
    if fs::write(folder.join(FIRST_FILE), bytes).is_err() {
        return;
    }
    _ = tail::begins_well(folder);
    _ = tail::format(folder);
    _ = tail::last_entry(folder);
    match tail::inspect(folder) {
        Ok(Finding::Torn { path, whole_bytes }) => {
            _ = tail::cut(&path, whole_bytes);
            assert!(!matches!(tail::inspect(folder), Ok(Finding::Torn { .. })), "torn twice");
        }
        Ok(Finding::Whole) => _ = Log::open_whole(folder),
        _ => {}
    }
}

/// A log's first file, as it is written.
pub fn log_files(folder: &Path) -> Vec<Vec<u8>> {
    use raft_log::api::raft_log_writer::RaftLogWriter as _;

    let Ok(mut log) = Log::open_whole(folder) else { return Vec::new() };
    let normal = DiskPayload::Known(Kind::Normal(Payload(entry_with_origin())));
    _ = log.save_user_data(Some("1".into()));
    _ = log.save_vote(DiskVote(Vote::new_committed(3, OTHER)));
    _ = log.append([((3, 1), normal.clone()), ((3, 2), DiskPayload::Known(Kind::Blank))]);
    _ = log.commit((3, 1));
    _ = log.truncate(2);
    _ = log.append([((3, 2), normal)]);
    _ = log.flush(true, None);
    _ = log.wait_worker_idle();
    drop(log);
    fs::read(folder.join(FIRST_FILE)).into_iter().collect()
}

/// Reads a folder's identity: as it is, and with a checksum that fits.
pub fn identity_file(folder: &Path, bytes: &[u8]) {
    for bytes in [bytes.to_vec(), [&crc32fast::hash(bytes).to_be_bytes()[..], bytes].concat()] {
        if fs::write(folder.join(IDENTITY_FILE), bytes).is_ok() {
            _ = Identity::read(folder);
        }
    }
}

/// Identities, without their checksums.
pub fn identities(folder: &Path) -> Vec<Vec<u8>> {
    let identity = Identity {
        node: ME,
        cluster: Some(CLUSTER),
        has_log: true,
        standing: Some(Standing::default()),
        renewal: None,
    };
    _ = identity.save(folder);
    let file = fs::read(folder.join(IDENTITY_FILE)).unwrap_or_default();
    vec![file.get(4..).unwrap_or_default().to_vec()]
}

fn goes_to_disk(payload: &EntryPayload) {
    let mut bytes = Vec::new();
    let written = DiskPayload::Known(payload.clone()).encode(&mut bytes);
    assert_eq!(written.ok(), Some(bytes.len()));
    assert!(bytes.len() <= MAX_ENTRY_BYTES + 64, "longer than any entry may be");
    let back = DiskPayload::decode(&bytes[..]);
    assert!(matches!(back, Ok(DiskPayload::Known(back)) if back == *payload), "not as it was");
}

fn entry_with_origin() -> Bytes {
    use recado_chat::{Command, Origin, Stamp};

    let entry = LogEntry {
        stamp: Stamp { time_ms: 1_760_000_000_000, clock: 5 },
        origin: Some(Origin { session: 3, n: 1, digest: 8 }),
        published: 2,
        command: Command::Login { user: "ana".into() },
    };
    entry.encode().into()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let frame = [&CLUSTER.to_be_bytes()[..], &ME.to_be_bytes(), body].concat();
    unseal(Some(CLUSTER), Some(ME), &frame)
}

fn body(message: &impl Serialize) -> Vec<u8> {
    let sealed = seal(CLUSTER, ME, message).unwrap_or_default();
    sealed.get(16..).unwrap_or_default().to_vec()
}
