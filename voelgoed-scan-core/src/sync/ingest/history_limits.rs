//! Limits the number of scans in the history of a ticket. Every upload of a scan folds the whole history of its ticket under
//! the locks of the upload, so a device that invents scans must not make it grow without end.
//!
//! Invariant: the limits depend on numbers of scans that only grow. Up to them, the order and grouping of uploads make no
//! difference.

use std::collections::HashMap;

use crate::model::{DeviceId, Source, TicketId};
use crate::sync::ScanState;

/// The maximum number of scans that one device adds to the history of a ticket.
pub(super) const MAX_OF_DEVICE: usize = 1_000;

/// The number of scans in the history of a ticket from which an upload adds no more.
pub(super) const MAX_OF_TICKET: usize = 5_000;

/// The number of scans in the history of a ticket.
#[derive(Debug, Clone, Copy, Default)]
struct HistorySize {
    all: usize,
    /// Those that the device uploaded.
    of_device: usize,
}

/// The sizes of the histories of tickets.
#[derive(Debug)]
pub(super) struct HistorySizes(HashMap<TicketId, HistorySize>);

impl HistorySizes {
    /// The sizes of recorded histories. Undone scans count.
    pub(super) fn of(history: &[ScanState], device: DeviceId) -> Self {
        let mut sizes = Self(HashMap::new());
        for record in history.iter().map(|state| &state.record) {
            if let Some(ticket) = record.ticket_id {
                let size = sizes.0.entry(ticket).or_default();
                size.all += 1;
                let is_own = record.source == Source::Sync && record.device_id == Some(device);
                size.of_device += usize::from(is_own);
            }
        }
        sizes
    }

    /// Whether the device may add another scan.
    pub(super) fn has_room(&self, ticket: TicketId) -> bool {
        let size = self.0.get(&ticket).copied().unwrap_or_default();
        size.of_device < MAX_OF_DEVICE && size.all < MAX_OF_TICKET
    }

    /// Counts a scan that the device adds.
    pub(super) fn add(&mut self, ticket: TicketId) {
        let size = self.0.entry(ticket).or_default();
        size.all += 1;
        size.of_device += 1;
    }
}
