//! The directory to which the tickets and scans of events are written: one file each, NDJSON, compressed by zstd.
//!
//! Invariant: a file has its name only once it is complete and on disk. Only its owner can read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::Value;
use voelgoed_scan_core::model::EventId;

use crate::client::{Client, Query, lines};
use crate::failure::Failure;

/// The level of the compression.
const LEVEL: i32 = 9;

/// What the files of an event hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Exported {
    pub(super) scans: u64,
    pub(super) tickets: u64,
}

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct Archive(PathBuf);

impl Archive {
    /// Checks that files can be written to the directory.
    pub(super) fn open(directory: PathBuf) -> Result<Self, Failure> {
        let probe = tempfile::Builder::new().prefix(".prune").tempfile_in(&directory);
        let checked = probe.and_then(|mut probe| {
            probe.write_all(b"x")?;
            probe.as_file().sync_all()
        });
        checked.map_err(|error| Failure::file(&directory, error))?;
        Ok(Self(directory))
    }

    /// Writes the scans and the tickets of an event.
    pub(super) async fn export(&self, client: &Client, event: EventId) -> Result<Exported, Failure> {
        let mut scans = ArchiveFile::create(self.0.join(format!("{event}.scans.ndjson.zst")))?;
        let path = {
            let mut query = Query::new("/api/v1/scanning/scans");
            query.add("event_id", Some(event));
            query.path()
        };
        let mut records = lines(client.stream(&path, "application/x-ndjson").await?);
        while let Some(line) = records.next().await {
            scans.write_line(line?.as_bytes())?;
        }
        let mut tickets = ArchiveFile::create(self.0.join(format!("{event}.tickets.ndjson.zst")))?;
        client
            .pages::<Value>(&format!("/api/v1/events/{event}/tickets"), |page| {
                for ticket in page {
                    tickets.write_line(ticket.to_string().as_bytes())?;
                }
                Ok(())
            })
            .await?;
        let exported = Exported {
            scans: scans.complete()?,
            tickets: tickets.complete()?,
        };
        self.sync()?;
        Ok(exported)
    }

    /// Makes the names of the files durable.
    fn sync(&self) -> Result<(), Failure> {
        #[cfg(unix)]
        File::open(&self.0)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| Failure::file(&self.0, error))?;
        Ok(())
    }
}

/// A file that is being written.
struct ArchiveFile {
    path: PathBuf,
    partial: PathBuf,
    encoder: zstd::stream::write::Encoder<'static, File>,
    lines: u64,
}

impl ArchiveFile {
    fn create(path: PathBuf) -> Result<Self, Failure> {
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let encoder = create_private(&partial)
            .and_then(|file| zstd::stream::write::Encoder::new(file, LEVEL))
            .and_then(|mut encoder| encoder.include_checksum(true).map(|()| encoder))
            .map_err(|error| Failure::file(&partial, error))?;
        Ok(Self {
            path,
            partial,
            encoder,
            lines: 0,
        })
    }

    fn write_line(&mut self, line: &[u8]) -> Result<(), Failure> {
        let written = self
            .encoder
            .write_all(line)
            .and_then(|()| self.encoder.write_all(b"\n"));
        written.map_err(|error| Failure::file(&self.partial, error))?;
        self.lines += 1;
        Ok(())
    }

    /// Gives the file its name. Returns how many lines it holds.
    fn complete(self) -> Result<u64, Failure> {
        let Self {
            path,
            partial,
            encoder,
            lines,
        } = self;
        let completed = encoder
            .finish()
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&partial, &path));
        completed.map_err(|error| Failure::file(&path, error))?;
        Ok(lines)
    }
}

/// Creates a file that only its owner can read. An unfinished file of an earlier run is replaced.
fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}
