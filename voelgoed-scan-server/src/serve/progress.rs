//! What a connection waits for.
//!
//! An HTTP/2 client controls how much of each response it takes (RFC 9113, 5.2), and keeps the connection alive meanwhile.
//! The write timeout of the socket does not see that: there is nothing to write. So each response body notes when it was
//! last asked for more.
//!
//! Invariants: a body is handed on in pieces of at most [`PIECE_BYTES`], so that a body that ends has been taken, apart from
//! its last piece; a connection is idle if it has neither a request in progress nor an unfinished body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::response::ResponseBody;

/// The size of the pieces of a body, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// The requests and responses of a connection.
pub(super) struct Progress {
    limit: Duration,
    state: Mutex<State>,
    has_started: watch::Sender<bool>,
}

struct State {
    /// The number of requests whose responses have not begun.
    requests: usize,
    /// The numbers of the responses that have not ended, with the time since when each of them waits for the client.
    bodies: Vec<(u64, Option<Instant>)>,
    next_body: u64,
    /// Since when the socket takes nothing of what is to be written.
    blocked: Option<Instant>,
    /// When the connection last began or ended a request or a response.
    last_change: Instant,
    has_started: bool,
}

/// What to do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again at this time.
    Wait(Instant),
    /// Nothing has happened for too long.
    Close,
}

/// Why a connection is of little use. A node that has too many connections closes those that come first in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stall {
    /// The client does not read what the server writes.
    Unread,
    /// The connection has not sent a complete request yet.
    NoRequest,
    /// The connection waits for its next request.
    Idle,
}

impl Progress {
    /// A new connection, which may make no progress for `limit`.
    pub(super) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit,
            state: Mutex::new(State {
                requests: 0,
                bodies: Vec::new(),
                next_body: 0,
                blocked: None,
                last_change: Instant::now(),
                has_started: false,
            }),
            has_started: watch::Sender::new(false),
        })
    }

    /// Waits for the first request of the connection.
    pub(super) async fn first_request(&self) {
        let mut has_started = self.has_started.subscribe();
        while !*has_started.borrow_and_update() {
            // The sender lives as long as this future.
            if has_started.changed().await.is_err() {
                return;
            }
        }
    }

    /// Counts a request until the returned value is dropped.
    pub(super) fn request(self: &Arc<Self>) -> RequestInProgress {
        let mut state = self.state.lock();
        state.requests += 1;
        let is_first = !std::mem::replace(&mut state.has_started, true);
        drop(state);
        if is_first {
            self.has_started.send_replace(true);
        }
        RequestInProgress(Arc::clone(self))
    }

    /// Notes whether the socket took nothing when something was to be written.
    pub(super) fn note_write(&self, is_blocked: bool) {
        self.state.lock().blocked = is_blocked.then(Instant::now);
    }

    /// Whether nothing is in progress: no request, no response, nothing to be written.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state.lock();
        state.is_idle() && state.blocked.is_none()
    }

    /// Whether the connection is idle, or a client does not take its response, for longer than the limit.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let state = self.state.lock();
        let since = if state.is_idle() {
            Some(state.last_change)
        } else {
            state.bodies.iter().filter_map(|(_, since)| *since).min()
        };
        // A handler that still works, or a stream without an event, has limits of its own.
        let deadline = since.unwrap_or(now) + self.limit;
        if deadline <= now {
            Verdict::Close
        } else {
            Verdict::Wait(deadline)
        }
    }

    /// Why and since when the connection is of little use; `None` while the server works for it.
    pub(super) fn stall(&self) -> Option<(Stall, Instant)> {
        let state = self.state.lock();
        if let Some(since) = state.blocked {
            return Some((Stall::Unread, since));
        }
        let stall = if state.has_started {
            Stall::Idle
        } else {
            Stall::NoRequest
        };
        state.is_idle().then_some((stall, state.last_change))
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.requests == 0 && self.bodies.is_empty()
    }
}

/// A request whose response has not begun.
pub(super) struct RequestInProgress(Arc<Progress>);

impl RequestInProgress {
    /// The body of the response, which is followed from now on. A body of one piece on HTTP/1.1 is not: hyper takes it at
    /// once, and the write timeout of the socket applies.
    pub(super) fn respond(&self, body: ResponseBody, is_http2: bool) -> FollowedBody {
        let size = body.size_hint().exact();
        let is_one_piece = size.is_some_and(|size| size <= PIECE_BYTES as u64);
        let id = (is_http2 || !is_one_piece).then(|| {
            let mut state = self.0.state.lock();
            let id = state.next_body;
            state.next_body += 1;
            state.bodies.push((id, Some(Instant::now())));
            id
        });
        FollowedBody {
            body,
            rest: Bytes::new(),
            id,
            progress: Arc::clone(&self.0),
        }
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.requests -= 1;
        state.last_change = Instant::now();
    }
}

