//! The scans of this device, newest first, for a steward who looks back.
//!
//! The server lists what it has recorded, whoever decided it. Without the server, and while scans wait for upload, which the
//! server does not have yet, the phone lists what it has recorded itself: the scans that it decided, and the admissions and
//! exits that the server decided here. It keeps no other decision of the server. It lists them in the order in which it
//! recorded them, because its estimate of the server's clock is not exact enough to put them in order by their times.
//!
//! Invariant: a word of the server that this version does not know, such as a new reason, hides no scan.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::client::listing::{ListPage, server_was_not_asked};
use crate::client::offline::{OwnPassage, OwnVerdict, PassagePlace, RecordedScans};
use crate::client::{ClientError, ScannerClient};
use crate::model::{Direction, EventId, GateId, Reason, ScanId, ScanResult, TicketCode, Timestamp};

/// The number of scans that one call returns at most.
const PAGE_SIZE: u16 = 50;

/// The most pages of the server that one call reads. A page may hold fewer scans than it could, even none.
const MAX_PAGES: usize = 20;

/// The beginning of a cursor in the phone's own records. The server's cursors have no colon.
const PHONE_CURSOR: &str = "phone:";

/// A scan of this device.
#[derive(Clone, PartialEq, Eq)]
pub struct ListedScan {
    /// The scan.
    pub scan_id: ScanId,
    /// Its event.
    pub event_id: EventId,
    /// Its gate.
    pub gate_id: GateId,
    /// The gate's display name. `None` if this phone does not have the event's manifest.
    pub gate_name: Option<String>,
    /// The ticket's code. `None` without a valid signature. The phone's own records have it only for scans that the phone
    /// decided.
    pub ticket_code: Option<TicketCode>,
    /// The direction.
    pub direction: Direction,
    /// The present result. `None` if the server has a word that this version does not know.
    pub result: Option<ScanResult>,
    /// The present reason. `None` if the server has a word that this version does not know.
    pub reason: Option<Reason>,
    /// When it was decided, by the server's clock.
    pub scanned_at: Timestamp,
    /// Whether the admission was undone.
    pub undone: bool,
    /// Whether the scan waits for upload.
    pub is_waiting: bool,
}

/// Shows of the code no more than [`TicketCode`] does.
impl fmt::Debug for ListedScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListedScan")
            .field("scan_id", &self.scan_id)
            .field("ticket_code", &self.ticket_code)
            .field("direction", &self.direction)
            .field("result", &self.result)
            .field("reason", &self.reason)
            .field("scanned_at", &self.scanned_at)
            .finish_non_exhaustive()
    }
}

/// A page of the scans of this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnScans {
    /// The scans, newest first.
    pub scans: Vec<ListedScan>,
    /// What to pass for the next page. `None` on the last one.
    pub next_cursor: Option<String>,
    /// Whether the server listed them. Otherwise they are what this phone has recorded itself.
    pub from_server: bool,
}

/// A scan in the server's list.
#[derive(Deserialize)]
struct ScanItem {
    scan_id: ScanId,
    event_id: EventId,
    gate_id: GateId,
    ticket_code: Option<TicketCode>,
    direction: Direction,
    result: String,
    reason: String,
    scanned_at: Timestamp,
    undone: Option<serde::de::IgnoredAny>,
}

/// A place in the phone's own records: everything older than this follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PhoneCursor {
    /// The scan of the log that was listed last.
    sequence: u64,
    /// The admission or exit by the server that was listed last.
    passage: PassagePlace,
}

impl PhoneCursor {
    /// The place before the newest records.
    fn newest() -> Self {
        Self {
            sequence: u64::MAX,
            passage: PassagePlace {
                log_sequence: u64::MAX,
                at: Timestamp::MAX,
                scan_id: uuid::Uuid::max().into(),
            },
        }
    }
}

impl fmt::Display for PhoneCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PassagePlace {
            log_sequence,
            at,
            scan_id,
        } = self.passage;
        let at = at.as_millis();
        write!(f, "{PHONE_CURSOR}{}:{log_sequence}:{at}:{scan_id}", self.sequence)
    }
}

impl FromStr for PhoneCursor {
    type Err = ClientError;

    /// Parses a cursor that this phone made. Any other text is `unexpected_answer`.
    fn from_str(text: &str) -> Result<Self, ClientError> {
        let parse = || {
            let mut parts = text.strip_prefix(PHONE_CURSOR)?.splitn(4, ':');
            Some(Self {
                sequence: parts.next()?.parse().ok()?,
                passage: PassagePlace {
                    log_sequence: parts.next()?.parse().ok()?,
                    at: Timestamp::from_millis(parts.next()?.parse().ok()?),
                    scan_id: parts.next()?.parse::<uuid::Uuid>().ok()?.into(),
                },
            })
        };
        parse().ok_or(ClientError::UnexpectedAnswer)
    }
}

impl ScannerClient {
    /// Returns the scans of this device, newest first, at most 50. `cursor` is that of the page before.
    ///
    /// If the server is unavailable, and while scans wait for upload, returns what this phone has recorded itself. A list
    /// that the server began fails with `offline` where the server is unavailable: begin again without a cursor.
    pub async fn own_scans(&self, cursor: Option<&str>) -> Result<OwnScans, ClientError> {
        match cursor {
            Some(cursor) if cursor.starts_with(PHONE_CURSOR) => self.recorded_scans(cursor.parse()?).await,
            Some(cursor) => self.listed_scans(Some(cursor)).await,
            None if self.offline.state().await?.waiting > 0 => {
                self.recorded_scans(PhoneCursor::newest()).await
            }
            None => match self.listed_scans(None).await {
                Err(error) if server_was_not_asked(&error) => {
                    self.recorded_scans(PhoneCursor::newest()).await
                }
                listed => listed,
            },
        }
    }

