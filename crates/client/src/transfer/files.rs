//! The four files: one row a line, written whole or not at all.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use recado_protocol::ImportRow;
use recado_protocol::message::ExportTable;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::TransferError;
use super::lenient::RowReader;

/// The file of a table.
pub(super) fn file_name(table: ExportTable) -> &'static str {
    match table {
        ExportTable::Users => "users.json",
        ExportTable::Channels => "channels.json",
        ExportTable::Messages => "messages.json",
        ExportTable::Publications => "publications.json",
    }
}

/// A row as it stands in its file.
pub(super) fn row_json(row: &ImportRow) -> Value {
    match row {
        ImportRow::User { user, login_ms, seen_ms, created_ms } => json!([user, {
            "user": user, "loginTime": login_ms, "lastSeen": seen_ms, "createdAt": created_ms,
        }]),
        ImportRow::Channel { channel } => json!(channel),
        ImportRow::Publication { user, channel, message, timestamp, clock } => json!({
            "user": user, "channel": channel, "message": message,
            "timestamp": timestamp, "clock": clock,
        }),
        ImportRow::Private { src, dst, message, timestamp, clock } => json!({
            "src": src, "dst": dst, "message": message,
            "timestamp": timestamp, "clock": clock,
        }),
    }
}

/// A file that is being written under another name.
pub(super) struct NewFile {
    temporary: PathBuf,
    path: PathBuf,
    out: BufWriter<File>,
    rows: u64,
}

impl NewFile {
    pub(super) fn create(dir: &Path, name: &str) -> Result<NewFile, TransferError> {
        let temporary = dir.join(format!("{name}.tmp"));
        let file = File::create(&temporary).map_err(TransferError::file("write", &temporary))?;
        Ok(NewFile { temporary, path: dir.join(name), out: BufWriter::new(file), rows: 0 })
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn write(&mut self, row: &Value) -> Result<(), TransferError> {
        let before = if self.rows == 0 { "[\n" } else { ",\n" };
        self.rows += 1;
        write!(self.out, "{before}{row}").map_err(TransferError::file("write", &self.temporary))
    }

    /// Everything is on disk after this, still under the other name.
    pub(super) fn finish(mut self) -> Result<FinishedFile, TransferError> {
        let end = if self.rows == 0 { "[]\n" } else { "\n]\n" };
        self.out
            .write_all(end.as_bytes())
            .and_then(|()| self.out.flush())
            .and_then(|()| self.out.get_ref().sync_all())
            .map_err(TransferError::file("write", &self.temporary))?;
        Ok(FinishedFile { temporary: self.temporary, path: self.path })
    }
}

/// A file that is complete, and not yet under its name.
pub(super) struct FinishedFile {
    temporary: PathBuf,
    path: PathBuf,
}

impl FinishedFile {
    pub(super) fn put_in_place(self) -> Result<(), TransferError> {
        fs::rename(&self.temporary, &self.path).map_err(TransferError::file("write", self.path))
    }
}

/// Makes the new names durable.
pub(super) fn sync_folder(dir: &Path) -> Result<(), TransferError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(TransferError::file("write", dir))
}

/// Reads a file's rows; none when there is no such file.
pub(super) fn read(
    dir: &Path,
    table: ExportTable,
) -> Result<Option<Vec<ImportRow>>, TransferError> {
    let path = dir.join(file_name(table));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(TransferError::File { what: "read", path, why }),
    };
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
    let rows = json
        .deserialize_seq(Rows(RowReader::new(table)))
        .and_then(|rows| json.end().map(|()| rows));
    match rows {
        Ok(rows) => Ok(Some(rows)),
        Err(error) => Err(TransferError::Damaged { path, why: error.to_string() }),
    }
}

/// Turns each element into a row as it is parsed, so that a large file is held once only.
struct Rows(RowReader);

impl<'de> Visitor<'de> for Rows {
    type Value = Vec<ImportRow>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(value) = list.next_element::<Value>()? {
            let row = self.0.read(&value).map_err(|why| {
                serde::de::Error::custom(format!("row {}: {why}", rows.len() + 1))
            })?;
            rows.push(row);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<ImportRow> {
        let text = "line\nbreak, \"quotes\", ünïcode and \u{7}".to_owned();
        vec![
            ImportRow::User { user: "ana".into(), login_ms: 3, seen_ms: 4, created_ms: 2 },
            ImportRow::Channel { channel: "general talk".into() },
            ImportRow::Publication {
                user: "ana".into(),
                channel: "general talk".into(),
                message: text.clone(),
                timestamp: 1_700_000_000_000,
                clock: u64::MAX,
            },
            ImportRow::Private {
                src: "ana".into(),
                dst: "bob".into(),
                message: text,
                timestamp: 1_700_000_000_001,
                clock: 0,
            },
        ]
    }

    fn table(row: &ImportRow) -> ExportTable {
        match row {
            ImportRow::User { .. } => ExportTable::Users,
            ImportRow::Channel { .. } => ExportTable::Channels,
            ImportRow::Publication { .. } => ExportTable::Publications,
            ImportRow::Private { .. } => ExportTable::Messages,
        }
    }

    #[test]
    fn every_kind_of_row_comes_back_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        for row in rows() {
            let mut file = NewFile::create(dir.path(), file_name(table(&row))).unwrap();
            file.write(&row_json(&row)).unwrap();
            file.write(&row_json(&row)).unwrap();
            file.finish().unwrap().put_in_place().unwrap();
            let back = read(dir.path(), table(&row)).unwrap();
            assert_eq!(back, Some(vec![row.clone(), row]));
        }
    }

    #[test]
    fn a_file_without_rows_is_an_empty_list() {
        let dir = tempfile::tempdir().unwrap();
        let file = NewFile::create(dir.path(), "channels.json").unwrap();
        file.finish().unwrap().put_in_place().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("channels.json")).unwrap(), "[]\n");
        assert_eq!(read(dir.path(), ExportTable::Channels).unwrap(), Some(vec![]));
    }

    #[test]
    fn the_golden_user_row() {
        let row = ImportRow::User { user: "ana".into(), login_ms: 3, seen_ms: 4, created_ms: 2 };
        assert_eq!(
            row_json(&row).to_string(),
            r#"["ana",{"user":"ana","loginTime":3,"lastSeen":4,"createdAt":2}]"#
        );
    }

    #[test]
    fn a_damaged_file_is_named_with_the_place() {
        let dir = tempfile::tempdir().unwrap();
        for text in
            ["", "[", "{}", "[{\"user\":1}]", "[] []", "[{\"user\":\"a\",\"channel\":\"b\"}]"]
        {
            fs::write(dir.path().join("publications.json"), text).unwrap();
            let error = read(dir.path(), ExportTable::Publications).unwrap_err().to_string();
            assert!(error.contains("publications.json is damaged"), "{text}: {error}");
            assert!(error.ends_with("nothing was imported"), "{error}");
        }
    }

    #[test]
    fn an_unfinished_export_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("channels.json"), "[\"old\"]").unwrap();
        let mut file = NewFile::create(dir.path(), "channels.json").unwrap();
        file.write(&json!("new")).unwrap();
        drop(file);
        let rows = read(dir.path(), ExportTable::Channels).unwrap();
        assert_eq!(rows, Some(vec![ImportRow::Channel { channel: "old".into() }]));
    }
}
