use super::*;

/// Changes the format that a store names.
fn rename_format(dir: &Path, format: u64) {
    let path = dir.join(STORE_FILE);
    let file = StoreFile::open(&path).unwrap();
    let blocks = Blocks::open(Box::new(file), Arc::default()).unwrap();
    let database = builder().create_with_backend(blocks).unwrap();
    let transaction = begin_durable(&database).unwrap();
    let mut meta = transaction.open_table(tables::META).unwrap();
    meta.insert(tables::META_FORMAT, values::number(format).as_slice()).unwrap();
    drop(meta);
    transaction.commit().unwrap();
}

#[test]
fn another_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    rename_format(dir.path(), 99);
    let error = Store::open(dir.path()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, known: 2, .. }), "{error}");
    rename_format(dir.path(), 1);
    let error = Store::open(dir.path()).err().unwrap();
    assert!(matches!(error, OpenError::Older { .. }), "{error}");
    rename_format(dir.path(), tables::FORMAT);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_file_of_redbs_own_is_an_older_store() {
    let dir = tempfile::tempdir().unwrap();
    drop(Database::create(dir.path().join(STORE_FILE)).unwrap());
    let error = Store::open(dir.path()).err().unwrap();
    assert!(matches!(error, OpenError::Older { .. }), "{error}");
}

#[test]
fn what_an_interrupted_creation_left_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(UNFINISHED_FILE), b"half").unwrap();
    drop(Store::open(dir.path()).unwrap());
    let names = std::fs::read_dir(dir.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [STORE_FILE]);
}

#[test]
fn a_store_that_was_found_damaged_is_not_opened_again_by_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.condemn("for the test");
    assert!(store.flush().is_ok(), "nothing was to be flushed");
    assert!(store.begin().is_ok(), "what is whole can be used");
    drop(store);
    let error = Store::open(dir.path()).err().unwrap();
    assert!(matches!(&error, OpenError::Damaged { why, .. } if why.contains("for the test")));
    Store::open_damaged(dir.path()).unwrap();
}