    /// A page of the server's list.
    async fn listed_scans(&self, cursor: Option<&str>) -> Result<OwnScans, ClientError> {
        let limit = PAGE_SIZE.to_string();
        let mut cursor = cursor.map(str::to_owned);
        for _ in 0..MAX_PAGES {
            let mut parameters = vec![("limit", limit.as_str())];
            parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: ListPage<ScanItem> = self.get_page("/api/v1/scanning/scans", &parameters).await?;
            cursor = page.next_cursor;
            if !page.data.is_empty() || cursor.is_none() {
                let names = self.gate_names().await?;
                let scans = page.data.into_iter().map(|item| ListedScan {
                    gate_name: names.get(&(item.event_id, item.gate_id)).cloned(),
                    scan_id: item.scan_id,
                    event_id: item.event_id,
                    gate_id: item.gate_id,
                    ticket_code: item.ticket_code,
                    direction: item.direction,
                    result: item.result.parse().ok(),
                    reason: item.reason.parse().ok(),
                    scanned_at: item.scanned_at,
                    undone: item.undone.is_some(),
                    is_waiting: false,
                });
                return Ok(OwnScans {
                    scans: scans.collect(),
                    next_cursor: cursor,
                    from_server: true,
                });
            }
        }
        Ok(OwnScans {
            scans: Vec::new(),
            next_cursor: cursor,
            from_server: true,
        })
    }

    /// The names of the gates of the manifests that this phone has.
    async fn gate_names(&self) -> Result<HashMap<(EventId, GateId), String>, ClientError> {
        let heads = self.offline.held_manifests().await?;
        let gates = heads.iter().flat_map(|head| {
            let event = head.event.id;
            head.gates
                .iter()
                .map(move |listed| ((event, listed.gate.id), listed.gate.name.to_string()))
        });
        Ok(gates.collect())
    }

    /// A page of the phone's own records.
    async fn recorded_scans(&self, after: PhoneCursor) -> Result<OwnScans, ClientError> {
        let RecordedScans { verdicts, passages } = self
            .offline
            .recorded_scans(after.sequence, after.passage, PAGE_SIZE + 1)
            .await?;
        let mut verdicts = verdicts.into_iter().peekable();
        let mut passages = passages.into_iter().peekable();
        let (mut scans, mut last) = (Vec::new(), after);
        while scans.len() < usize::from(PAGE_SIZE) {
            // What was recorded after a scan of the log and before the next one is newer than that scan.
            let next_verdict = verdicts.peek().map(|one| one.sequence);
            let next_passage = passages.peek().map(|one| one.place.log_sequence);
            if next_verdict > next_passage
                && let Some(own) = verdicts.next()
            {
                last.sequence = own.sequence;
                scans.push(own.into());
            } else if let Some(passage) = passages.next() {
                last.passage = passage.place;
                scans.push(passage.into());
            } else {
                break;
            }
        }
        let is_last = verdicts.peek().is_none() && passages.peek().is_none();
        Ok(OwnScans {
            scans,
            next_cursor: (!is_last).then(|| last.to_string()),
            from_server: false,
        })
    }
}

impl From<OwnVerdict> for ListedScan {
    fn from(own: OwnVerdict) -> Self {
        let verdict = own.verdict;
        Self {
            scan_id: verdict.scan_id,
            event_id: verdict.event_id,
            gate_id: verdict.gate.id,
            gate_name: Some(verdict.gate.name),
            ticket_code: verdict.ticket.and_then(|ticket| ticket.code),
            direction: verdict.direction,
            result: Some(verdict.result),
            reason: Some(verdict.reason),
            scanned_at: verdict.scanned_at,
            undone: own.is_undone,
            is_waiting: own.is_waiting,
        }
    }
}

impl From<OwnPassage> for ListedScan {
    fn from(passage: OwnPassage) -> Self {
        Self {
            scan_id: passage.place.scan_id,
            event_id: passage.event_id,
            gate_id: passage.gate_id,
            gate_name: Some(passage.gate_name),
            ticket_code: None,
            direction: passage.direction,
            result: Some(ScanResult::Valid),
            reason: Some(passage.reason),
            scanned_at: passage.place.at,
            undone: false,
            is_waiting: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_the_phone_is_read_back_and_any_other_text_is_an_error() {
        let cursor = PhoneCursor {
            sequence: 17,
            passage: PassagePlace {
                log_sequence: 16,
                at: Timestamp::from_millis(1_790_000_000_123),
                scan_id: uuid::Uuid::from_u128(5).into(),
            },
        };
        for cursor in [cursor, PhoneCursor::newest()] {
            assert_eq!(cursor.to_string().parse::<PhoneCursor>().ok(), Some(cursor));
        }
        for text in [
            "",
            "phone:",
            "phone:1:2",
            "phone:1:2:3:x",
            "17:1:2:3",
            "phone:-1:2:3:4",
        ] {
            let error = text.parse::<PhoneCursor>().err();
            assert_eq!(
                error.map(|error| error.code().to_owned()).as_deref(),
                Some("unexpected_answer"),
                "{text}"
            );
        }
    }
}
