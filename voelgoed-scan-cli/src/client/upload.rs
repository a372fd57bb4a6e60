//! Uploads of any size. The body is streamed in chunks; a progress bar follows it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use indicatif::ProgressBar;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::{Body, BoxError};
use crate::failure::Failure;
use crate::progress;

/// The size of a chunk, in bytes.
const CHUNK: usize = 64 * 1024;

/// A file that could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub(super) struct ReadError {
    pub(super) path: PathBuf,
    pub(super) kind: ErrorKind,
    pub(super) reason: String,
}

/// The body of an upload.
pub(crate) struct Upload {
    body: Body,
}

impl Upload {
    /// The bytes of a file, or of standard input for `-`.
    pub(crate) async fn of_file(path: &Path, quiet: bool) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::of_reader(
                tokio::io::stdin(),
                path,
                progress::bytes(None, quiet),
            ));
        }
        let unreadable = |error| Failure::file(path, error);
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(ErrorKind::IsADirectory.into()));
        }
        // A pipe or a device has no length.
        let length = metadata.is_file().then_some(metadata.len());
        Ok(Self::of_reader(file, path, progress::bytes(length, quiet)))
    }

    /// Lines that the iterator makes while they are sent.
    pub(crate) fn of_lines(lines: impl Iterator<Item = String> + Send + 'static) -> Self {
        let frames = futures_util::stream::iter(lines.map(|line| Ok(Frame::data(Bytes::from(line + "\n")))));
        Self { body: boxed(frames) }
    }

    fn of_reader(reader: impl AsyncRead + Send + 'static, path: &Path, bar: ProgressBar) -> Self {
        let path = path.to_owned();
        let frames = ReaderStream::with_capacity(reader, CHUNK).map(move |chunk| match chunk {
            Ok(bytes) => {
                bar.inc(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                Ok(Frame::data(bytes))
            }
            Err(error) => {
                let (kind, reason) = (error.kind(), error.to_string());
                Err(BoxError::from(ReadError {
                    path: path.clone(),
                    kind,
                    reason,
                }))
            }
        });
        Self { body: boxed(frames) }
    }

    pub(super) fn into_body(self) -> Body {
        self.body
    }
}

fn boxed(frames: impl Stream<Item = Result<Frame<Bytes>, BoxError>> + Send + 'static) -> Body {
    StreamBody::new(frames).boxed_unsync()
}
