//! Two hosts on one machine: network name spaces with a cable in between, which can be pulled.

use std::process::{Command, Stdio};

/// What each of them is reached by. Nobody else sees this network.
pub const ADDRESSES: [&str; 2] = ["10.99.7.1", "10.99.7.2"];

/// Two hosts; gone when this is dropped.
pub struct Hosts {
    names: [String; 2],
}

impl Hosts {
    /// Makes them, or says why this machine does not let us.
    pub fn make() -> Result<Hosts, String> {
        let id = std::process::id();
        let hosts = Hosts { names: [format!("recado-{id}-a"), format!("recado-{id}-b")] };
        let [a, b] = &hosts.names;
        for line in [
            format!("netns add {a}"),
            format!("netns add {b}"),
            format!("-n {a} link add cable type veth peer name cable netns {b}"),
            format!("-n {a} address add {}/30 dev cable", ADDRESSES[0]),
            format!("-n {b} address add {}/30 dev cable", ADDRESSES[1]),
            format!("-n {a} link set lo up"),
            format!("-n {b} link set lo up"),
            format!("-n {a} link set cable up"),
            format!("-n {b} link set cable up"),
        ] {
            ip(&line)?;
        }
        Ok(hosts)
    }

    /// What runs a program on the host of this number, from 0.
    pub fn tool(&self, host: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[host]]
    }

    /// Pulls the cable out of the second host, or puts it in again.
    pub fn plug(&self, plugged: bool) {
        let end = if plugged { "up" } else { "down" };
        ip(&format!("-n {} link set cable {end}", self.names[1])).unwrap();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.names {
            _ = ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(line: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    let done = command.args(line.split(' ')).stdin(Stdio::null()).output();
    let done = done.map_err(|why| format!("ip can't be run: {why}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("ip {line}: {}", String::from_utf8_lossy(&done.stderr).trim()))
}
