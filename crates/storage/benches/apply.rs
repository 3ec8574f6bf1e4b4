//! What it costs to apply publications, in memory and in the store: `cargo bench -p
//! recado-storage`. The time of a batch, divided by its messages, is that of one.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recado_chat::rows::MemoryRows;
use recado_chat::{Command, LogEntry, Origin, Stamp, apply};
use recado_storage::{Logged, Marks, Store};

const CHANNELS: u64 = 8;
const SESSIONS: u64 = 64;

/// Makes entries, one behind the other.
#[derive(Default)]
struct Feed {
    position: u64,
    n: u64,
}

impl Feed {
    fn entry(&mut self, command: Command, origin: Option<Origin>) -> Logged {
        self.position += 1;
        let stamp = Stamp { time_ms: 1_000 + self.position, clock: self.position };
        let entry = LogEntry { stamp, origin, published: 0, command };
        Logged { position: self.position, entry: Some(entry) }
    }

    /// The channels and sessions that the publications need.
    fn preparations(&mut self) -> Vec<Logged> {
        let channels = (0..CHANNELS).map(|i| Command::Channel { channel: format!("channel {i}") });
        let sessions = (0..SESSIONS).map(|session| Command::Session { session });
        channels.chain(sessions).map(|command| self.entry(command, None)).collect()
    }

    /// Messages of 200 bytes from 64 sessions to 8 channels.
    fn publications(&mut self, count: u64) -> Vec<Logged> {
        (0..count)
            .map(|_| {
                let n = self.n;
                self.n += 1;
                let origin = Origin { session: n % SESSIONS, n: 1 + n / SESSIONS, digest: n };
                let command = Command::Publish {
                    user: format!("user{}", n % 64),
                    channel: format!("channel {}", n % CHANNELS),
                    message: "x".repeat(200),
                };
                self.entry(command, Some(origin))
            })
            .collect()
    }

    fn marks(&self) -> Marks {
        Marks { applied: self.position.to_be_bytes().to_vec(), membership: b"members".to_vec() }
    }
}

fn in_memory(criterion: &mut Criterion) {
    let mut feed = Feed::default();
    let mut rows = MemoryRows::default();
    let mut all = |batch: Vec<Logged>| {
        for logged in batch {
            let Ok(_) = apply(&mut rows, logged.position, logged.entry.as_ref().unwrap());
        }
    };
    all(feed.preparations());
    criterion.bench_function("apply to rows in memory", |bencher| {
        bencher.iter_batched(|| feed.publications(1), &mut all, BatchSize::SmallInput);
    });
}

fn in_the_store(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply to the store");
    for batch in [1, 16, 256] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut feed = Feed::default();
        let preparations = feed.preparations();
        store.apply(&preparations, &feed.marks()).unwrap();
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter_batched(
                || {
                    let entries = feed.publications(batch);
                    (entries, feed.marks())
                },
                |(entries, marks)| store.apply(&entries, &marks).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, in_memory, in_the_store);
criterion_main!(benches);
