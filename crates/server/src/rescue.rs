//! One server's folder as a source of rows in the form of an export, with no server running.

use std::path::Path;

use bytes::Bytes;
use recado_protocol::message::ExportTable;
use recado_protocol::{ImportRow, Reply};
use recado_replication::rescue::{Look, look};
use recado_storage::Reader;

pub use recado_replication::StartError;
pub use recado_replication::rescue::{Finding, Holding, Renewed, Step, check, renew};

use crate::service::export;

/// A folder, opened for reading, with everything applied that its log holds.
pub struct Copy {
    looked: Look,
    reader: Reader,
}

impl Copy {
    /// Opens it. Nothing in it is changed; `scratch` is a folder with room for what the log adds.
    ///
    /// # Errors
    /// A server works in the folder, or it can't be read.
    pub fn open(dir: &Path, scratch: &Path) -> Result<Copy, StartError> {
        let looked = look(dir, scratch)?;
        let reader =
            looked.store.reader().map_err(|error| StartError::Failed(error.to_string()))?;
        Ok(Copy { looked, reader })
    }

    /// What it holds.
    pub fn holding(&self) -> &Holding {
        &self.looked.holding
    }

    /// Why the log ends before its end, in a sentence; none when all of it could be read.
    pub fn damage(&self) -> Option<&str> {
        self.looked.damage.as_deref()
    }

    /// A page of a table, as the service `export` gives it: the rows, and where the next one begins.
    ///
    /// # Errors
    /// One sentence when the rows can't be read.
    pub fn page(
        &self,
        table: ExportTable,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<ImportRow>, Option<Bytes>), String> {
        match export(&self.reader, table, after, limit) {
            Ok(Reply::Export { rows, next }) => Ok((rows, next)),
            Ok(other) => Err(format!("an export gave something else: {other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}
