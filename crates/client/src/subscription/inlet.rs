//! Between the socket and the worker: takes from the proxy whatever comes, as fast as it comes,
//! and keeps it within a number of bytes. What does not fit is left out here rather than piled up
//! in the socket, which counts messages only; the worker finds it in the history again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use recado_transport::Subscriber;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How many bytes wait for the worker.
const MAX_WAITING_BYTES: usize = 32 * 1024 * 1024;

/// How many frames wait for the worker.
const MAX_WAITING_FRAMES: usize = 16 * 1024;

/// What a frame costs beside its bytes, about.
const FRAME_OVERHEAD_BYTES: usize = 128;

/// A topic and a body, as they came.
type Frame = (Bytes, Bytes);

#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    left_out: AtomicBool,
}

/// The worker's end.
pub struct Inlet {
    frames: mpsc::Receiver<Frame>,
    waiting: Arc<Waiting>,
    /// Ends with the inlet.
    _reader: JoinSet<()>,
}

/// The socket's end.
struct Feeder {
    frames: mpsc::Sender<Frame>,
    waiting: Arc<Waiting>,
}

impl Inlet {
    /// Starts taking from the socket.
    pub fn start(socket: Arc<Subscriber>) -> Inlet {
        let (feeder, mut inlet) = pair();
        inlet._reader.spawn(async move {
            while let Some(frame) = socket.receive().await {
                if !feeder.offer(frame) {
                    break;
                }
            }
        });
        inlet
    }

    /// The next frame; none when the socket is closed and everything was taken.
    pub async fn next(&mut self) -> Option<Frame> {
        let frame = self.frames.recv().await?;
        self.waiting.bytes.fetch_sub(cost(&frame), Ordering::Relaxed);
        Some(frame)
    }

    /// Whether something was left out since the last call; said only when nothing waits any more,
    /// so that whoever asks the history then asks once.
    pub fn left_out(&self) -> bool {
        self.frames.is_empty() && self.waiting.left_out.swap(false, Ordering::Relaxed)
    }
}

impl Feeder {
    /// Passes a frame on, or leaves it out. False when nobody is there any more.
    fn offer(&self, frame: Frame) -> bool {
        let cost = cost(&frame);
        let room = self.waiting.bytes.load(Ordering::Relaxed) + cost <= MAX_WAITING_BYTES;
        if room {
            // Counted first: the worker may take it at once.
            self.waiting.bytes.fetch_add(cost, Ordering::Relaxed);
            match self.frames.try_send(frame) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.waiting.bytes.fetch_sub(cost, Ordering::Relaxed);
                }
            }
        }
        self.waiting.left_out.store(true, Ordering::Relaxed);
        !self.frames.is_closed()
    }
}

fn pair() -> (Feeder, Inlet) {
    let (sender, frames) = mpsc::channel(MAX_WAITING_FRAMES);
    let waiting = Arc::new(Waiting::default());
    let feeder = Feeder { frames: sender, waiting: waiting.clone() };
    (feeder, Inlet { frames, waiting, _reader: JoinSet::new() })
}

fn cost((topic, body): &Frame) -> usize {
    topic.len() + body.len() + FRAME_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Frame {
        (Bytes::from_static(b"t"), vec![0; bytes].into())
    }

    #[tokio::test]
    async fn what_does_not_fit_is_left_out_and_told_when_all_else_is_taken() {
        let (feeder, mut inlet) = pair();
        const MIB: usize = 1024 * 1024;
        for _ in 0..40 {
            assert!(feeder.offer(frame(MIB)));
        }
        assert!(!inlet.left_out(), "something still waits");
        let mut taken = 0;
        while inlet.waiting.bytes.load(Ordering::Relaxed) > 0 {
            inlet.next().await.unwrap();
            taken += 1;
        }
        assert_eq!(taken, 31, "32 MiB with what they cost");
        assert!(inlet.left_out());
        assert!(!inlet.left_out(), "told once");
        assert!(feeder.offer(frame(1)), "there is room again");
        assert!(inlet.next().await.is_some() && !inlet.left_out());
    }

    #[test]
    fn their_number_is_bounded_too() {
        let (feeder, inlet) = pair();
        for _ in 0..=MAX_WAITING_FRAMES {
            assert!(feeder.offer(frame(0)));
        }
        assert_eq!(inlet.frames.len(), MAX_WAITING_FRAMES);
        assert!(inlet.waiting.left_out.load(Ordering::Relaxed));
        drop(inlet);
        assert!(!feeder.offer(frame(0)), "nobody is there");
    }
}
