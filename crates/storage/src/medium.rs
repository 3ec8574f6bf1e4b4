//! Where a store's bytes are when they are not in a file of their own: simulations bring memory
//! that forgets what was not synced.

use std::fmt::Debug;
use std::io;

/// Bytes that a store can read and write. Errors are the medium's own.
pub trait Medium: Debug + Send + Sync + 'static {
    /// How many there are.
    fn length(&self) -> u64;

    /// Reads as many bytes as `bytes` has room for; fails when there are fewer.
    ///
    /// # Errors
    /// The medium can't be read, or ends before.
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

/// A medium, as redb wants it.
#[derive(Debug)]
pub(crate) struct Backend(pub Box<dyn Medium>);

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.length())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_length(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
