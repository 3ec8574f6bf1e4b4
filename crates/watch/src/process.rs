//! What the system knows of this process, read when somebody asks; under the names that Prometheus
//! has for it everywhere.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Processor time, memory, descriptors, threads and the start of this process.
#[derive(Debug)]
pub struct Process;

/// As Linux counts.
#[derive(Debug, PartialEq)]
struct Facts {
    cpu_s: f64,
    /// Since the system's start.
    start_s: f64,
    threads: u64,
    resident_bytes: u64,
    virtual_bytes: u64,
}

impl Process {
    /// None where there is no `/proc`.
    fn facts(&self) -> Option<Facts> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let ticks = rustix::param::clock_ticks_per_second();
        parse(&stat, ticks, rustix::param::page_size() as u64)
    }
}

/// The fields of `/proc/self/stat` behind the name, which may hold anything.
fn parse(stat: &str, ticks_per_second: u64, page_bytes: u64) -> Option<Facts> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The first field behind the name is the third one of all.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / ticks_per_second.max(1) as f64;
    Some(Facts {
        cpu_s: seconds(number(14)? + number(15)?),
        threads: number(20)?,
        start_s: seconds(number(22)?),
        virtual_bytes: number(23)?,
        resident_bytes: number(24)? * page_bytes,
    })
}

/// When the system started, s since the Unix epoch.
fn boot_s() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// How many descriptors are open, without the one that counts them.
fn open_descriptors() -> Option<u64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(u64::try_from(count).unwrap_or(u64::MAX).saturating_sub(1))
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let Some(facts) = self.facts() else { return Ok(()) };
        let cpu = ConstCounter::new(facts.cpu_s);
        let help = "Processor time that this process used, user and system.";
        let into =
            encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        cpu.encode(into)?;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let start = boot_s().map(|boot| boot + facts.start_s);
        let whole = |number: u64| Some(number as f64);
        for (name, help, value) in [
            ("process_start_time_seconds", "Start of this process, since the Unix epoch.", start),
            ("process_threads", "Threads of this process.", whole(facts.threads)),
            (
                "process_resident_memory_bytes",
                "Memory that this process holds.",
                whole(facts.resident_bytes),
            ),
            (
                "process_virtual_memory_bytes",
                "Address space of this process.",
                whole(facts.virtual_bytes),
            ),
            (
                "process_open_fds",
                "Open file descriptors.",
                open_descriptors().map(|count| count as f64),
            ),
            ("process_max_fds", "Most file descriptors that may be open.", limit.and_then(whole)),
        ] {
            let Some(value) = value else { continue };
            let into = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(into)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_stand_behind_whatever_the_name_is() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1000 4096000 300 0";
        let facts = Facts {
            cpu_s: 3.0,
            start_s: 10.0,
            threads: 9,
            resident_bytes: 300 * 4096,
            virtual_bytes: 4_096_000,
        };
        assert_eq!(parse(stat, 100, 4096), Some(facts));
        assert_eq!(parse("7 (a) S 1", 100, 4096), None);
    }

    #[test]
    fn this_process_has_memory_and_threads() {
        let facts = Process.facts().unwrap();
        assert!(facts.resident_bytes > 0 && facts.threads > 0, "{facts:?}");
    }
}
