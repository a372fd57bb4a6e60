//! Uploads of any size: the body is made while it is sent.

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::{Body, BoxError};

/// The body of an upload.
pub(crate) struct Upload {
    body: Body,
}

impl Upload {
    /// Lines that the iterator makes while they are sent.
    pub(crate) fn of_lines(lines: impl Iterator<Item = String> + Send + 'static) -> Self {
        Self::of_parts(lines.map(|line| Ok(Bytes::from(line + "\n"))))
    }

    /// Parts that the iterator makes while they are sent. The upload breaks off at an error.
    pub(crate) fn of_parts(parts: impl Iterator<Item = std::io::Result<Bytes>> + Send + 'static) -> Self {
        let frames = parts.map(|part| part.map(Frame::data).map_err(BoxError::from));
        Self {
            body: boxed(futures_util::stream::iter(frames)),
        }
    }

    pub(super) fn into_body(self) -> Body {
        self.body
    }
}

fn boxed(frames: impl Stream<Item = Result<Frame<Bytes>, BoxError>> + Send + 'static) -> Body {
    StreamBody::new(frames).boxed_unsync()
}
