//! Splits a stream of bytes into lines.

use std::task::Poll;

use bytes::Bytes;
use futures_util::StreamExt;

use crate::env::BYTE_ORDER_MARK;
use crate::output::ResultStream;

/// The lines of a byte stream, without their line feeds, wherever the chunks begin and end.
///
/// A byte-order mark at the start is not part of the first line. Bytes that are not UTF-8 are replaced. A last line without a line feed counts as a line.
pub(crate) fn lines(mut chunks: ResultStream<Bytes>) -> ResultStream<String> {
    let mut buffer: Vec<u8> = Vec::new();
    let mut ended = false;
    let mut is_first = true;
    let mut text = move |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let line = if is_first {
            line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line)
        } else {
            &line
        };
        is_first = false;
        line.to_owned()
    };
    Box::pin(futures_util::stream::poll_fn(move |context| {
        loop {
            if let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
                let rest = buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut buffer, rest);
                line.pop();
                return Poll::Ready(Some(Ok(text(&line))));
            }
            if ended {
                let rest = std::mem::take(&mut buffer);
                let rest = (!rest.is_empty()).then(|| Ok(text(&rest)));
                return Poll::Ready(rest);
            }
            match chunks.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(bytes))) => buffer.extend_from_slice(&bytes),
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Some(Err(failure))),
                Poll::Ready(None) => ended = true,
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use futures_util::{TryStreamExt, stream};

    use super::*;

    #[tokio::test]
    async fn lines_do_not_depend_on_the_chunks() {
        let chunks =
            ["\u{feff}a\nb", "", "b\n", "\n\u{feff}c"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        let lines: Vec<_> = lines(Box::pin(stream::iter(chunks)))
            .try_collect()
            .await
            .expect("lines");
        assert_eq!(lines, ["a", "bb", "", "\u{feff}c"]);
    }
}
