//! The store as its callers see it.

mod crash;
mod file;
mod full;
mod objects;
mod uses;

use tempfile::TempDir;

use super::*;

/// A store in a directory of its own.
struct Fresh {
    store: Store,
    folder: TempDir,
}

impl Fresh {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.redb")).unwrap();
        Self { store, folder }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("state.redb")
    }

    /// The same store after a restart.
    fn reopened(self) -> Self {
        let Self { store, folder } = self;
        drop(store);
        let store = Store::open(&folder.path().join("state.redb")).unwrap();
        Self { store, folder }
    }
}

fn volume(number: u32) -> Volume {
    Volume {
        id: format!("vol-{number:032x}"),
        name: format!("pvc-{number}"),
        pool: "default".into(),
        size: 1 << 30,
        ..Volume::default()
    }
}

fn snapshot(number: u32, source: &Volume) -> Snapshot {
    Snapshot {
        id: format!("snap-{number:032x}"),
        name: format!("snapshot-{number}"),
        pool: source.pool.clone(),
        source: source.id.clone(),
        ..Snapshot::default()
    }
}