/// A response body that notes when it waits for the client.
pub(super) struct FollowedBody {
    body: ResponseBody,
    /// What was read of `body` and not yet handed on.
    rest: Bytes,
    /// `None` if the body is not followed.
    id: Option<u64>,
    progress: Arc<Progress>,
}

impl FollowedBody {
    fn note(&self, waits_for_client: bool) {
        let Some(id) = self.id else { return };
        let since = waits_for_client.then(Instant::now);
        let mut state = self.progress.state.lock();
        if let Some((_, noted)) = state.bodies.iter_mut().find(|(known, _)| *known == id) {
            *noted = since;
        }
    }

    fn next_piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(PIECE_BYTES);
        Frame::data(self.rest.split_to(length))
    }
}

impl Body for FollowedBody {
    type Data = Bytes;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                other => {
                    self.note(false);
                    return other;
                }
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        self.note(true);
        Poll::Ready(Some(Ok(self.next_piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

impl Drop for FollowedBody {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut state = self.progress.state.lock();
        state.bodies.retain(|(known, _)| *known != id);
        state.last_change = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::response;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_body_arrives_whole_in_pieces_and_keeps_its_length() {
        let progress = Progress::new(LIMIT);
        let text: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let body = response::full(hyper::StatusCode::OK, "text/plain", text.clone()).into_body();
        let mut followed = progress.request().respond(body, false);
        assert_eq!(followed.size_hint().exact(), Some(100_000));
        let first = followed.frame().await.expect("a frame").expect("data");
        assert_eq!(first.data_ref().map(Bytes::len), Some(PIECE_BYTES));
        assert_eq!(followed.size_hint().exact(), Some((100_000 - PIECE_BYTES) as u64));
        let rest = followed.collect().await.expect("complete").to_bytes();
        assert_eq!(text.get(PIECE_BYTES..), Some(&rest[..]));
        assert!(progress.state.lock().bodies.is_empty());
    }

    #[tokio::test]
    async fn a_connection_closes_when_it_is_idle_or_its_client_takes_nothing_and_not_while_the_server_works()
    {
        let progress = Progress::new(LIMIT);
        let late = Instant::now() + LIMIT * 2;
        assert_eq!(progress.verdict(late), Verdict::Close, "idle");
        let request = progress.request();
        assert_eq!(
            progress.verdict(late),
            Verdict::Wait(late + LIMIT),
            "a handler works"
        );
        let body = response::stream("text/plain", stream::pending()).into_body();
        let mut silent = request.respond(body, false);
        drop(request);
        assert_eq!(
            progress.verdict(late),
            Verdict::Close,
            "nobody has asked for the body"
        );
        let asked = futures_util::FutureExt::now_or_never(silent.frame());
        assert!(asked.is_none());
        assert_eq!(
            progress.verdict(late),
            Verdict::Wait(late + LIMIT),
            "the stream has no event"
        );
        let body = response::full(hyper::StatusCode::OK, "text/plain", vec![0; 2 * PIECE_BYTES]).into_body();
        let mut unread = progress.request().respond(body, false);
        let piece = unread.frame().await;
        assert!(piece.is_some());
        assert_eq!(progress.verdict(late), Verdict::Close, "the client takes no more");
        drop(unread);
        assert_eq!(progress.verdict(late), Verdict::Wait(late + LIMIT));
    }

    #[tokio::test]
    async fn a_short_body_is_followed_only_where_the_socket_does_not_tell_that_nobody_takes_it() {
        let progress = Progress::new(LIMIT);
        let request = progress.request();
        let short = || response::full(hyper::StatusCode::OK, "text/plain", vec![0; PIECE_BYTES]).into_body();
        let _one = request.respond(short(), false);
        assert!(progress.state.lock().bodies.is_empty());
        let _two = request.respond(short(), true);
        assert_eq!(progress.state.lock().bodies.len(), 1);
    }

    #[tokio::test]
    async fn a_stalled_connection_is_one_that_the_server_does_not_work_for() {
        let progress = Progress::new(LIMIT);
        let stall = || progress.stall().map(|(stall, _)| stall);
        assert_eq!(stall(), Some(Stall::NoRequest));
        let request = progress.request();
        assert_eq!(stall(), None, "a handler works");
        let body = request.respond(
            response::stream("text/plain", stream::pending()).into_body(),
            false,
        );
        drop(request);
        assert_eq!(stall(), None, "a stream is open");
        progress.note_write(true);
        assert_eq!(stall(), Some(Stall::Unread));
        assert!(!progress.is_quiet());
        progress.note_write(false);
        drop(body);
        assert_eq!(stall(), Some(Stall::Idle));
        assert!(progress.is_quiet());
    }
}
