//! The registry of an organization: everything that the administration manages, except scans and tickets, by subject.
//!
//! Invariants: every change of what nodes cache raises the organization's change counter in the same transaction. Every change
//! that a person makes takes an [`Audit`], and writes its entry in the same transaction. A call that changes nothing writes none.

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{
    ApiKey, ApiKeyId, Device, DeviceHealth, DeviceId, DevicePatch, DeviceRegister, DeviceStatus,
    EnrollRequest, EnrollmentCode, Event, EventId, EventPut, Gate, GateId, GatePut, KeyFormat, KeyId,
    KeyStatus, Organization, OrganizationId, ScanSession, SessionId, SessionStart, SessionStatus, SigningKey,
    Timestamp, TokenHash,
};
use crate::store::{DeleteOutcome, Page, PageRequest, PutOutcome, StartOutcome, StoreError};

/// Organizations, which are the tenants.
#[async_trait]
pub trait Organizations: Send + Sync {
    /// Checks that the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Creates an organization with its first signing keys. Returns false if the id exists, and changes nothing then.
    async fn create_organization(
        &self,
        organization: &Organization,
        signing_keys: &[SigningKey],
        audit: Audit<'_>,
    ) -> Result<bool, StoreError>;
    /// The ids of all organizations. Used by the check of keys at the start of a node.
    async fn organizations(&self) -> Result<Vec<OrganizationId>, StoreError>;
    /// An organization.
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError>;
}

