//! Exports of lists as lines, page by page.
//!
//! Invariant: the first page is read before the response starts, so that an unavailable database gives a 503.

use std::future::Future;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hyper::body::Frame;
use voelgoed_scan_core::store::StoreError;

use super::NDJSON;
use crate::response::{self, StreamAborted};
use crate::route::HandlerResult;

/// An export in progress.
pub(crate) trait Export: Send + Sized + 'static {
    /// The lines of the next page; `None` after the last.
    fn read_page(&mut self) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;
}

/// Streams an export.
pub(crate) async fn respond(mut export: impl Export) -> HandlerResult {
    let first = export.read_page().await?;
    let rest = stream::try_unfold(export, |mut export| async move {
        match export.read_page().await {
            Ok(lines) => Ok(lines.map(|lines| (Frame::data(lines), export))),
            Err(error) => {
                tracing::error!(%error, "an export was aborted");
                Err(StreamAborted)
            }
        }
    });
    let first = stream::iter(first.map(|lines| Ok(Frame::data(lines))));
    Ok(response::stream(NDJSON, first.chain(rest)))
}
