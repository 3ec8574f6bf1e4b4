//! A store's file with changes on top that never reach it: for looking into a copy that must stay
//! as it is.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::medium::Medium;

/// What is changed is kept in pieces of this length.
const PIECE_BYTES: u64 = 4096;

/// A file that is only read, and a scratch file with every piece that was changed, at its place.
/// The scratch file has holes where nothing was changed, so it takes as much room as the changes,
/// and it has no name: it goes with the process.
#[derive(Debug)]
pub struct Overlay {
    base: Option<File>,
    scratch: File,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    length: u64,
    /// So many bytes of the base still count; what was cut off does not come back.
    base_length: u64,
    /// The numbers of the pieces that are in the scratch file.
    changed: BTreeSet<u64>,
}

impl Overlay {
    /// Over the file at `path`, or over nothing if there is none; the scratch file is made in
    /// `scratch`, a folder.
    ///
    /// # Errors
    /// The file can't be read, or nothing can be written in the folder.
    pub fn over(path: &Path, scratch: &Path) -> io::Result<Overlay> {
        let base = match File::open(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let length = match &base {
            Some(file) => file.metadata()?.len(),
            None => 0,
        };
        let name = scratch.join(format!(".recado-scratch-{}", std::process::id()));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&name)?;
        std::fs::remove_file(&name)?;
        let state = State { length, base_length: length, changed: BTreeSet::new() };
        Ok(Overlay { base, scratch: file, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads within one piece.
    fn read_piece(&self, state: &State, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        if state.changed.contains(&(offset / PIECE_BYTES)) {
            return self.scratch.read_exact_at(bytes, offset);
        }
        // What lies behind the base was never written, and is zero.
        let there = state.base_length.saturating_sub(offset).min(bytes.len() as u64) as usize;
        let (there, behind) = bytes.split_at_mut(there);
        behind.fill(0);
        match &self.base {
            Some(base) => base.read_exact_at(there, offset),
            None => Ok(()),
        }
    }

    /// Brings a whole piece into the scratch file.
    fn take_over(&self, state: &mut State, piece: u64) -> io::Result<()> {
        if state.changed.contains(&piece) {
            return Ok(());
        }
        let mut bytes = [0; PIECE_BYTES as usize];
        self.read_piece(state, piece * PIECE_BYTES, &mut bytes)?;
        self.scratch.write_all_at(&bytes, piece * PIECE_BYTES)?;
        state.changed.insert(piece);
        Ok(())
    }
}

/// The parts of a range that lie in one piece each: offset and length.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize)> {
    let end = offset + length as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        let next = (at / PIECE_BYTES + 1) * PIECE_BYTES;
        let part = (at, (next.min(end).saturating_sub(at)) as usize);
        at = next;
        (part.1 > 0).then_some(part)
    })
}

impl Medium for Overlay {
    fn length(&self) -> io::Result<u64> {
        Ok(self.state().length)
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if offset + bytes.len() as u64 > state.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = bytes;
        for (at, length) in pieces(offset, rest.len()) {
            let (part, behind) = rest.split_at_mut(length);
            self.read_piece(&state, at, part)?;
            rest = behind;
        }
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        if length < state.length {
            // The piece in which it ends must not bring back what was behind, if it grows again.
            if !length.is_multiple_of(PIECE_BYTES) {
                let piece = length / PIECE_BYTES;
                self.take_over(&mut state, piece)?;
                let zeros = vec![0; ((piece + 1) * PIECE_BYTES - length) as usize];
                self.scratch.write_all_at(&zeros, length)?;
            }
            state.changed.split_off(&length.div_ceil(PIECE_BYTES));
            state.base_length = state.base_length.min(length);
        }
        state.length = length;
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if offset + bytes.len() as u64 > state.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = bytes;
        for (at, length) in pieces(offset, rest.len()) {
            let (part, behind) = rest.split_at(length);
            if length < PIECE_BYTES as usize {
                self.take_over(&mut state, at / PIECE_BYTES)?;
            }
            self.scratch.write_all_at(part, at)?;
            state.changed.insert(at / PIECE_BYTES);
            rest = behind;
        }
        Ok(())
    }

    /// Nothing of it is to outlive the process.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        Resize(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let bytes = proptest::collection::vec(any::<u8>(), 1..9000);
        let step = prop_oneof![
            (0..20_000u64, bytes).prop_map(|(at, bytes)| Step::Write(at, bytes)),
            (0..30_000u64).prop_map(Step::Resize),
        ];
        proptest::collection::vec(step, 0..12)
    }

    proptest! {
        /// Whatever is done, it reads like a file that was changed, and the file was not.
        #[test]
        fn it_reads_like_a_changed_file(first in 0..20_000usize, steps in steps()) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("base");
            let base: Vec<u8> = (0..first).map(|n| (n % 251) as u8 + 1).collect();
            std::fs::write(&path, &base).unwrap();
            let overlay = Overlay::over(&path, dir.path()).unwrap();
            let mut model = base.clone();
            for step in steps {
                match step {
                    Step::Write(at, bytes) => {
                        let end = at as usize + bytes.len();
                        let fits = end <= model.len();
                        prop_assert_eq!(overlay.write(at, &bytes).is_ok(), fits);
                        if fits {
                            model[at as usize..end].copy_from_slice(&bytes);
                        }
                    }
                    Step::Resize(length) => {
                        overlay.set_length(length).unwrap();
                        model.resize(length as usize, 0);
                    }
                }
                prop_assert_eq!(overlay.length().unwrap(), model.len() as u64);
                let mut read = vec![9; model.len()];
                overlay.read(0, &mut read).unwrap();
                prop_assert!(read == model);
            }
            prop_assert!(overlay.read(model.len() as u64, &mut [0]).is_err());
            prop_assert_eq!(std::fs::read(&path).unwrap(), base);
            prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}
