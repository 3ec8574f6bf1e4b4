//! Whether ports are free, asked before anything is started.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use recado_transport::unreached;

use crate::address;
use crate::failure::Failure;

/// Checks that an end point can be bound.
///
/// # Errors
/// One sentence that says which port is in use, or what is wrong with the host.
pub fn check_free(endpoint: &str) -> Result<(), Failure> {
    try_bind(endpoint).map_err(|why| {
        Failure::Failed(match why.kind() {
            ErrorKind::AddrInUse => format!(
                "{endpoint} is in use; stop what listens there, or choose another --port-base"
            ),
            _ => format!("can't listen on {endpoint}: {why}; choose another --listen"),
        })
    })
}

/// A port that this process is about to bind. Servers that are started at the same moment look
/// for a free port at the same moment, and would all find the same one.
pub struct Claim {
    #[cfg(target_os = "linux")]
    _name: std::os::unix::net::UnixDatagram,
}

impl Claim {
    /// None when another process claims the port. An abstract socket name can be held once, leaves
    /// no file behind, and goes with its process.
    #[cfg(target_os = "linux")]
    fn take(port: u16) -> Option<Claim> {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let name = SocketAddr::from_abstract_name(format!("recado-port-{port}")).ok()?;
        UnixDatagram::bind_addr(&name).ok().map(|name| Claim { _name: name })
    }

    /// Elsewhere whoever comes second has to be given its --port.
    #[cfg(not(target_os = "linux"))]
    fn take(_port: u16) -> Option<Claim> {
        Some(Claim {})
    }
}

/// The first port from `first` on that is free and that nobody else claims.
///
/// # Errors
/// When none of them is free.
pub fn claim_free(host: &str, first: u16, count: u16) -> Result<(u16, Claim), Failure> {
    for port in first..first.saturating_add(count) {
        let Some(claim) = Claim::take(port) else { continue };
        match try_bind(&address::endpoint(host, port)) {
            Err(why) if why.kind() == ErrorKind::AddrInUse => {}
            Ok(()) => return Ok((port, claim)),
            Err(_) => return check_free(&address::endpoint(host, port)).map(|()| (port, claim)),
        }
    }
    Err(Failure::Failed(format!(
        "the ports {first} to {} are all in use; give a free one with --port",
        first.saturating_add(count) - 1
    )))
}

/// Whether something takes connections there.
pub fn answers(endpoint: &str, timeout: Duration) -> bool {
    reach(endpoint, timeout).is_ok()
}

/// Connects once, to find out whether something listens there. Each step gets so much time.
///
/// # Errors
/// Why not, in a clause.
pub fn reach(endpoint: &str, timeout: Duration) -> Result<(), String> {
    let Some((host, Some(port))) = address::split(endpoint) else {
        return Err("that is no address".to_owned());
    };
    let host = host.to_owned();
    let (sender, found) = mpsc::channel();
    let work = move || _ = sender.send(connect(&host, port, timeout));
    let spawned = std::thread::Builder::new().name("reach".into()).spawn(work);
    spawned.map_err(|why| why.to_string())?;
    // The look-up of a name knows no time limit; the thread that waits for one is left behind.
    found.recv_timeout(2 * timeout).unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

fn connect(host: &str, port: u16, timeout: Duration) -> Result<(), String> {
    let unresolved = |why| format!("{host} can't be resolved: {why}");
    let addresses = (host, port).to_socket_addrs().map_err(unresolved)?;
    let mut failed = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => return Ok(()),
            Err(why) => failed = unreached(&why),
        }
    }
    Err(failed)
}

fn try_bind(endpoint: &str) -> std::io::Result<()> {
    let Some((host, Some(port))) = address::split(endpoint) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let host = if host == "*" { "0.0.0.0" } else { host };
    TcpListener::bind((host, port)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_and_passed_over() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let endpoint = address::endpoint("127.0.0.1", port);
        let failure = check_free(&endpoint).unwrap_err().to_string();
        assert!(failure.contains(&endpoint) && failure.contains("--port-base"), "{failure}");
        assert!(answers(&endpoint, Duration::from_secs(1)));
        assert_ne!(claim_free("127.0.0.1", port, 64).unwrap().0, port);
        assert!(claim_free("127.0.0.1", port, 1).is_err());
    }

    #[test]
    fn why_nobody_is_reached_is_said() {
        let second = Duration::from_secs(1);
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refused = reach(&address::endpoint("127.0.0.1", free), second).unwrap_err();
        assert_eq!(refused, "nothing listens there");
        let unknown = reach("tcp://no-such-host.invalid:7", 10 * second).unwrap_err();
        assert!(unknown.contains("no-such-host.invalid can't be resolved"), "{unknown}");
        assert!(reach("tcp://", second).is_err());
    }

    #[test]
    fn whoever_comes_second_finds_another_port() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, _claim) = claim_free("127.0.0.1", free, 64).unwrap();
        let (other, _claim) = claim_free("127.0.0.1", free, 64).unwrap();
        assert_ne!(port, other);
    }
}