/// API keys and signing keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Creates an API key.
    async fn create_api_key(
        &self,
        key: &ApiKey,
        hash: &TokenHash,
        audit: Audit<'_>,
    ) -> Result<(), StoreError>;
    /// The API key with that hash.
    async fn api_key(&self, hash: &TokenHash) -> Result<Option<ApiKey>, StoreError>;
    /// A page of the API keys of an organization, in the order of their ids.
    async fn api_keys(
        &self,
        organization: OrganizationId,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>, StoreError>;
    /// Deletes an API key. Returns false if it does not exist.
    async fn delete_api_key(
        &self,
        organization: OrganizationId,
        id: ApiKeyId,
        audit: Audit<'_>,
    ) -> Result<DeleteOutcome, StoreError>;

    /// The signing keys of an organization, oldest first.
    async fn signing_keys(&self, organization: OrganizationId) -> Result<Vec<SigningKey>, StoreError>;
    /// Adds a signing key. Returns false if one with this format and key id exists.
    async fn add_signing_key(
        &self,
        organization: OrganizationId,
        key: &SigningKey,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError>;
    /// Changes the status of a signing key. `Missing` if it does not exist, `Conflict` if it is revoked.
    async fn set_signing_key_status(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        status: KeyStatus,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<SigningKey>, StoreError>;
}

/// Events and their gates.
#[async_trait]
pub trait Events: Send + Sync {
    /// Creates or replaces an event. `Conflict` if ticket classes would be removed or reordered.
    async fn put_event(
        &self,
        organization: OrganizationId,
        id: EventId,
        event: &EventPut,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Event>, StoreError>;
    /// An event.
    async fn event(&self, organization: OrganizationId, id: EventId) -> Result<Option<Event>, StoreError>;
    /// A page of the events, in the order of their ids.
    async fn events(
        &self,
        organization: OrganizationId,
        page: &PageRequest,
    ) -> Result<Page<Event>, StoreError>;

    /// Creates or replaces a gate of an event. The same id may be a gate of other events. `Missing` if the event does not
    /// exist, `Conflict` if another gate of the event has the code.
    async fn put_gate(
        &self,
        organization: OrganizationId,
        event: EventId,
        id: GateId,
        gate: &GatePut,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Gate>, StoreError>;
    /// A gate of an event.
    async fn gate(
        &self,
        organization: OrganizationId,
        event: EventId,
        id: GateId,
    ) -> Result<Option<Gate>, StoreError>;
    /// A page of the gates of an event, in the order of their ids.
    async fn gates(
        &self,
        organization: OrganizationId,
        event: EventId,
        page: &PageRequest,
    ) -> Result<Page<Gate>, StoreError>;
}

/// Devices and their tokens.
#[async_trait]
pub trait Devices: Send + Sync {
    /// Registers a device. `Conflict` if its textual id is taken.
    async fn register_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        device: &DeviceRegister,
        token: &TokenHash,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Device>, StoreError>;
    /// A device.
    async fn device(&self, organization: OrganizationId, id: DeviceId) -> Result<Option<Device>, StoreError>;
    /// A page of the devices, in the order of their ids. `label` (the textual id) and `status` filter them.
    async fn devices(
        &self,
        organization: OrganizationId,
        label: Option<&str>,
        status: Option<DeviceStatus>,
        page: &PageRequest,
    ) -> Result<Page<Device>, StoreError>;
    /// Changes a device. `Conflict` if it was revoked and would become active again.
    async fn patch_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        patch: &DevicePatch,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Device>, StoreError>;
    /// Replaces the token of a device. The old token is no longer valid; the active session goes on. `Conflict` if the
    /// device was revoked.
    async fn rotate_device_token(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        token: &TokenHash,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Device>, StoreError>;
    /// Revokes a device for good and ends its active session. Idempotent. Returns false if the device does not exist.
    async fn revoke_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError>;
    /// Records when devices of an organization last called, each at most once in `seen`. An earlier time changes nothing.
    /// Leaves out the devices that another transaction has locked, such as an upload, and returns the others.
    async fn mark_devices_seen(
        &self,
        organization: OrganizationId,
        seen: &[(DeviceId, Timestamp)],
    ) -> Result<Vec<DeviceId>, StoreError>;

    /// Marks a device as seen now, and stores the health that it reports. `None` if the device does not exist.
    async fn report_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        health: Option<&DeviceHealth>,
        now: Timestamp,
    ) -> Result<Option<Device>, StoreError>;
}

/// Enrolment codes, with which a phone becomes a device.
#[async_trait]
pub trait Enrollments: Send + Sync {
    /// Stores the enrolment code of a device in place of the previous one. `Conflict` if the device was revoked.
    async fn put_enrollment(
        &self,
        organization: OrganizationId,
        device: DeviceId,
        code: &EnrollmentCode,
        expires_at: Timestamp,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<()>, StoreError>;
    /// Enrols a phone as the device of its code. Uses up the code and replaces the token of the device.
    ///
    /// `None` if the code is unknown, used, expired or was tried five times, or if its device was revoked. The code is
    /// looked up before the organization is known, and determines it.
    async fn enroll(
        &self,
        request: &EnrollRequest,
        token: &TokenHash,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<Option<Device>, StoreError>;
}

/// Sessions: which device scans at which gate.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Starts a session. With `replace`, ends the active session of the device first.
    async fn start_session(
        &self,
        organization: OrganizationId,
        device: DeviceId,
        id: SessionId,
        start: &SessionStart,
        now: Timestamp,
    ) -> Result<StartOutcome, StoreError>;
    /// A session.
    async fn session(
        &self,
        organization: OrganizationId,
        id: SessionId,
    ) -> Result<Option<ScanSession>, StoreError>;
    /// Ends a session. An ended session is returned unchanged. `None` if it does not exist. The device itself leaves no entry in
    /// the audit log: then `audit` is `None`.
    async fn end_session(
        &self,
        organization: OrganizationId,
        id: SessionId,
        now: Timestamp,
        audit: Option<Audit<'_>>,
    ) -> Result<Option<ScanSession>, StoreError>;
    /// A page of the sessions, newest first. `device`, `event` and `status` filter them.
    async fn sessions(
        &self,
        organization: OrganizationId,
        device: Option<DeviceId>,
        event: Option<EventId>,
        status: Option<SessionStatus>,
        page: &PageRequest,
    ) -> Result<Page<ScanSession>, StoreError>;
}

/// Everything that the administration asks of a database.
pub trait Registry: Organizations + Keys + Events + Devices + Enrollments + Sessions {}

impl<T: Organizations + Keys + Events + Devices + Enrollments + Sessions> Registry for T {}
