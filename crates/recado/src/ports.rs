//! Whether ports are free, asked before anything is started.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

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

/// The first free port from `first` on.
///
/// # Errors
/// When none of them is free.
pub fn first_free(host: &str, first: u16, count: u16) -> Result<u16, Failure> {
    for port in first..first.saturating_add(count) {
        match try_bind(&address::endpoint(host, port)) {
            Ok(()) => return Ok(port),
            Err(why) if why.kind() == ErrorKind::AddrInUse => {}
            Err(_) => return check_free(&address::endpoint(host, port)).map(|()| port),
        }
    }
    Err(Failure::Failed(format!(
        "the ports {first} to {} are all in use; give a free one with --port",
        first.saturating_add(count) - 1
    )))
}

/// Whether something takes connections there.
pub fn answers(endpoint: &str, timeout: Duration) -> bool {
    let Some((host, Some(port))) = address::split(endpoint) else { return false };
    let Ok(mut found) = (host, port).to_socket_addrs() else { return false };
    found.any(|to| TcpStream::connect_timeout(&to, timeout).is_ok())
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
        assert_ne!(first_free("127.0.0.1", port, 64).unwrap(), port);
        assert!(first_free("127.0.0.1", port, 1).is_err());
    }
}
