//! A medium in memory that counts what is read, and outlives the store on it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use recado_storage::Medium;

/// Clones share the bytes.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub bytes: Arc<Mutex<Vec<u8>>>,
    read_bytes: Arc<AtomicU64>,
}

impl Memory {
    /// How many bytes were read since this was asked last.
    pub fn take_read_bytes(&self) -> u64 {
        self.read_bytes.swap(0, Ordering::Relaxed)
    }

    /// The same bytes, independent from now on.
    pub fn copy(&self) -> Memory {
        let bytes = self.bytes.lock().unwrap().clone();
        Memory { bytes: Arc::new(Mutex::new(bytes)), read_bytes: Arc::default() }
    }
}

impl Medium for Memory {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes.lock().unwrap();
        let start = offset as usize;
        let source = bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(source);
        self.read_bytes.fetch_add(out.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }

    fn write(&self, offset: u64, new: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes.lock().unwrap();
        let start = offset as usize;
        let place = bytes.get_mut(start..start + new.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        place.copy_from_slice(new);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
