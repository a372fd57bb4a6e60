//! The upload of a file: its records as lines, and what was rejected or left out on the way.

use std::io::Error;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::records::{Outcome, Record, Records};
use super::source::Source;
use super::summary::{LeftOutCounts, LineError, RejectedLines};
use crate::failure::Failure;

/// The size of a part of the body, in bytes.
const PART: usize = 64 * 1024;

/// The body: an iterator over its parts.
pub(super) struct RecordUpload {
    records: Records,
    /// The number of the last line in the body.
    line: u64,
    is_ended: bool,
    state: Arc<Mutex<UploadState>>,
}

/// What the upload notes beside the body.
struct UploadState {
    rejected: RejectedLines,
    left_out: Option<LeftOutCounts>,
    ignored_columns: Vec<String>,
    error: Option<Error>,
}

/// The upload as its sender sees it.
pub(super) struct UploadProgress(Arc<Mutex<UploadState>>);

impl RecordUpload {
    /// The body of the records. `may_leave_out` is set where a list can have tickets that are left out.
    pub(super) fn new(records: Records, may_leave_out: bool) -> (Self, UploadProgress) {
        let state = Arc::new(Mutex::new(UploadState {
            rejected: RejectedLines::default(),
            left_out: may_leave_out.then(LeftOutCounts::default),
            ignored_columns: records.ignored_columns().to_vec(),
            error: None,
        }));
        let upload = Self {
            records,
            line: 0,
            is_ended: false,
            state: Arc::clone(&state),
        };
        (upload, UploadProgress(state))
    }

    fn next_part(&mut self) -> Result<Vec<u8>, Error> {
        let mut part = Vec::new();
        while part.len() < PART {
            let Some(Record { number, outcome, .. }) = self.records.next_record()? else {
                self.is_ended = true;
                break;
            };
            match outcome {
                Outcome::Line(line) => {
                    // Empty lines keep the server's numbers those of the file.
                    part.extend((self.line + 1..number).map(|_| b'\n'));
                    part.extend_from_slice(line.as_bytes());
                    part.push(b'\n');
                    self.line = number.max(self.line + 1);
                }
                Outcome::Rejected(message) => {
                    let error = LineError {
                        line: number,
                        message,
                    };
                    self.state.lock().rejected.add(error);
                }
                Outcome::LeftOut(why, order) => {
                    if let Some(counts) = &mut self.state.lock().left_out {
                        counts.add(why, order);
                    }
                }
            }
        }
        Ok(part)
    }
}

impl Iterator for RecordUpload {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_ended {
            return None;
        }
        match self.next_part() {
            Ok(part) => Some(Ok(part.into())),
            Err(error) => {
                self.is_ended = true;
                let kind = error.kind();
                self.state.lock().error = Some(error);
                Some(Err(kind.into()))
            }
        }
    }
}

impl UploadProgress {
    /// Why the file could not be read to its end. A server only sees that the upload broke off.
    pub(super) fn failure(&self, source: &Source) -> Option<Failure> {
        let error = self.0.lock().error.take()?;
        Some(source.unreadable(error))
    }

    /// The lines that were rejected, what was left out, and the columns that were ignored.
    pub(super) fn outcome(&self) -> (RejectedLines, Option<LeftOutCounts>, Vec<String>) {
        let state = self.0.lock();
        (
            state.rejected.clone(),
            state.left_out.clone(),
            state.ignored_columns.clone(),
        )
    }
}
