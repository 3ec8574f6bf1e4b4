//! What has a good checksum and can't be understood is no damage: the server stops, says so, and
//! leaves its folder alone.

use std::fs;
use std::path::Path;

use crate::damage::log_file;
use crate::memory::Cluster;
use crate::seq;

/// A record of the log: its kind and what follows, and a checksum that fits.
fn record(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = [&kind.to_be_bytes(), content].concat();
    let sum = u64::from(crc32fast::hash(&bytes));
    bytes.extend(sum.to_be_bytes());
    bytes
}

/// An entry, and the record that says that it is committed.
fn committed(term: u64, index: u64, tag: u8, payload: &[u8]) -> Vec<u8> {
    let id = [term.to_be_bytes(), index.to_be_bytes()].concat();
    let length = payload.len() as u32;
    let head = [&[tag][..], &length.to_be_bytes(), &(!length).to_be_bytes()].concat();
    [record(1, &[&id[..], &head, payload].concat()), record(2, &id)].concat()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_another_version_stops_the_server_and_stays() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    for n in 1..=20 {
        cluster.publish_until_acked(session, n).await;
    }
    cluster.wait_equal().await;
    let replica = cluster.servers[2].replica();
    let (term, next) = (replica.view().borrow().term, *replica.applied().borrow() + 1);
    cluster.stop(2).await;
    let dir = cluster.servers[2].dir.clone();
    let (log, kept) = (dir.join("log"), dir.join("kept"));
    copy(&log, &kept);
    let cases = [
        (1, &[9, 1, 2, 3][..], "version is 9"),
        (1, &[1, 0x94][..], "can't read"),
        (9, &[1, 2, 3][..], "of a kind (9)"),
    ];
    for (tag, payload, reason) in cases {
        let path = log_file(&dir);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(committed(term, next, tag, payload));
        fs::write(&path, bytes).unwrap();
        let refused = cluster.try_restart(2).await.unwrap_err();
        assert!(refused.contains(reason) && refused.contains("run the version"), "{refused}");
        assert!(!dir.join("damaged-1").exists(), "nothing was moved");
        fs::remove_dir_all(&log).unwrap();
        copy(&kept, &log);
    }
    cluster.restart(2).await;
    cluster.wait_active(3).await;
    assert_eq!(seq(&cluster.publish_until_acked(session, 21).await), 21);
    cluster.wait_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_of_another_version_stops_the_server_and_stays() {
    let mut cluster = Cluster::start(3).await;
    let session = cluster.prepare().await;
    cluster.publish_until_acked(session, 1).await;
    cluster.stop(2).await;
    let dir = cluster.servers[2].dir.clone();
    let path = dir.join("identity");
    let whole = fs::read(&path).unwrap();
    let body = [&2u32.to_be_bytes()[..], b"not as this version writes it"].concat();
    fs::write(&path, [&crc32fast::hash(&body).to_be_bytes()[..], &body].concat()).unwrap();
    let refused = cluster.try_restart(2).await.unwrap_err();
    assert!(refused.contains("run the version"), "{refused}");
    assert!(!dir.join("damaged-1").exists() && dir.join("log").exists(), "nothing was moved");
    fs::write(&path, whole).unwrap();
    cluster.restart(2).await;
    cluster.wait_active(3).await;
}
