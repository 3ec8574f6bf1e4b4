//! A full disk: whoever has one stops serving rather than acknowledge what it can't store, waits,
//! and is back by itself when there is room, without anybody who starts it again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::process::is_running;
use crate::support::{Cluster, chat};

/// Small enough to be filled at once, and larger than what a server wants free.
const SIZE_MIB: usize = 96;

/// A file system of its own, unmounted at the end.
struct Small {
    path: PathBuf,
}

impl Small {
    /// None, with the reason printed, where nothing may be mounted.
    fn mount(path: &Path) -> Option<Small> {
        fs::create_dir_all(path).unwrap();
        let size = format!("size={SIZE_MIB}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Small { path: path.to_owned() }),
            other => {
                println!("skipped: no small file system can be mounted here ({other:?})");
                None
            }
        }
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![7u8; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a server that is just ending may still be in it.
        let done = Command::new("umount").arg("-l").arg(&self.path).status();
        assert!(done.is_ok_and(|status| status.success()), "{} stays", self.path.display());
    }
}

/// Waits until a server's process says that it waits, from this place of the log on.
fn waits_for_room(cluster: &Cluster, from: usize, times: usize) {
    cluster.eventually("it waits for room", || {
        let waiting = cluster.log()[from..].matches("waiting for them").count();
        (waiting >= times).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_with_a_full_disk_drops_out_and_returns() {
    let mut cluster = Cluster::empty();
    let Some(small) = Small::mount(&cluster.data_dir().join("server-1")) else { return };
    // Alone first, so that it has the lowest rank.
    cluster.start_roles(1);
    cluster.wait_active(1);
    cluster.start_server(2, &[]);
    cluster.start_server(3, &[]);
    cluster.wait_active(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let load = chat::Load::start(&cluster, "load", 4).await;
    let pid = cluster.process("server-1").pid();
    // The first server is the primary; when it is back it is a backup.
    for role in ["primary", "backup"] {
        let members = cluster.members();
        let row = members.iter().find(|m| m["name"] == "server-1").unwrap();
        assert_eq!(row["role"], role);
        let from = cluster.log().len();
        small.fill();
        waits_for_room(&cluster, from, 1);
        cluster.wait_active(2);
        let ack = client.publish("ana", "load", &format!("without the {role}")).await.unwrap();
        assert_eq!(ack.stored, 2);
        small.free();
        cluster.wait_active(3);
        assert!(is_running(pid), "it is the same process");
    }
    let acked = load.stop().await;
    let records = chat::channel_history(&client, "load").await;
    chat::check_acked(&acked, &records);
    chat::check_order(&records);
    drop(cluster);
    drop(small);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_on_one_full_disk_refuse_and_return() {
    let mut cluster = Cluster::empty();
    let Some(small) = Small::mount(&cluster.data_dir()) else { return };
    cluster.start_roles(3);
    cluster.wait_active(3);
    let client = chat::connect(&cluster).await;
    client.create_channel("load").await.unwrap();
    let load = chat::Load::start(&cluster, "load", 4).await;
    let from = cluster.log().len();
    small.fill();
    waits_for_room(&cluster, from, 3);
    let refused = cluster.run_with(&["client", "--user", "bia"], "pub load too-much\n");
    assert_ne!(refused.code, Some(0), "{refused:?}");
    small.free();
    cluster.wait_active(3);
    client.publish("ana", "load", "there is room again").await.unwrap();
    let acked = load.stop().await;
    let records = chat::channel_history(&client, "load").await;
    chat::check_acked(&acked, &records);
    chat::check_order(&records);
    drop(cluster);
    drop(small);
}
