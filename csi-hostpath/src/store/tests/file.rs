//! Whose file it is, and what else may lie under its name.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tonic::Code;

use super::*;

/// What is said of the file at `path`.
fn refusal(path: &Path) -> Error {
    let refused = Store::open(path).err().unwrap();
    assert!(refused.to_string().contains(path.to_str().unwrap()));
    refused
}

#[test]
fn nobody_else_may_read_it_or_have_it() {
    let fresh = Fresh::new();
    let mode = |name| {
        let metadata = fs::metadata(fresh.folder.path().join(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!((mode("state.redb"), mode("uses")), (0o600, 0o700));
    assert_eq!(fs::read_dir(fresh.folder.path()).unwrap().count(), 2);
    let refused = refusal(&fresh.path());
    assert_eq!(refused, Error::InUse { path: fresh.path() });
    let _ = fresh.reopened();
}

#[test]
fn what_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    for content in [&b""[..], b"x", b"redb", &[7; 100_000]] {
        fs::write(&path, content).unwrap();
        let refused = refusal(&path);
        assert_eq!(refused, Error::Foreign { path: path.clone() });
        assert_eq!(refused.code(), Code::DataLoss);
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(refusal(&path), Error::Io { .. }));
    let lost = folder.path().join("none/state.redb");
    assert!(matches!(refusal(&lost), Error::Io { .. }));
}

#[test]
fn another_database_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    drop(redb::Database::create(&path).unwrap());
    assert_eq!(refusal(&path), Error::Foreign { path });
}

#[test]
fn a_newer_store_is_refused() {
    let Fresh { store, folder } = Fresh::new();
    let path = folder.path().join("state.redb");
    let newer = |txn: &WriteTransaction| crate::store::file::mark(txn, 2);
    store.shared.file.write(false, newer).unwrap();
    drop(store);
    let refused = refusal(&path);
    assert!(
        refused
            .to_string()
            .contains("newer driver (schema 2, this driver knows up to 1)")
    );
    assert!(matches!(
        refused,
        Error::Newer {
            found: 2,
            known: 1,
            ..
        }
    ));
}

#[test]
fn a_record_that_is_not_understood_is_not_handed_out() {
    let Fresh {
        store,
        folder: _folder,
    } = Fresh::new();
    let strange = Volume {
        kind: 9,
        ..volume(1)
    };
    store
        .commit(vec![
            Change::PutVolume(strange.clone()),
            Change::PutVolume(volume(2)),
        ])
        .unwrap();
    let refused = store.volume(&strange.id).unwrap_err();
    assert!(refused.to_string().contains(&strange.id));
    assert_eq!(refused.code(), Code::DataLoss);
    assert_eq!(store.volume(&volume(2).id), Ok(Some(volume(2))));
}

#[test]
fn a_store_of_a_driver_that_settled_everything_at_once_is_read() {
    let Fresh {
        store,
        folder: _folder,
    } = Fresh::new();
    let older = store.shared.file.write(false, |txn| {
        assert!(txn.delete_table(tables::UNSETTLED)?);
        Ok(())
    });
    older.unwrap();
    assert_eq!(store.unsettled().unwrap(), []);
    let unsettled = Unsettled::now(&volume(1).id);
    store
        .commit(vec![Change::Unsettle(unsettled.clone())])
        .unwrap();
    assert_eq!(store.unsettled().unwrap(), [unsettled]);
}
