//! What lies on the disk, looked at when somebody asks.

use std::fmt::Error;
use std::path::{Path, PathBuf};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// How deep folders are looked into; ours are never deeper.
const MAX_DEPTH: usize = 4;

/// A role's data folder.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Collector for Folder {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let free = rustix::fs::statvfs(&self.0).ok().map(|disk| disk.f_bavail * disk.f_frsize);
        for (name, help, bytes) in [
            ("data_bytes", "Length of all files in the data folder.", Some(length(&self.0, 0))),
            ("disk_free_bytes", "Free space of the disk that holds the data folder.", free),
        ] {
            let Some(bytes) = bytes else { continue };
            let name = format!("{}_{name}", recado_metrics::PREFIX);
            let into = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            ConstGauge::new(bytes as f64).encode(into)?;
        }
        Ok(())
    }
}

/// What is gone or can't be read by now has no length.
fn length(dir: &Path, depth: usize) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let lengths = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() && depth < MAX_DEPTH => length(&entry.path(), depth + 1),
        Ok(found) if found.is_file() => found.len(),
        _ => 0,
    });
    lengths.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_folders_count() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("log")).unwrap();
        std::fs::write(dir.path().join("log/1"), [0; 30]).unwrap();
        std::fs::write(dir.path().join("store"), [0; 12]).unwrap();
        assert_eq!(length(dir.path(), 0), 42);
        assert_eq!(length(&dir.path().join("nowhere"), 0), 0);
    }
}
