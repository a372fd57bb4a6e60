//! The export of tickets: all tickets of an event as lines, which the import takes back unchanged.

use std::sync::Arc;

use bytes::Bytes;
use voelgoed_scan_core::model::{EventId, OrganizationId, TicketStatus};
use voelgoed_scan_core::store::{PageRequest, StoreError};

use crate::api::export::Export;
use crate::state::ServerState;

/// The first page. An export reads as many tickets at once as a list may have.
const FIRST_PAGE: PageRequest = PageRequest {
    limit: 500,
    after: None,
};

/// Which tickets an export has.
pub(super) struct TicketFilter {
    pub(super) organization: OrganizationId,
    pub(super) event: EventId,
    pub(super) search: Option<String>,
    pub(super) status: Option<TicketStatus>,
}

/// An export in progress.
pub(super) struct TicketExport {
    state: Arc<ServerState>,
    filter: TicketFilter,
    shows_media: bool,
    /// The page to read next; `None` after the last.
    next_page: Option<PageRequest>,
}

impl TicketExport {
    /// An export of the tickets of the filter.
    pub(super) fn new(state: Arc<ServerState>, filter: TicketFilter, shows_media: bool) -> Self {
        Self {
            state,
            filter,
            shows_media,
            next_page: Some(FIRST_PAGE),
        }
    }

    /// The export of a caller that may not see the event's tickets.
    pub(super) fn without_tickets(self) -> Self {
        Self {
            next_page: None,
            ..self
        }
    }
}

impl Export for TicketExport {
    async fn read_page(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(page) = self.next_page.take() else {
            return Ok(None);
        };
        let TicketFilter {
            organization,
            event,
            search,
            status,
        } = &self.filter;
        let store = self.state.scanner.store();
        let tickets = store
            .tickets(*organization, *event, search.as_deref(), *status, &page)
            .await?;
        self.next_page = tickets.next.map(|after| PageRequest {
            after: Some(after),
            ..FIRST_PAGE
        });
        let mut lines = Vec::new();
        for mut listing in tickets.data {
            if !self.shows_media {
                listing.media = None;
            }
            serde_json::to_writer(&mut lines, &listing)
                .map_err(|error| StoreError::failed(error.to_string()))?;
            lines.push(b'\n');
        }
        Ok(Some(lines.into()))
    }
}
