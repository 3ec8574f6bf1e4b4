//! What fuzzers feed that nobody else needs to name: the files of an export.

use std::path::Path;

use recado_protocol::message::ExportTable;

use super::files::{file_name, read};

/// Reads bytes as each of the four files.
pub fn import_files(folder: &Path, bytes: &[u8]) {
    use ExportTable::{Channels, Messages, Publications, Users};
    for table in [Users, Channels, Messages, Publications] {
        let path = folder.join(file_name(table));
        if std::fs::write(path, bytes).is_ok() {
            _ = read(folder, table);
        }
    }
}
