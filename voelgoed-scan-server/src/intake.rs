//! What comes in as a body? At most so many bytes, in time; or lines, one after the other.
//!
//! Invariants: never more than a limit is held; a body that does not go on is given up after [`PATIENCE`], and with it
//! the connection.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

/// How long a whole body, or the next piece of a stream, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of a body that is read whole, where a call does not take more.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// The most bytes of a line of a stream.
pub(crate) const MAX_LINE: usize = 16 * 1024;

/// The most bytes that are read away so that a caller who still sends gets to read the answer, and how long that may take.
const MAX_DISCARDED: usize = 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// A body that ended early or took too long: there is nobody to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request broke off")]
pub(crate) struct Hangup;

/// What became of a body that was to be read whole.
pub(crate) enum Whole {
    /// All of it.
    Bytes(Bytes),
    /// It is larger than it may be.
    TooLarge,
}

/// Reads a whole body of at most so many bytes, whatever its length is said to be.
pub(crate) async fn whole(body: &mut Incoming, most: usize) -> Result<Whole, Hangup> {
    if body.size_hint().lower() > most as u64 {
        return Ok(Whole::TooLarge);
    }
    let mut reading = pin!(collect(body, most));
    // Most bodies came with their head, and need no timer.
    if let Poll::Ready(read) = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
        return read;
    }
    timeout(PATIENCE, reading).await.unwrap_or(Err(Hangup))
}

async fn collect(body: &mut Incoming, most: usize) -> Result<Whole, Hangup> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Hangup)?.into_data() else {
            continue;
        };
        if first.len().max(all.len()) + piece.len() > most {
            return Ok(Whole::TooLarge);
        }
        if first.is_empty() && all.is_empty() {
            // Most bodies come in one piece, which needs no copy.
            first = piece;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&piece);
        }
    }
    Ok(Whole::Bytes(if all.is_empty() { first } else { all.freeze() }))
}

/// Reads a body away, up to a limit.
pub(crate) async fn discard(body: &mut Incoming) {
    if body.is_end_stream() {
        return;
    }
    let read = async {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // A caller that does not go on sending waits for nothing.
    let _ = timeout(DISCARD_TIME, read).await;
}

/// A line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes, without the line end.
    Text(Bytes),
    /// It has more than [`MAX_LINE`] bytes.
    TooLong,
}

/// A body of lines of the shape `S`.
pub(crate) struct Lines<S> {
    /// Never locked: the mutex makes the body shareable, so that a call may be looked at while its lines are read.
    body: Mutex<Incoming>,
    splitter: Splitter,
    ended: bool,
    shape: PhantomData<fn() -> S>,
}

impl<S> Lines<S> {
    pub(crate) fn new(body: Incoming) -> Self {
        Self {
            body: Mutex::new(body),
            splitter: Splitter::default(),
            ended: false,
            shape: PhantomData,
        }
    }

    /// The next line; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, Hangup> {
        loop {
            if let Some(line) = self.splitter.next() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(self.splitter.rest());
            }
            match timeout(PATIENCE, self.body().frame()).await {
                Err(_) | Ok(Some(Err(_))) => return Err(Hangup),
                Ok(None) => self.ended = true,
                Ok(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        self.splitter.push(&piece);
                    }
                }
            }
        }
    }

    /// Reads the rest away.
    pub(crate) async fn into_rest(mut self) {
        discard(self.body()).await;
    }

    fn body(&mut self) -> &mut Incoming {
        self.body.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts pieces into lines and never holds more than a line and a piece.
#[derive(Default)]
struct Splitter {
    held: BytesMut,
    /// How much of `held` is known to have no line end.
    searched: usize,
    /// Whether the line that `held` starts with has been too long already.
    overlong: bool,
}

impl Splitter {
    fn push(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    fn next(&mut self) -> Option<Line> {
        let unsearched = self.held.get(self.searched..).unwrap_or_default();
        if let Some(at) = unsearched.iter().position(|&byte| byte == b'\n') {
            let line = self.held.split_to(self.searched + at);
            self.held.advance(1);
            self.searched = 0;
            return Some(self.finish(line));
        }
        self.searched = self.held.len();
        if self.searched > MAX_LINE + 1 {
            self.overlong = true;
            self.held.clear();
            self.searched = 0;
        }
        None
    }

    /// The last line, where it has no line end.
    fn rest(&mut self) -> Option<Line> {
        self.searched = 0;
        if self.held.is_empty() && !self.overlong {
            return None;
        }
        let line = self.held.split();
        Some(self.finish(line))
    }

    fn finish(&mut self, mut line: BytesMut) -> Line {
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if std::mem::take(&mut self.overlong) || line.len() > MAX_LINE {
            Line::TooLong
        } else {
            Line::Text(line.freeze())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of a text that comes in pieces of `size` bytes.
    fn split(text: &[u8], size: usize) -> Vec<Line> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for piece in text.chunks(size) {
            splitter.push(piece);
            lines.extend(std::iter::from_fn(|| splitter.next()));
            assert!(splitter.held.len() <= MAX_LINE + 1 + size);
        }
        lines.extend(splitter.rest());
        lines
    }

    fn text(line: &str) -> Line {
        Line::Text(Bytes::copy_from_slice(line.as_bytes()))
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut_into_pieces() {
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
    fn a_line_that_is_too_long_is_one_line_and_the_rest_goes_on() {
        let most = "x".repeat(MAX_LINE);
        for size in [1000, 4096, 1_000_000] {
            let body = format!("{most}\n{most}y\n{most}\r\n{most}{most}{most}\nlast");
            let lines = split(body.as_bytes(), size);
            assert_eq!(
                lines,
                [
                    text(&most),
                    Line::TooLong,
                    text(&most),
                    Line::TooLong,
                    text("last")
                ],
                "{size}"
            );
        }
    }
}
