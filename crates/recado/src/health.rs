//! `health`: whether a role is ready, asked at its HTTP address. It is run every few seconds in each
//! container, so it does nothing but that.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::address;
use crate::failure::Failure;
use crate::options::Settings;

/// How long the role is given to answer, from the look-up of its name to the last byte, ms.
const ANSWER_MS: u64 = 2000;

/// How much of an answer is read, bytes; it is a few sentences.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Asks once. What comes back is for people: `ready`, or what is missing.
///
/// # Errors
/// The role is not ready, or does not answer in time.
pub fn ask(settings: &Settings) -> Result<(), Failure> {
    let Some(http) = settings.http.as_deref() else {
        return Err(Failure::Usage(
            "whom to ask? give the role's --http HOST:PORT, or set RECADO_HTTP as for the role"
                .to_owned(),
        ));
    };
    let (host, port) = address::http(http).map_err(Failure::Usage)?;
    let host = address::local_host(host);
    let shown = address::host_port(&host, port);
    let silent = |why: String| Failure::Failed(format!("nobody answers at {shown}: {why}"));
    // The look-up of a name knows no time limit; the thread that waits for one is left behind.
    let (sender, answer) = mpsc::channel();
    let work = move || _ = sender.send(get(&host, port));
    std::thread::Builder::new().spawn(work).map_err(|why| silent(why.to_string()))?;
    match answer.recv_timeout(Duration::from_millis(ANSWER_MS)) {
        Ok(Ok(answer)) => judge(&answer),
        Ok(Err(why)) => Err(silent(why.to_string())),
        Err(_) => Err(silent(format!("no answer within {} s", ANSWER_MS / 1000))),
    }
}

fn get(host: &str, port: u16) -> std::io::Result<String> {
    let deadline = Instant::now() + Duration::from_millis(ANSWER_MS);
    let left = || match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(std::io::Error::from(ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut tried = Err(ErrorKind::AddrNotAvailable.into());
    for to in (bare, port).to_socket_addrs()? {
        tried = TcpStream::connect_timeout(&to, left()?);
        if tried.is_ok() {
            break;
        }
    }
    let mut stream = tried?;
    stream.set_read_timeout(Some(left()?))?;
    let at = address::host_port(host, port);
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What an answer says.
fn judge(answer: &str) -> Result<(), Failure> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(()),
        Some("503") => Err(Failure::Failed(format!("not ready: {}", body.trim_end()))),
        _ => Err(Failure::Failed("what answers there is no role of recado".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_ready_or_what_is_missing() {
        assert!(judge("HTTP/1.1 200 OK\r\nx: y\r\n\r\nready\n").is_ok());
        let missing = judge("HTTP/1.1 503 S\r\n\r\nno flour\nno salt\n").unwrap_err();
        assert_eq!(missing.to_string(), "not ready: no flour\nno salt");
        for strange in ["", "HTTP/1.1 404 N\r\n\r\n", "SSH-2.0-x"] {
            assert!(judge(strange).unwrap_err().to_string().contains("no role"), "{strange}");
        }
    }
}
