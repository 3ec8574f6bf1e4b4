//! What it costs to append entries to the log until they are on disk: `cargo bench -p
//! recado-replication`. It writes to the folder for temporary files, which has to be on the disk
//! that is to be measured: `TMPDIR=… cargo bench …`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recado_replication::measured::LogOnDisk;

/// About what an entry with a message of 200 bytes takes.
const ENTRY_BYTES: usize = 280;

fn append(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("append to the log and sync");
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    for batch in [1_usize, 16, 256] {
        let dir = tempfile::tempdir().unwrap();
        let mut log = runtime.block_on(LogOnDisk::open(dir.path())).unwrap();
        let entries = vec![Bytes::from(vec![b'x'; ENTRY_BYTES]); batch];
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let started = Instant::now();
                    for _ in 0..times {
                        log.append(&entries).await.unwrap();
                    }
                    started.elapsed()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
