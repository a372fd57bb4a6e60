//! Request bodies: complete ones of a limited size, and streams of lines.
//!
//! Invariants: no more bytes are buffered than a limit allows, for one body, for the big ones of an organization and for all
//! big ones together; when a body makes
//! no progress for the time limit of connections, it and its connection are given up.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::codec::{AnyDelimiterCodec, Decoder};
use voelgoed_scan_core::model::OrganizationId;
use voelgoed_scan_core::shares::{SharePermit, Shares};

/// The size limit of a complete body, in bytes, for routes that state no other limit.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// The size limit of a line of a stream, in bytes, without its line end.
pub(crate) const MAX_LINE_BYTES: usize = 16 * 1024;

/// How many bytes, and for how long, the rest of a body is read and discarded: a client that is still sending reads the
/// response only afterwards.
const MAX_DISCARDED_BYTES: usize = 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// The body ended early or timed out: no client is left to respond to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request broke off")]
pub(crate) struct ClientGone;

/// The memory of all bodies of more than [`MAX_BODY_BYTES`] together, in KiB.
const BIG_BODIES_KIB: usize = 128 * 1024;

/// The part of that memory that the bodies of one organization take at most, in KiB.
const BIG_BODIES_KIB_PER_ORGANIZATION: usize = BIG_BODIES_KIB / 4;

/// How long a big body waits for memory.
const MEMORY_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of big bodies that are parsed at once.
const MAX_PARSED: usize = 2;

/// The outcome of reading a complete body.
pub(crate) enum ReadOutcome {
    /// The complete body, and the memory that it takes if it is big.
    Complete(Bytes, Option<BodyMemory>),
    /// The body exceeds the limit.
    TooLarge,
    /// Other big bodies take the memory for too long.
    NoMemory,
}

/// The memory of a big body. It is free for others when this is dropped.
#[expect(dead_code, reason = "dropped at the end")]
pub(crate) struct BodyMemory {
    all: OwnedSemaphorePermit,
    share: SharePermit<Option<OrganizationId>>,
}

/// Reads bodies within the limits of the server.
pub(crate) struct BodyReader {
    timeout: Duration,
    /// Permits for KiB of big bodies.
    memory: Arc<Semaphore>,
    /// The organizations' shares of them.
    memory_shares: Shares<Option<OrganizationId>>,
    parsers: Semaphore,
}

impl BodyReader {
    /// A reader that gives up bodies without progress for `timeout`.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            memory: Arc::new(Semaphore::new(BIG_BODIES_KIB)),
            memory_shares: Shares::new(BIG_BODIES_KIB_PER_ORGANIZATION),
            parsers: Semaphore::new(MAX_PARSED),
        }
    }

    /// Reads a complete body of at most `limit` bytes, whatever length its header states. The organization is that of the
    /// caller, if one is authenticated.
    pub(crate) async fn read_all(
        &self,
        organization: Option<OrganizationId>,
        body: &mut Incoming,
        limit: usize,
    ) -> Result<ReadOutcome, ClientGone> {
        if body.size_hint().lower() > limit as u64 {
            return Ok(ReadOutcome::TooLarge);
        }
        let mut read = pin!(self.collect(organization, body, limit));
        // Most bodies arrive together with the head and need no timer.
        if let Poll::Ready(outcome) = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await {
            return outcome;
        }
        timeout(self.timeout, read).await.unwrap_or(Err(ClientGone))
    }

    async fn collect(
        &self,
        organization: Option<OrganizationId>,
        body: &mut Incoming,
        limit: usize,
    ) -> Result<ReadOutcome, ClientGone> {
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        let mut memory = None;
        let expected = body.size_hint().upper();
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| ClientGone)?.into_data() else {
                continue;
            };
            let length = first.len().max(all.len()) + piece.len();
            if length > limit {
                return Ok(ReadOutcome::TooLarge);
            }
            if length > MAX_BODY_BYTES && memory.is_none() {
                let expected = expected.and_then(|bytes| usize::try_from(bytes).ok());
                let bytes = expected.unwrap_or(limit).min(limit);
                let reserved = timeout(MEMORY_TIMEOUT, self.reserve(organization, bytes)).await;
                memory = reserved.ok().flatten();
                if memory.is_none() {
                    return Ok(ReadOutcome::NoMemory);
                }
            }
            if first.is_empty() && all.is_empty() {
                // Most bodies arrive in one piece, which needs no copy.
                first = piece;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&piece);
            }
        }
        let complete = if all.is_empty() { first } else { all.freeze() };
        Ok(ReadOutcome::Complete(complete, memory))
    }

    /// Waits for the memory of a big body. The bodies of an organization that has used up its share wait for each other before
    /// they take a place among those of all organizations.
    async fn reserve(&self, organization: Option<OrganizationId>, bytes: usize) -> Option<BodyMemory> {
        let kib = u32::try_from(bytes.div_ceil(1024)).ok()?;
        let share = self.memory_shares.acquire(organization, kib).await?;
        let all = Arc::clone(&self.memory).acquire_many_owned(kib).await.ok()?;
        Some(BodyMemory { all, share })
    }

    /// A body that is read piece by piece.
    pub(crate) fn stream(&self, body: Incoming) -> BodyStream {
        BodyStream {
            body,
            timeout: self.timeout,
        }
    }

    /// Runs a parser of a big body outside the async workers. `None` if it panics.
    pub(crate) async fn parse<T: Send + 'static>(
        &self,
        parser: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _permit = self.parsers.acquire().await.ok()?;
        spawn_blocking(parser).await.ok()
    }
}

