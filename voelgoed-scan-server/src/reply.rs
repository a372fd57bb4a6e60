//! What goes back? A response whose body is whole, or a stream.

use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use voelgoed_scan_core::store::{Cursor, Page};

/// Why a stream broke off: the connection is cut, so that nobody takes a part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the stream broke off")]
pub(crate) struct BrokenOff;

type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, BrokenOff>> + Send>>;

/// The body of a response.
pub(crate) type Body = Either<Full<Bytes>, StreamBody<Frames>>;

/// As many bytes as most answers have, so that few grow on their way.
const MOST_ANSWERS: usize = 1024;

/// A list, or a page of one.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "{T}List")]
pub(crate) struct List<T> {
    /// The rows.
    data: Vec<T>,
    /// What to send as `cursor` for the next page; null after the last.
    next_cursor: Option<String>,
}

impl<T> From<Page<T>> for List<T> {
    fn from(page: Page<T>) -> Self {
        Self {
            data: page.data,
            next_cursor: page.next.map(cursor_text),
        }
    }
}

/// The opaque text of a cursor: time and id, big-endian, base64url.
fn cursor_text(cursor: Cursor) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&cursor.at.to_be_bytes());
    bytes[8..].copy_from_slice(cursor.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What [`cursor_text`] wrote; nothing for another text.
pub(crate) fn read_cursor(text: &str) -> Option<Cursor> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (at, id) = bytes.split_first_chunk::<8>()?;
    Some(Cursor {
        at: i64::from_be_bytes(*at),
        id: uuid::Uuid::from_slice(id).ok()?,
    })
}

/// A whole body of some media type.
pub(crate) fn whole(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A JSON body.
#[expect(
    clippy::expect_used,
    reason = "the types of the contract have string keys and no failing serializer"
)]
pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response<Body> {
    let mut text = Vec::with_capacity(MOST_ANSWERS);
    serde_json::to_writer(&mut text, value).expect("a type of the contract is JSON");
    whole(status, "application/json", text)
}

/// 200 with a JSON body.
pub(crate) fn ok<T: Serialize + ?Sized>(value: &T) -> Response<Body> {
    json(StatusCode::OK, value)
}

/// 201 with a JSON body and where the new thing is.
pub(crate) fn created<T: Serialize + ?Sized>(value: &T, location: &str) -> Response<Body> {
    let mut response = json(StatusCode::CREATED, value);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A status that says all.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}

/// 204.
pub(crate) fn nothing() -> Response<Body> {
    empty(StatusCode::NO_CONTENT)
}

/// 200 with a stream of chunks.
pub(crate) fn stream(
    media_type: &'static str,
    chunks: impl Stream<Item = Result<Frame<Bytes>, BrokenOff>> + Send + 'static,
) -> Response<Body> {
    let frames: Frames = Box::pin(chunks);
    let mut response = Response::new(Either::Right(StreamBody::new(frames)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let cursor = Cursor {
            at: 1_780_000_000_123,
            id: uuid::Uuid::from_u128(0x0192_f0c1_7a4e_7000_8000_0000_0000_0001),
        };
        let text = cursor_text(cursor);
        assert_eq!(text.len(), 32);
        assert_eq!(read_cursor(&text), Some(cursor));
    }

    #[test]
    fn other_texts_are_no_cursor() {
        for text in ["", "AAAA", "not base64url!", &"A".repeat(31), &"A".repeat(33)] {
            assert_eq!(read_cursor(text), None, "{text:?}");
        }
    }
}
