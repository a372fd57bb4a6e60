//! Constructors of responses with a complete body or a stream, and the cursors of lists.

use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Body as _, Frame};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use voelgoed_scan_core::store::{Cursor, Page};

/// A stream failed. The connection is closed without a proper end, so that the client does not take the part that it
/// received for the complete stream.
#[derive(Debug, thiserror::Error)]
#[error("the stream was aborted")]
pub(crate) struct StreamAborted;

type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, StreamAborted>> + Send>>;

/// The body of a response.
pub(crate) type ResponseBody = Either<Full<Bytes>, StreamBody<Frames>>;

/// The initial capacity of a JSON body, in bytes. Most bodies fit without a reallocation.
const JSON_CAPACITY: usize = 1024;

/// A page of a list.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "{T}List")]
pub(crate) struct List<T> {
    /// The items.
    data: Vec<T>,
    /// The `cursor` for the next page; null on the last page.
    next_cursor: Option<String>,
}

impl<T> From<Page<T>> for List<T> {
    fn from(page: Page<T>) -> Self {
        Self {
            data: page.data,
            next_cursor: page.next.map(encode_cursor),
        }
    }
}

/// Encodes a cursor as opaque text: time and id, big-endian, in base64url.
fn encode_cursor(cursor: Cursor) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&cursor.at.to_be_bytes());
    bytes[8..].copy_from_slice(cursor.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes the text that [`encode_cursor`] wrote; `None` for any other text.
pub(crate) fn decode_cursor(text: &str) -> Option<Cursor> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (at, id) = bytes.split_first_chunk::<8>()?;
    Some(Cursor {
        at: i64::from_be_bytes(*at),
        id: uuid::Uuid::from_slice(id).ok()?,
    })
}

/// A response with a complete body.
pub(crate) fn full(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<ResponseBody> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A response with a JSON body.
#[expect(
    clippy::expect_used,
    reason = "the types of the API have string keys and serializers that do not fail"
)]
pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response<ResponseBody> {
    let mut text = Vec::with_capacity(JSON_CAPACITY);
    serde_json::to_writer(&mut text, value).expect("a type of the API serialises to JSON");
    full(status, "application/json", text)
}

/// 200 with a JSON body.
pub(crate) fn ok<T: Serialize + ?Sized>(value: &T) -> Response<ResponseBody> {
    json(StatusCode::OK, value)
}

/// 201 with a JSON body and the path of the new resource.
pub(crate) fn created<T: Serialize + ?Sized>(value: &T, location: &str) -> Response<ResponseBody> {
    let mut response = json(StatusCode::CREATED, value);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}

/// 204 without a body.
pub(crate) fn no_content() -> Response<ResponseBody> {
    empty(StatusCode::NO_CONTENT)
}

/// The response to `HEAD`: the headers of the response to `GET`, without the body.
pub(crate) fn without_body(response: Response<ResponseBody>) -> Response<ResponseBody> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact()
        && parts.status != StatusCode::NO_CONTENT
        && parts.status != StatusCode::NOT_MODIFIED
    {
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Either::Left(Full::default()))
}

/// 200 with a stream.
pub(crate) fn stream(
    media_type: &'static str,
    frames: impl Stream<Item = Result<Frame<Bytes>, StreamAborted>> + Send + 'static,
) -> Response<ResponseBody> {
    let frames: Frames = Box::pin(frames);
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
    fn a_cursor_survives_encoding_and_decoding() {
        let cursor = Cursor {
            at: 1_780_000_000_123,
            id: uuid::Uuid::from_u128(0x0192_f0c1_7a4e_7000_8000_0000_0000_0001),
        };
        let text = encode_cursor(cursor);
        assert_eq!(text.len(), 32);
        assert_eq!(decode_cursor(&text), Some(cursor));
    }

    #[test]
    fn any_other_text_is_not_a_cursor() {
        for text in ["", "AAAA", "not base64url!", &"A".repeat(31), &"A".repeat(33)] {
            assert_eq!(decode_cursor(text), None, "{text:?}");
        }
    }
}
