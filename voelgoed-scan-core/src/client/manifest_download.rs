//! Downloads a manifest in parts, so that a slow network, a cut and a restart of the app cost one part at most.
//!
//! Each part is a request of its own (`Range`, `If-Range`) with a time limit of its own, so that a transfer may take as
//! long as parts arrive, with any [`Transport`](crate::client::Transport). The size of a part follows the speed of the
//! network. What has arrived is kept in a file.
//!
//! Invariants: only parts of one tag are joined; a manifest is asked for as a gzip file, which no HTTP client decodes, so
//! that the positions of the parts are those of the server and the file has a checksum; a failure is followed by another
//! request only if a part has arrived since the last failure, so that a download ends.

mod partial;

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use flate2::read::GzDecoder;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::client::api::{ApiRequest, refusal};
use crate::client::{ClientError, HttpResponse, ScannerClient};
use crate::manifest::{MANIFEST_GZIP_MEDIA_TYPE, MANIFEST_MEDIA_TYPE};
use partial::Partial;

/// The size of the first part, in bytes.
const FIRST_PART: u64 = 32 << 10;

/// The smallest part. It takes a minute at 140 bytes a second.
const MIN_PART: u64 = 8 << 10;

/// The largest part.
const MAX_PART: u64 = 4 << 20;

/// How long a part should take.
const PART_DURATION: Duration = Duration::from_secs(4);

/// The maximum size of a manifest, compressed or not, in bytes: more than a manifest of a million tickets.
const MAX_MANIFEST_BYTES: u64 = 128 << 20;

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferProgress {
    /// The number of bytes that have arrived.
    pub received: u64,
    /// The number of bytes in all, as soon as the phone knows it.
    pub total: Option<u64>,
}

/// A manifest that arrived completely.
pub(super) struct DownloadedManifest {
    /// The signed bytes, not verified yet.
    pub(super) bytes: Vec<u8>,
    /// The `ETag` of the response.
    pub(super) etag: Option<String>,
}

/// The downloads of a client, one at a time.
pub(super) struct ManifestDownloads {
    file: PathBuf,
    turn: tokio::sync::Mutex<()>,
    progress: Mutex<Option<TransferProgress>>,
}

impl ManifestDownloads {
    /// Keeps what has arrived in `file`.
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            turn: tokio::sync::Mutex::new(()),
            progress: Mutex::new(None),
        }
    }

    /// Waits for the download that is under way. The next one starts when the guard is dropped.
    pub(super) async fn begin(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The progress of the download that is under way.
    pub(super) fn progress(&self) -> Option<TransferProgress> {
        *self.progress.lock()
    }
}

/// Shows the progress of a download until it is dropped.
struct ShownProgress<'a>(&'a ScannerClient);

impl ShownProgress<'_> {
    fn show(&self, partial: &Partial) {
        let progress = TransferProgress {
            received: partial.received(),
            total: partial.total(),
        };
        *self.0.manifest_downloads.progress.lock() = Some(progress);
        self.0.bump_revision();
    }
}

impl Drop for ShownProgress<'_> {
    fn drop(&mut self) {
        if self.0.manifest_downloads.progress.lock().take().is_some() {
            self.0.bump_revision();
        }
    }
}

/// What the server sent.
enum Part {
    /// The manifest in use is the newest.
    NotModified,
    /// The whole manifest, whatever was asked for.
    Whole { bytes: Vec<u8>, etag: Option<String> },
    /// The next part.
    Next {
        bytes: Vec<u8>,
        etag: String,
        total: u64,
    },
    /// The parts that arrived are not of what the server has now.
    Other,
}

impl ScannerClient {
    /// Downloads the manifest at a path of the API. `None` if the manifest with the tag `known` is the newest. The caller
    /// holds the guard of [`ManifestDownloads::begin`].
    pub(super) async fn download_manifest(
        &self,
        path: &str,
        known: Option<&str>,
    ) -> Result<Option<DownloadedManifest>, ClientError> {
        let mut partial = Partial::open(self.manifest_downloads.file.clone(), path).await;
        let is_resumed = partial.received() > 0;
        if let Some(whole) = self.receive(path, known, &mut partial).await? {
            return Ok(whole);
        }
        let (bytes, etag) = partial.take().await;
        match decoded(bytes, etag) {
            // What was kept in the file is damaged: the checksum of the gzip file is wrong.
            Err(_) if is_resumed => {
                if let Some(whole) = self.receive(path, known, &mut partial).await? {
                    return Ok(whole);
                }
                let (bytes, etag) = partial.take().await;
                decoded(bytes, etag).map(Some)
            }
            manifest => manifest.map(Some),
        }
    }

