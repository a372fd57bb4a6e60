//! The database migrations, compiled into the program.
//!
//! The lists name every file of `migrations/`; a test compares them with the folders. They replace `sqlx::migrate!`,
//! whose macro builds all of sqlx, SQLite and TLS a second time for the compiler.
//!
//! Invariant: a file that was released never changes. sqlx stores its checksum with the database and refuses another.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// A migration: its number, its name, its SQL.
type File = (i64, &'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($number:literal $name:literal),+ $(; $($later:literal $later_name:literal),+)?) => {
        &[
            $(($number, $name, include_str!(concat!("../../migrations/", $folder, "/000", $number, "_", $name, ".sql"))),)+
            // The numbers from 10.
            $($(($later, $later_name, include_str!(concat!("../../migrations/", $folder, "/00", $later, "_", $later_name, ".sql"))),)+)?
        ]
    };
}

/// The server's schema on SQLite.
#[cfg(feature = "sqlite")]
const SQLITE: &[File] = files!("sqlite": 1 "gate", 2 "sync", 3 "enrollment", 4 "sync_trust", 5 "rules_in_time", 6 "feed", 7 "lists", 8 "cut_off_nodes", 9 "manifest_copies_compatible"; 10 "event_states", 11 "daily", 12 "shared_gates", 13 "device_scope", 14 "media", 15 "background", 16 "webhooks", 17 "signals", 18 "audit", 19 "retention", 21 "former_device_settings", 23 "messages", 27 "rehearsals", 28 "scan_indexes_compatible");

/// The server's schema on PostgreSQL: the same numbers with the same meaning.
#[cfg(feature = "postgres")]
const POSTGRES: &[File] = files!("postgres": 1 "gate", 2 "sync", 3 "enrollment", 4 "sync_trust", 5 "rules_in_time", 6 "feed", 7 "lists", 8 "cut_off_nodes", 9 "manifest_copies_compatible"; 10 "event_states", 11 "daily", 12 "shared_gates", 13 "device_scope", 14 "media", 15 "background", 16 "webhooks", 17 "signals", 18 "audit", 19 "retention", 21 "former_device_settings", 23 "messages", 27 "rehearsals", 28 "scan_indexes_compatible");

/// The schema of a device's own database.
#[cfg(feature = "client")]
const DEVICE: &[File] =
    files!("device": 1 "device", 2 "memory"; 13 "device_scope", 24 "passage_order", 29 "server_verdicts");

fn migrator(files: &[File]) -> Migrator {
    let migration = |&(version, name, sql): &File| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(files.iter().map(migration).collect())
}

/// The migrations of a server on SQLite. A newer version may have migrated further: its migrations only add, and this
/// one runs beside it.
#[cfg(feature = "sqlite")]
pub(crate) fn sqlite() -> Migrator {
    let mut migrations = migrator(SQLITE);
    migrations.set_ignore_missing(true);
    migrations
}

/// The migrations of a server on PostgreSQL. A newer version may have migrated further, as on SQLite.
#[cfg(feature = "postgres")]
pub(crate) fn postgres() -> Migrator {
    let mut migrations = migrator(POSTGRES);
    migrations.set_ignore_missing(true);
    migrations
}

/// The migrations of a device's own database.
#[cfg(feature = "client")]
pub(crate) fn device() -> Migrator {
    migrator(DEVICE)
}

#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "client"))]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_the_folders_is_listed() {
        for (folder, listed) in [("sqlite", SQLITE), ("postgres", POSTGRES), ("device", DEVICE)] {
            let path = format!("{}/../migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let mut files: Vec<String> = std::fs::read_dir(&path)
                .expect("the folder is there")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
                .collect();
            files.sort_unstable();
            let names: Vec<String> = listed
                .iter()
                .map(|(number, name, _)| format!("{number:04}_{name}.sql"))
                .collect();
            assert_eq!(files, names, "{folder}");
        }
    }

    #[test]
    fn both_databases_have_the_same_migrations() {
        let names = |files: &[File]| {
            files
                .iter()
                .map(|&(number, name, _)| (number, name))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(SQLITE), names(POSTGRES));
    }
}
