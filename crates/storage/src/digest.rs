//! One hash over all rows, to see whether two servers hold the same.

use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::reader::Reader;
use crate::tables::{each_row, each_table};

/// In front of everything; it changes with the way the hash is made.
const TAG: &[u8] = b"recado state 1";

pub(crate) fn state_hash(reader: &Reader) -> Result<[u8; 32], StoreError> {
    let mut hash = Sha256::new();
    hash.update(TAG);
    macro_rules! add {
        ($number:expr, $table:expr) => {
            // Lengths and numbers keep rows apart: no two states give the same bytes.
            each_row(&reader.table($table)?, |key, value| {
                hash.update([$number as u8]);
                hash.update((key.len() as u64).to_le_bytes());
                hash.update((value.len() as u64).to_le_bytes());
                hash.update(key);
                hash.update(value);
                Ok(())
            })?;
        };
    }
    each_table!(add);
    Ok(hash.finalize().into())
}