    /// Receives parts until `partial` is complete. If the server sends the whole at once, or has nothing new, that is
    /// returned instead.
    async fn receive(
        &self,
        path: &str,
        known: Option<&str>,
        partial: &mut Partial,
    ) -> Result<Option<Option<DownloadedManifest>>, ClientError> {
        let progress = ShownProgress(self);
        let mut size = FIRST_PART;
        let mut may_retry = false;
        let mut may_begin_again = true;
        while !partial.is_complete() {
            let begun = Instant::now();
            match self.request_part(path, known, partial, size).await {
                Ok(Part::NotModified) => return Ok(Some(None)),
                Ok(Part::Whole { bytes, etag }) => {
                    // A captive portal's page costs nothing that has arrived.
                    let manifest = decoded(bytes, etag)?;
                    partial.discard().await;
                    return Ok(Some(Some(manifest)));
                }
                Ok(Part::Next { bytes, etag, total }) => {
                    partial.append(bytes, etag, total).await;
                    progress.show(partial);
                    size = next_size(size, begun.elapsed());
                    may_retry = true;
                }
                Ok(Part::Other) if may_begin_again => {
                    may_begin_again = false;
                    partial.discard().await;
                }
                Ok(Part::Other) => return Err(ClientError::UnexpectedAnswer),
                Err(ClientError::Transport(_)) if may_retry => {
                    size = (size / 4).max(MIN_PART);
                    may_retry = false;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Requests the next `size` bytes.
    async fn request_part(
        &self,
        path: &str,
        known: Option<&str>,
        partial: &Partial,
        size: u64,
    ) -> Result<Part, ClientError> {
        let start = partial.received();
        let end = partial.total().unwrap_or(u64::MAX).min(start + size);
        let known = known.filter(|_| partial.etag().is_none());
        let mut request = ApiRequest::get(path, self.setup.settings.transfer_timeout)
            .header(
                "Accept",
                format!("{MANIFEST_GZIP_MEDIA_TYPE}, {MANIFEST_MEDIA_TYPE}"),
            )
            .header("Range", format!("bytes={start}-{}", end - 1));
        if let Some(etag) = partial.etag() {
            request = request.header("If-Range", etag);
        } else if let Some(etag) = known {
            request = request.header("If-None-Match", etag);
        }
        let response = self.api().send(request).await?;
        match response.status {
            304 if known.is_some() => Ok(Part::NotModified),
            200 => Ok(Part::Whole {
                etag: response.header("ETag").map(str::to_owned),
                bytes: response.body,
            }),
            206 => next_part(response, partial, size),
            416 => Ok(Part::Other),
            _ => Err(refusal(&response)),
        }
    }
}

/// Checks that a 206 response is the part that was asked for.
fn next_part(response: HttpResponse, partial: &Partial, size: u64) -> Result<Part, ClientError> {
    let range = response.header("Content-Range").and_then(parse_content_range);
    let etag = response.header("ETag").map(str::to_owned);
    let (Some((first, last, total)), Some(etag)) = (range, etag) else {
        return Err(ClientError::UnexpectedAnswer);
    };
    let length = u64::try_from(response.body.len()).unwrap_or(u64::MAX);
    let is_asked_for = first == partial.received() && (1..=size).contains(&length);
    // A transport that decodes a part changes its length.
    let is_whole_range = last.checked_sub(first) == length.checked_sub(1) && last < total;
    if !is_asked_for || !is_whole_range || total > MAX_MANIFEST_BYTES {
        return Err(ClientError::UnexpectedAnswer);
    }
    if partial.etag().is_some_and(|expected| expected != etag) {
        return Ok(Part::Other);
    }
    Ok(Part::Next {
        bytes: response.body,
        etag,
        total,
    })
}

/// The first and the last position of a range, and the length of the whole (RFC 9110, 14.4).
fn parse_content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, total.parse().ok()?))
}

/// The size of the next part, so that it takes [`PART_DURATION`] if the network stays as it is.
fn next_size(size: u64, elapsed: Duration) -> u64 {
    let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let wanted = u64::try_from(PART_DURATION.as_millis()).unwrap_or(u64::MAX) * size / elapsed;
    wanted.clamp(size / 4, size * 4).clamp(MIN_PART, MAX_PART)
}

/// The manifest in what arrived, which is gzip or the manifest itself. Anything else is not from the server.
fn decoded(bytes: Vec<u8>, etag: Option<String>) -> Result<DownloadedManifest, ClientError> {
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        gunzip(&bytes).ok_or(ClientError::UnexpectedAnswer)?
    } else {
        bytes
    };
    if bytes.starts_with(b"VGM") {
        Ok(DownloadedManifest { bytes, etag })
    } else {
        Err(ClientError::UnexpectedAnswer)
    }
}

/// Decompresses at most [`MAX_MANIFEST_BYTES`]: a small file can decompress to a very large one.
fn gunzip(file: &[u8]) -> Option<Vec<u8>> {
    // The last four bytes of a gzip file are the length of its content (RFC 1952). They may be wrong, so they only bound
    // what is reserved.
    let length = file.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    let mut bytes = Vec::with_capacity(usize::try_from(length).ok()?.min(file.len() * 4));
    let mut decoder = GzDecoder::new(file).take(MAX_MANIFEST_BYTES + 1);
    let read = decoder.read_to_end(&mut bytes).ok()?;
    (u64::try_from(read).ok()? <= MAX_MANIFEST_BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_part_follows_the_speed() {
        for (size, ms, expected) in [
            (32 << 10, 4000, 32 << 10),
            (32 << 10, 2000, 64 << 10),
            (32 << 10, 0, 128 << 10),
            (32 << 10, 8000, 16 << 10),
            (32 << 10, 60_000, MIN_PART),
            (MAX_PART, 1, MAX_PART),
        ] {
            assert_eq!(
                next_size(size, Duration::from_millis(ms)),
                expected,
                "{size} in {ms} ms"
            );
        }
    }

    #[test]
    fn a_content_range_is_read_exactly() {
        assert_eq!(parse_content_range("bytes 3-9/100"), Some((3, 9, 100)));
        for other in [
            "bytes 3-9/*",
            "bytes */100",
            "3-9/100",
            "bytes 3-/100",
            "bytes x-9/100",
            "",
        ] {
            assert_eq!(parse_content_range(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_manifest_is_an_unexpected_answer() {
        for page in [
            &b"<h1>Your room number?</h1>"[..],
            b"",
            b"{}",
            &[0x1f, 0x8b, 8, 0, 0],
        ] {
            assert!(matches!(
                decoded(page.to_vec(), None),
                Err(ClientError::UnexpectedAnswer)
            ));
        }
    }
}
