//! The order of disk and socket, and the whole role over a real socket.

use std::time::Duration;

use futures::FutureExt;
use recado_protocol::codec;
use recado_protocol::reference::{ReferenceReply, ReferenceRequest, Registration};
use recado_transport::Caller;
use tokio::sync::oneshot;

use super::*;

fn envelope(number: u8) -> Envelope {
    Envelope { frames: vec![Bytes::from(vec![number]), Bytes::new()] }
}

fn persistent(last_rank: u64) -> Option<Persistent> {
    Some(Persistent { last_rank, ..Persistent::default() })
}

fn outgoing(file: DurableFile) -> Outgoing {
    Outgoing::new(file, Histogram::new([1.0]))
}

#[tokio::test]
async fn no_answer_overtakes_the_disk_or_another_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = DurableFile::new(folder.path(), "reference");
    let mut outgoing = outgoing(file.clone());
    outgoing.add(envelope(1), Bytes::new(), None);
    assert_eq!(outgoing.ready().len(), 1);

    outgoing.add(envelope(2), Bytes::new(), persistent(1));
    outgoing.add(envelope(3), Bytes::new(), None);
    assert_eq!(outgoing.ready(), []);
    outgoing.saved().await.unwrap();
    assert_eq!(file.load::<Persistent>().unwrap(), persistent(1));
    let left: Vec<Envelope> = outgoing.ready().into_iter().map(|(to, _)| to).collect();
    assert_eq!(left, [envelope(2), envelope(3)]);
    assert!(outgoing.saved().now_or_never().is_none());
}

#[tokio::test]
async fn what_changes_while_the_disk_works_waits_for_its_own_turn() {
    let folder = tempfile::tempdir().unwrap();
    let mut outgoing = outgoing(DurableFile::new(folder.path(), "reference"));
    outgoing.add(envelope(1), Bytes::new(), persistent(1));
    // The wait is given up, as a request that comes meanwhile does it; the disk goes on.
    assert!(outgoing.saved().now_or_never().is_none());
    outgoing.add(envelope(2), Bytes::new(), persistent(2));
    outgoing.saved().await.unwrap();
    assert_eq!(outgoing.ready().len(), 1);
    outgoing.saved().await.unwrap();
    assert_eq!(outgoing.ready().len(), 1);
}

#[tokio::test]
async fn a_failed_disk_ends_the_reference() {
    let file = DurableFile::new(std::path::Path::new("/nowhere/at/all"), "reference");
    let mut outgoing = outgoing(file);
    outgoing.add(envelope(1), Bytes::new(), persistent(1));
    let error = outgoing.saved().await.unwrap_err();
    assert!(matches!(error, ReferenceError::Unstorable { .. }), "{error}");
}

async fn rank(caller: &Caller, user: &str, boot: u64) -> u64 {
    let said = Registration { user: user.into(), boot: Some(boot), ..Registration::default() };
    let stamp = codec::Stamp::default();
    let body = codec::encode_reference_request(&ReferenceRequest::Rank(said), stamp);
    let answer = caller.call(vec![body], Duration::from_secs(5)).await.unwrap();
    match codec::decode_reference_reply(&answer[0]).unwrap().0 {
        ReferenceReply::Rank { rank, .. } => rank,
        other => panic!("{other:?}"),
    }
}

/// Asks a reference that runs on this folder, then stops it.
async fn with_reference(folder: &std::path::Path, asks: &[(&str, u64)]) -> Vec<u64> {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("tcp://127.0.0.1:{port}");
    let config = ReferenceConfig::new(endpoint.clone(), folder);
    let (stop, stopped) = oneshot::channel::<()>();
    let role = tokio::spawn(run_reference(config, stopped.map(|_| ())));
    let caller = Caller::connect(&endpoint).await.unwrap();
    assert!(caller.wait_connected(Duration::from_secs(5)).await);
    let mut ranks = Vec::new();
    for (user, boot) in asks {
        ranks.push(rank(&caller, user, *boot).await);
    }
    let _ = stop.send(());
    role.await.unwrap().unwrap();
    ranks
}

#[tokio::test]
async fn no_rank_is_given_twice_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let first = with_reference(folder.path(), &[("a", 1), ("b", 1), ("a", 1), ("a", 2)]).await;
    assert_eq!(first, [1, 2, 1, 3]);
    // Who ran on keeps its rank; another start, and a stranger, get new ones.
    let second = with_reference(folder.path(), &[("b", 1), ("a", 3), ("c", 1)]).await;
    assert_eq!(second, [2, 4, 5]);
}

#[tokio::test]
async fn a_damaged_file_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE_NAME), b"RECADORFgarbage and more").unwrap();
    let config = ReferenceConfig::new("tcp://127.0.0.1:0", folder.path());
    let error = run_reference(config, std::future::pending()).await.unwrap_err();
    assert!(matches!(error, ReferenceError::Damaged { .. }), "{error}");
}
