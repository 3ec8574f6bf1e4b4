//! A client that asks once and hears exactly what came back: no repeats, no patience.

use std::time::Duration;

use recado_client::{ClientError, LogicalClock, now_ms};
use recado_protocol::codec::{Stamp, decode_reply, encode_request};
use recado_protocol::{Code, Incoming, Reply, Request, RequestId};
use recado_transport::{CallError, Caller};

/// How long one answer is waited for; the broker gives one within 5 s.
const ANSWER: Duration = Duration::from_secs(8);

/// A connection to the broker.
pub struct Asker {
    caller: Caller,
    clock: LogicalClock,
}

/// What came back.
pub enum Answer {
    /// An answer.
    Reply(Reply),
    /// Certainly not done, by this code.
    NotDone(Code),
    /// Never sent.
    NotSent,
    /// May be done.
    Unknown,
}

impl Asker {
    /// Starts connecting.
    ///
    /// # Errors
    /// When the address can't be used at all.
    pub async fn connect(broker: &str) -> Result<Asker, ClientError> {
        Ok(Asker { caller: Caller::connect(broker).await?, clock: LogicalClock::default() })
    }

    /// Asks once.
    pub async fn ask(&self, request: Request, id: Option<RequestId>) -> Answer {
        let clock = self.clock.tick();
        let stamp = Stamp { timestamp: now_ms(), clock };
        let body = encode_request(&Incoming { request, clock, id }, stamp);
        match self.caller.call(vec![body], ANSWER).await {
            Ok(frames) => self.read(frames.first().map_or(&[][..], |frame| frame)),
            Err(CallError::NotConnected) => {
                self.caller.wait_connected(Duration::from_millis(100)).await;
                Answer::NotSent
            }
            Err(CallError::Disconnected | CallError::TimedOut) => Answer::Unknown,
        }
    }

    fn read(&self, body: &[u8]) -> Answer {
        match decode_reply(body) {
            Ok((_, Reply::Refused(refusal), stamp)) => {
                self.clock.observe(stamp.clock);
                match refusal.code {
                    Code::Unknown => Answer::Unknown,
                    code => Answer::NotDone(code),
                }
            }
            Ok((_, reply, stamp)) => {
                self.clock.observe(stamp.clock);
                Answer::Reply(reply)
            }
            // Whatever this is, it is no word about what was done.
            Err(_) => Answer::Unknown,
        }
    }
}
