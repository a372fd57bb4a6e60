//! Signals, their settings, and what they are found from.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{
    DeviceId, EventId, OrganizationId, Signal, SignalDetails, SignalId, SignalKind, SignalSettings,
    SignalSettingsPatch, TicketId, Timestamp,
};
use crate::rules::signals::{DeviceScan, DeviceWindow, OrganizationState, Presentation};
use crate::store::{Page, PageRequest, StoreError};

/// Which signals are requested. `None` matches any value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignalFilter {
    /// Signals of this event.
    pub event_id: Option<EventId>,
    /// Signals of this kind.
    pub kind: Option<SignalKind>,
    /// Open signals, or those that ended.
    pub open: Option<bool>,
}

/// A signal that opened or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalChange {
    /// The place among the changes of the organization. Positions rise; not every number is used.
    pub position: i64,
    /// The signal as it was after the change.
    pub signal: Signal,
}

/// The entries of a feed from which signals were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadEntries {
    /// The event of the feed.
    pub event_id: EventId,
    /// The position after which the entries start.
    pub from: i64,
    /// The position of the last one.
    pub to: i64,
}

/// What a search for signals writes for one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalWrite {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The entries that were read. `None` if the signals follow from states.
    pub read: Option<ReadEntries>,
    /// The windows of devices that made scans.
    pub windows: Vec<(DeviceId, DeviceWindow)>,
    /// Signals that open.
    pub opened: Vec<Signal>,
    /// Signals that end.
    pub closed: Vec<Signal>,
    /// Signals of which more is known.
    pub grown: Vec<(SignalId, SignalDetails)>,
}

/// A scan of a feed, as a search for signals needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchedScan {
    /// What the window of its device needs.
    pub scan: DeviceScan,
    /// Its device. `None` for a check-in by hand.
    pub device_id: Option<DeviceId>,
    /// Its ticket.
    pub ticket_id: Option<TicketId>,
    /// Whether it was denied as a duplicate.
    pub is_duplicate: bool,
}

/// Entries of a feed, as a search for signals reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchedPage {
    /// The position of the last entry. `None` if there is none.
    pub last: Option<i64>,
    /// Whether it has as many entries as were requested.
    pub is_full: bool,
    /// The scans of the entries, in their order, each as it is now. An undo is left out, and an entry that a later change of
    /// its scan replaces.
    pub scans: Vec<SearchedScan>,
}

/// The window of a device, for new scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedWindow {
    /// The device.
    pub device_id: DeviceId,
    /// Whether a rehearsal made the device.
    pub is_rehearsal: bool,
    /// Its window; empty if it has made no scan.
    pub window: DeviceWindow,
}

/// Since when the servers have listened to devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalWatch {
    /// Without a pause since then.
    pub listening_since: Timestamp,
    /// When they last did.
    pub seen_at: Timestamp,
}

/// Signals and what they are found from.
///
/// At most one signal is open for a kind and a subject, whichever nodes search. Changes become visible in the order of their
/// positions.
#[async_trait]
pub trait SignalStore: Send + Sync {
    /// A page of the signals, newest first by the time at which they opened.
    async fn signals(
        &self,
        organization: OrganizationId,
        filter: &SignalFilter,
        page: &PageRequest,
    ) -> Result<Page<Signal>, StoreError>;

    /// The rules by which an organization finds signals.
    async fn signal_settings(&self, organization: OrganizationId) -> Result<SignalSettings, StoreError>;

    /// Changes these rules.
    async fn change_signal_settings(
        &self,
        organization: OrganizationId,
        patch: &SignalSettingsPatch,
        audit: Audit<'_>,
    ) -> Result<SignalSettings, StoreError>;

    /// The rules of the organizations that changed some.
    async fn changed_signal_settings(&self) -> Result<HashMap<OrganizationId, SignalSettings>, StoreError>;

    /// The position of the last change of each organization's signals. One without signals is left out.
    async fn signal_positions(&self) -> Result<Vec<(OrganizationId, i64)>, StoreError>;

    /// The position of the last change of an organization's signals; 0 if there is none.
    async fn signal_position(&self, organization: OrganizationId) -> Result<i64, StoreError>;

    /// The changes after a position, in their order, at most `limit`.
    async fn signal_changes(
        &self,
        organization: OrganizationId,
        after: i64,
        limit: u16,
    ) -> Result<Vec<SignalChange>, StoreError>;

    /// The last signals of an event that opened or ended at or after a time, each as it is now, oldest first, at most `limit`.
    async fn signals_changed_since(
        &self,
        organization: OrganizationId,
        event: EventId,
        since: Timestamp,
        limit: u16,
    ) -> Result<Vec<SignalChange>, StoreError>;

    /// What holds now in the organizations that have an open signal, a device at work or with waiting scans, or a live event.
    async fn signal_states(
        &self,
        settings: &HashMap<OrganizationId, SignalSettings>,
        now: Timestamp,
    ) -> Result<HashMap<OrganizationId, OrganizationState>, StoreError>;

    /// The entries after a position of the feed of an event, at most `limit`.
    async fn searched_page(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: i64,
        limit: u16,
    ) -> Result<SearchedPage, StoreError>;

    /// The windows of some devices. A device that does not exist is left out.
    async fn device_windows(
        &self,
        organization: OrganizationId,
        devices: &[DeviceId],
    ) -> Result<Vec<LoadedWindow>, StoreError>;

    /// The last scans of a ticket in a time, both ends included, at most `limit`.
    async fn presentations(
        &self,
        organization: OrganizationId,
        ticket: TicketId,
        from: Timestamp,
        to: Timestamp,
        limit: u16,
    ) -> Result<Vec<Presentation>, StoreError>;

    /// Writes what a search found, in one transaction. Returns the signals that opened or ended by it: one that is open
    /// already does not open again. `None` if another node was faster, and nothing is written.
    async fn record_signals(&self, write: &SignalWrite) -> Result<Option<Vec<Signal>>, StoreError>;

    /// Since when the servers have listened, as it was last written.
    async fn signal_watch(&self) -> Result<Option<SignalWatch>, StoreError>;

    /// Writes since when the servers have listened.
    async fn put_signal_watch(&self, watch: SignalWatch) -> Result<(), StoreError>;
}
