//! Strangers: connections that send what no client sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How many of them come to one port at a time.
const STRANGERS_PER_PORT: u64 = 3;
/// How many connections to one port are opened and left.
const HALF_OPEN_PER_PORT: usize = 100;
/// How long a stranger stays.
const STAYS: Duration = Duration::from_millis(100);

/// The greeting of ZeroMQ 3.1 with the mechanism NULL, up to its filler.
const GREETING: &[u8] = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01NULL";
const GREETING_BYTES: usize = 64;

/// Strangers at work, until they are stopped.
pub struct Hostile {
    connections: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

impl Hostile {
    /// Sends them to these ports.
    pub fn start(ports: &[u16], seed: u64) -> Hostile {
        let connections = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for port in ports.iter().copied() {
            for stranger in 0..STRANGERS_PER_PORT {
                let rng = StdRng::seed_from_u64(seed ^ (u64::from(port) << 16) ^ stranger);
                tasks.spawn(bother(port, rng, connections.clone()));
            }
            tasks.spawn(hold_half_open(port, connections.clone()));
        }
        Hostile { connections, tasks }
    }

    /// Ends it, and tells how many connections there were.
    pub async fn stop(mut self) -> u64 {
        self.tasks.shutdown().await;
        self.connections.load(Relaxed)
    }
}

async fn bother(port: u16, mut rng: StdRng, connections: Arc<AtomicU64>) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            connections.fetch_add(1, Relaxed);
            let bytes = nonsense(&mut rng);
            let talk = async {
                _ = stream.write_all(&bytes).await;
                _ = stream.read(&mut [0; 1024]).await;
            };
            _ = tokio::time::timeout(STAYS, talk).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..30))).await;
    }
}

/// Connections over which nothing ever comes.
async fn hold_half_open(port: u16, connections: Arc<AtomicU64>) {
    let mut held = Vec::new();
    while held.len() < HALF_OPEN_PER_PORT {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
            connections.fetch_add(1, Relaxed);
            held.push(stream);
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    std::future::pending::<()>().await;
}

/// Random bytes; half a greeting; a whole one with a huge frame behind it, or deep nesting.
fn nonsense(rng: &mut StdRng) -> Vec<u8> {
    let mut greeting = GREETING.to_vec();
    greeting.resize(GREETING_BYTES, 0);
    match rng.random_range(0..6) {
        0 => {
            let mut bytes = vec![0; rng.random_range(1..4096)];
            rng.fill_bytes(&mut bytes);
            bytes
        }
        1 => greeting[..rng.random_range(1..GREETING_BYTES)].to_vec(),
        2 => {
            // A frame of 2^62 bytes, declared and not sent.
            greeting.extend_from_slice(b"\x02\x40\x00\x00\x00\x00\x00\x00\x00");
            greeting
        }
        3 => {
            ready(&mut greeting);
            // Arrays in arrays, as a request.
            frame(&mut greeting, 1, b"");
            frame(&mut greeting, 0, &[0x91; 60_000]);
            greeting
        }
        4 => {
            ready(&mut greeting);
            frame(&mut greeting, 1, b"");
            // A map of 2^32 entries, and an array of as many.
            frame(&mut greeting, 0, b"\xdf\xff\xff\xff\xff\xa7service\xdd\xff\xff\xff\xff");
            greeting
        }
        _ => {
            ready(&mut greeting);
            for _ in 0..rng.random_range(1..300) {
                let mut bytes = vec![0; rng.random_range(0..200)];
                rng.fill_bytes(&mut bytes);
                frame(&mut greeting, u8::from(rng.random_bool(0.5)), &bytes);
            }
            greeting
        }
    }
}

/// The command by which a DEALER introduces itself.
fn ready(bytes: &mut Vec<u8>) {
    let body = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER";
    frame(bytes, 4, body);
}

fn frame(bytes: &mut Vec<u8>, flags: u8, body: &[u8]) {
    match u8::try_from(body.len()) {
        Ok(short) => bytes.extend_from_slice(&[flags, short]),
        Err(_) => {
            bytes.push(flags | 2);
            bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(body);
}