/// An unread body.
pub(crate) struct BodyStream {
    body: Incoming,
    timeout: Duration,
}

/// Reads the rest of a body and discards it, up to [`MAX_DISCARDED_BYTES`] and [`DISCARD_TIMEOUT`].
pub(crate) async fn discard(body: &mut Incoming) {
    if body.is_end_stream() {
        return;
    }
    let read = async {
        let mut left = MAX_DISCARDED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // After the timeout the response is sent all the same.
    let _ = timeout(DISCARD_TIMEOUT, read).await;
}

/// A line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The bytes of the line, without the line end.
    Text(Bytes),
    /// The line exceeds [`MAX_LINE_BYTES`].
    TooLong,
}

/// A body of NDJSON lines with the schema `S`.
pub(crate) struct Lines<S> {
    /// Never locked. The mutex makes the type `Sync`, so that handlers may hold a `&Request` across an await.
    body: Mutex<Incoming>,
    timeout: Duration,
    decoder: LineDecoder,
    ended: bool,
    schema: PhantomData<fn() -> S>,
}

impl<S> Lines<S> {
    pub(crate) fn new(stream: BodyStream) -> Self {
        Self {
            body: Mutex::new(stream.body),
            timeout: stream.timeout,
            decoder: LineDecoder::new(),
            ended: false,
            schema: PhantomData,
        }
    }

    /// The next line; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, ClientGone> {
        loop {
            if let Some(line) = self.decoder.next(self.ended) {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            match timeout(self.timeout, self.body.get_mut().frame()).await {
                Err(_) | Ok(Some(Err(_))) => return Err(ClientGone),
                Ok(None) => self.ended = true,
                Ok(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        self.decoder.push(&piece);
                    }
                }
            }
        }
    }

    /// Reads the rest of the body and discards it.
    pub(crate) async fn discard_rest(mut self) {
        discard(self.body.get_mut()).await;
    }
}

/// Splits pieces of a body into lines. Buffers at most one line and one piece.
struct LineDecoder {
    codec: AnyDelimiterCodec,
    buffer: BytesMut,
}

impl LineDecoder {
    fn new() -> Self {
        Self {
            // One byte more than the limit, for the carriage return of a line end.
            codec: AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), Vec::new(), MAX_LINE_BYTES + 1),
            buffer: BytesMut::new(),
        }
    }

    fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next complete line in the buffer; at the end of the body also a last line without a line end.
    fn next(&mut self, ended: bool) -> Option<Line> {
        let decoded = if ended {
            self.codec.decode_eof(&mut self.buffer)
        } else {
            self.codec.decode(&mut self.buffer)
        };
        // The only error of the codec besides I/O, which a buffer in memory does not have, is a line that is too long.
        let Ok(line) = decoded else {
            return Some(Line::TooLong);
        };
        let mut line = line?;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Some(if line.len() > MAX_LINE_BYTES {
            Line::TooLong
        } else {
            Line::Text(line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text that arrives in pieces of `size` bytes.
    fn split(text: &[u8], size: usize) -> Vec<Line> {
        let mut decoder = LineDecoder::new();
        let mut lines = Vec::new();
        for piece in text.chunks(size) {
            decoder.push(piece);
            lines.extend(std::iter::from_fn(|| decoder.next(false)));
            assert!(decoder.buffer.len() <= MAX_LINE_BYTES + 1 + size);
        }
        lines.extend(std::iter::from_fn(|| decoder.next(true)));
        lines
    }

    fn text(line: &str) -> Line {
        Line::Text(Bytes::copy_from_slice(line.as_bytes()))
    }

    #[test]
    fn lines_do_not_depend_on_the_pieces_that_they_arrive_in() {
        for size in [1, 2, 3, 100] {
            let lines = split(b"one\r\n\ntwo\nthree", size);
            assert_eq!(
                lines,
                [text("one"), text(""), text("two"), text("three")],
                "{size}"
            );
        }
        assert_eq!(split(b"one\n", 10), [text("one")]);
        assert_eq!(split(b"", 10), []);
    }

    #[test]
    fn an_overlong_line_is_reported_once_and_the_next_line_is_read() {
        let longest = "x".repeat(MAX_LINE_BYTES);
        for size in [1000, 4096, 1_000_000] {
            let body = format!("{longest}\n{longest}y\n{longest}\r\n{longest}{longest}{longest}\nlast");
            let lines = split(body.as_bytes(), size);
            assert_eq!(
                lines,
                [
                    text(&longest),
                    Line::TooLong,
                    text(&longest),
                    Line::TooLong,
                    text("last")
                ],
                "{size}"
            );
        }
    }
}
