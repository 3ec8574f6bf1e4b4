use std::sync::Mutex as Lock;

use proptest::prelude::*;
use redb::StorageBackend;

use super::*;

/// Bytes of which what was not synced can be forgotten.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Lock<Bytes>>);

#[derive(Clone, Debug, Default)]
struct Bytes {
    now: Vec<u8>,
    /// What a power cut leaves, but for the writes below.
    synced: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl Memory {
    fn of(bytes: &[u8]) -> Memory {
        let bytes = Bytes { now: bytes.to_vec(), synced: bytes.to_vec(), unsynced: Vec::new() };
        Memory(Arc::new(Lock::new(bytes)))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().now.clone()
    }

    /// The power goes: these halves of the writes that no sync followed are there all the same.
    fn cut(&self, survive: impl Fn(usize) -> bool) -> Memory {
        let bytes = self.0.lock().unwrap();
        let mut left = bytes.synced.clone();
        left.resize(bytes.now.len(), 0);
        let halves = bytes.unsynced.iter().flat_map(|(at, data)| {
            let (first, second) = data.split_at(data.len() / 2);
            [(*at, first), (*at + first.len(), second)]
        });
        for (_, (at, data)) in halves.enumerate().filter(|(number, _)| survive(*number)) {
            left[at..at + data.len()].copy_from_slice(data);
        }
        Memory::of(&left)
    }
}

impl Medium for Memory {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes();
        let start = offset as usize;
        let source = bytes.get(start..start + out.len());
        out.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().now.resize(length as usize, 0);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let start = offset as usize;
        bytes.now[start..start + data.len()].copy_from_slice(data);
        bytes.unsynced.push((start, data.to_vec()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        bytes.synced = bytes.now.clone();
        bytes.unsynced.clear();
        Ok(())
    }
}

fn open(memory: &Memory) -> io::Result<Blocks> {
    Blocks::open(Box::new(memory.clone()), Arc::default())
}

fn first_bytes(blocks: &Blocks) -> Vec<u8> {
    let mut bytes = vec![0; 3];
    blocks.read(0, &mut bytes).unwrap();
    bytes
}

/// Blocks with something in them.
fn filled() -> Memory {
    let memory = Memory::default();
    let blocks = open(&memory).unwrap();
    blocks.set_len(4 * BLOCK_BYTES as u64).unwrap();
    for head in [b"one", b"two"] {
        blocks.write(0, head).unwrap();
        blocks.write(BLOCK_BYTES as u64, &[1; BLOCK_BYTES]).unwrap();
        blocks.write(2 * BLOCK_BYTES as u64, &[7; 2 * BLOCK_BYTES]).unwrap();
        blocks.sync_data().unwrap();
    }
    memory
}

#[test]
fn what_was_written_is_read_in_any_pieces_of_whole_blocks() {
    let blocks = open(&filled()).unwrap();
    assert_eq!(blocks.len().unwrap(), 4 * BLOCK_BYTES as u64);
    assert_eq!(first_bytes(&blocks), b"two");
    let mut out = vec![0; 2 * BLOCK_BYTES];
    blocks.read(BLOCK_BYTES as u64, &mut out).unwrap();
    assert_eq!(out, [[1; BLOCK_BYTES], [7; BLOCK_BYTES]].concat());
    assert!(blocks.read(BLOCK_BYTES as u64 + 1, &mut out).is_err());
    assert!(blocks.write(BLOCK_BYTES as u64, b"part").is_err());
    assert!(blocks.write(0, &[0; HEAD_CONTENT_BYTES + 1]).is_err());
}

#[test]
fn every_flipped_bit_is_met_or_means_nothing() {
    let whole = filled().bytes();
    for bit in (0..whole.len() * 8).step_by(61) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let blocks = open(&Memory::of(&bytes)).unwrap();
        assert_eq!(first_bytes(&blocks), b"two", "bit {bit}");
        let met = (1..4).filter(|block| {
            let mut out = vec![0; BLOCK_BYTES];
            blocks.read(block * BLOCK_BYTES as u64, &mut out).is_err()
        });
        assert_eq!(met.count(), usize::from(bit / 8 >= HEADS_BYTES), "bit {bit}");
        assert_eq!(blocks.damage.what().is_some(), bit / 8 >= HEADS_BYTES);
    }
}

#[test]
fn a_block_is_not_taken_for_another_one() {
    let mut bytes = filled().bytes();
    let (from, to) = (place(2) as usize, place(3) as usize);
    bytes.copy_within(from..to, to);
    let blocks = open(&Memory::of(&bytes)).unwrap();
    assert!(blocks.read(3 * BLOCK_BYTES as u64, &mut [0; BLOCK_BYTES]).is_err());
}

#[test]
fn a_file_that_was_cut_or_begins_otherwise_is_damaged() {
    let whole = filled().bytes();
    for left in [1, HEADS_BYTES - 1, whole.len() - 1] {
        assert!(open(&Memory::of(&whole[..left])).is_err(), "{left}");
    }
    assert!(open(&Memory::of(&vec![0; whole.len()])).is_err());
    // By whole blocks: met when the missing ones are read.
    let blocks = open(&Memory::of(&whole[..place(3) as usize])).unwrap();
    let read = blocks.read(3 * BLOCK_BYTES as u64, &mut [0; BLOCK_BYTES]);
    assert!(read.is_err() && blocks.damage.what().is_some());
}

proptest! {
    /// Whatever the power leaves of the writes behind the last sync, the first bytes are the ones
    /// that were synced last or others that were written later.
    #[test]
    fn the_first_bytes_survive_a_power_cut_at_any_moment(
        steps in prop::collection::vec((any::<bool>(), any::<bool>()), 1..12),
        survive in prop::collection::vec(any::<bool>(), 64),
    ) {
        let memory = Memory::default();
        let mut blocks = open(&memory).unwrap();
        blocks.set_len(2 * BLOCK_BYTES as u64).unwrap();
        blocks.write(0, &[0; 3]).unwrap();
        blocks.sync_data().unwrap();
        let mut allowed = vec![0];
        for (number, (sync, killed)) in (1u8..).zip(steps) {
            // All first bytes, so that a half of them is not whole.
            blocks.write(0, &[number; HEAD_CONTENT_BYTES]).unwrap();
            allowed.push(number);
            if sync {
                blocks.sync_data().unwrap();
                allowed = vec![number];
            }
            let left = open(&memory.cut(|write| survive[write % 64])).unwrap();
            let first = first_bytes(&left);
            prop_assert!(allowed.contains(&first[0]) && first == [first[0]; 3], "{:?}", first);
            if killed {
                // A killed process leaves everything as it is; who opens it makes that durable.
                blocks = open(&memory).unwrap();
                prop_assert_eq!(first_bytes(&blocks), [number; 3]);
                allowed = vec![number];
            }
        }
    }
}
