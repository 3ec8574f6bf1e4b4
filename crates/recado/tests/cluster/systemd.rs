//! What systemd is told, at a socket that stands for it.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Cluster, signal};

/// How long the next word may take.
const WORD_S: u64 = 20;

/// systemd's ear.
struct Ear(UnixDatagram);

impl Ear {
    /// Waits until this was said.
    fn until(&self, word: &str) {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.0.recv(&mut buffer) {
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if said.lines().any(|line| line.starts_with(word)) {
                return;
            }
            heard.push(said);
        }
        panic!("{word} was not said, but {heard:?}");
    }
}

#[test]
fn a_role_says_when_it_serves_lives_and_stops() {
    let mut cluster = Cluster::empty();
    let path = cluster.dir().join("notify");
    let ear = Ear(UnixDatagram::bind(&path).unwrap());
    ear.0.set_read_timeout(Some(Duration::from_secs(WORD_S))).unwrap();
    let socket = format!("NOTIFY_SOCKET={}", path.display());
    // No other server and no reference: it is ready for systemd all the same.
    cluster.start_server_under(&["env", &socket, "WATCHDOG_USEC=400000"], 1);
    ear.until("READY=1");
    ear.until("STATUS=the reference");
    ear.until("WATCHDOG=1");
    ear.until("WATCHDOG=1");
    signal(cluster.process("server-1").pid(), Signal::TERM);
    ear.until("STOPPING=1");
}
