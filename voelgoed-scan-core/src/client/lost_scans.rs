//! Finds scans of this phone that lost a conflict after their upload.
//!
//! An upload tells the phone about conflicts with scans that the server had by then. If another phone uploads an earlier
//! admission of the same ticket later, this phone's scan becomes a duplicate on the server. The list of conflicts is for
//! the organization, but a device may list its own scans: the phone looks for its admissions among its duplicates.

use serde::Deserialize;
use serde_json::Value;

use crate::client::api::ApiRequest;
use crate::client::{ClientError, ScannerClient};
use crate::model::{EventId, Reason, ScanId, ScanResult, Timestamp};

/// How far back the phone looks.
const PERIOD_MS: i64 = 24 * 3_600_000;

/// The maximum number of pages in one round. The next round reads on from the newest again.
const MAX_PAGES: usize = 20;

/// A page of the device's own scans.
#[derive(Deserialize)]
struct Page {
    /// Read one by one: a newer server may use words that this version does not know.
    data: Vec<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// A scan of this phone as the server has it now.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct OwnScan {
    pub(crate) scan_id: ScanId,
    pub(crate) result: ScanResult,
    pub(crate) reason: Reason,
}

impl ScannerClient {
    /// Asks the server which admissions of this phone have become duplicates. The phone then lists them as conflicts.
    pub(super) async fn find_lost_scans(&self) -> Result<(), ClientError> {
        let Some(session) = self.offline.session().await else {
            return Ok(());
        };
        let (now, _) = self.offline.server_time(self.setup.clock.now()).await;
        let earliest = now.plus_millis(-PERIOD_MS);
        let Some(from) = self.offline.first_unopposed(session.event_id, earliest).await? else {
            return Ok(());
        };
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let page = self.duplicates(session.event_id, from, cursor.as_deref()).await?;
            let scans: Vec<OwnScan> = page
                .data
                .into_iter()
                .filter_map(|scan| serde_json::from_value(scan).ok())
                .collect();
            if self.offline.mark_lost(&scans, now).await? > 0 {
                self.bump_revision();
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        Ok(())
    }

    async fn duplicates(
        &self,
        event: EventId,
        from: Timestamp,
        cursor: Option<&str>,
    ) -> Result<Page, ClientError> {
        let path = duplicates_path(event, from, cursor);
        let request = ApiRequest::get(path, self.setup.settings.call_timeout);
        self.api().call(request).await
    }
}

/// The path of a page of the duplicates of an event.
fn duplicates_path(event: EventId, from: Timestamp, cursor: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("event_id", &event.to_string())
        .append_pair("result", ScanResult::Duplicate.as_str())
        .append_pair("from", &from.to_string())
        .append_pair("limit", "500");
    if let Some(cursor) = cursor {
        query.append_pair("cursor", cursor);
    }
    format!("/api/v1/scanning/scans?{}", query.finish())
}
