//! Where does a rule's own database come from?

use std::sync::Arc;

use voelgoed_scan_core::store::{Store, open};

/// A database that is gone with this value.
pub(crate) struct Database {
    pub(crate) store: Arc<dyn Store>,
    _folder: Option<tempfile::TempDir>,
}

/// A SQLite file of its own.
#[cfg(feature = "sqlite")]
pub(crate) async fn sqlite() -> Database {
    let folder = tempfile::tempdir().expect("a folder for the database");
    let url = format!("sqlite://{}", folder.path().join("gate.db").display());
    Database {
        store: open(&url, true).await.expect("a database that opens"),
        _folder: Some(folder),
    }
}
