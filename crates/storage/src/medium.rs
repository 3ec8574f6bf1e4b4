//! Where a store's bytes are: a file, or what simulations bring, such as memory that forgets what
//! was not synced.

use std::fmt::Debug;
use std::io;

/// Bytes that a store can read and write. Errors are the medium's own.
pub trait Medium: Debug + Send + Sync + 'static {
    /// How many there are.
    ///
    /// # Errors
    /// The medium can't be asked.
    fn length(&self) -> io::Result<u64>;

    /// Reads as many bytes as `bytes` has room for; fails when there are fewer.
    ///
    /// # Errors
    /// The medium can't be read, or ends before: of the kind `UnexpectedEof`.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Cuts the bytes off, or adds zeros.
    ///
    /// # Errors
    /// The medium can't be written.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Writes within the length.
    ///
    /// # Errors
    /// The medium can't be written.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Waits until everything written is durable.
    ///
    /// # Errors
    /// The medium can't be written.
    fn sync(&self) -> io::Result<()>;
}
