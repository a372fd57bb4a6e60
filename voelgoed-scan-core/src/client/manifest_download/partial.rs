//! The part of a manifest that has arrived, in memory and in a file.
//!
//! The file begins with a line of JSON that says what its bytes are a part of. It is not synced: if it is damaged, the
//! checksum of the manifest tells, and the download begins again. If it cannot be written, the download goes on in memory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What the bytes are a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    /// The path of the request, with the event and the base version of a delta.
    path: String,
    /// The tag of the bytes.
    etag: String,
    /// The length of the whole.
    total: u64,
}

/// A manifest of which some bytes may have arrived.
pub(super) struct Partial {
    file: PathBuf,
    path: String,
    /// `None` as long as nothing has arrived.
    source: Option<Source>,
    bytes: Vec<u8>,
}

impl Partial {
    /// Reads what has arrived of the manifest at `path`. Bytes of another one are deleted.
    pub(super) async fn open(file: PathBuf, path: &str) -> Self {
        let path = path.to_owned();
        on_disk(move || {
            let kept = read(&file).filter(|(source, _)| source.path == path);
            if kept.is_none() {
                delete(&file);
            }
            let (source, bytes) = kept.map_or((None, Vec::new()), |(source, bytes)| (Some(source), bytes));
            Self {
                file,
                path,
                source,
                bytes,
            }
        })
        .await
    }

    /// The number of bytes that have arrived.
    pub(super) fn received(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    /// The length of the whole, once a part has arrived.
    pub(super) fn total(&self) -> Option<u64> {
        self.source.as_ref().map(|source| source.total)
    }

    /// The tag of the bytes, once a part has arrived.
    pub(super) fn etag(&self) -> Option<&str> {
        self.source.as_ref().map(|source| source.etag.as_str())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.total().is_some_and(|total| self.received() >= total)
    }

    /// Adds the next part.
    pub(super) async fn append(&mut self, part: Vec<u8>, etag: String, total: u64) {
        let file = self.file.clone();
        let header = self.source.is_none().then(|| Source {
            path: self.path.clone(),
            etag,
            total,
        });
        self.bytes.extend_from_slice(&part);
        if let Some(source) = &header {
            self.source = Some(source.clone());
        }
        on_disk(move || {
            if let Err(error) = write(&file, header.as_ref(), &part) {
                tracing::debug!(%error, "the part of the manifest is not kept");
                // The next part would leave a gap.
                delete(&file);
            }
        })
        .await;
    }

    /// Forgets what has arrived.
    pub(super) async fn discard(&mut self) {
        self.source = None;
        self.bytes = Vec::new();
        let file = self.file.clone();
        on_disk(move || delete(&file)).await;
    }

    /// Takes the bytes and their tag, and deletes the file.
    pub(super) async fn take(&mut self) -> (Vec<u8>, Option<String>) {
        let bytes = std::mem::take(&mut self.bytes);
        let etag = self.source.take().map(|source| source.etag);
        self.discard().await;
        (bytes, etag)
    }
}

/// Runs file access on a thread that may wait.
#[expect(
    clippy::expect_used,
    reason = "file access does not panic, and a runtime that ends drops this future first"
)]
async fn on_disk<T: Send + 'static>(access: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(access)
        .await
        .expect("file access runs to its end")
}

fn read(file: &Path) -> Option<(Source, Vec<u8>)> {
    let mut bytes = fs::read(file).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let source: Source = serde_json::from_slice(bytes.get(..end)?).ok()?;
    bytes.drain(..=end);
    let is_part = !bytes.is_empty() && u64::try_from(bytes.len()).ok()? <= source.total;
    is_part.then_some((source, bytes))
}

/// Writes the first part with its header, or appends a later one. A later part has no place if the file is gone.
fn write(file: &Path, header: Option<&Source>, part: &[u8]) -> io::Result<()> {
    let Some(source) = header else {
        return match OpenOptions::new().append(true).open(file) {
            Ok(mut opened) => opened.write_all(part),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
    };
    let mut text = serde_json::to_vec(source)?;
    text.push(b'\n');
    text.extend_from_slice(part);
    fs::write(file, text)
}

fn delete(file: &Path) {
    if let Err(error) = fs::remove_file(file)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(%error, "the part of a manifest is not deleted");
    }
}
