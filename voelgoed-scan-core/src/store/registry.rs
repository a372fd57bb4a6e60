//! What does the back office ask of a database? Everything but scans and tickets, by subject.
//!
//! Every change raises the organization's generation in its own transaction, so that other nodes learn of it.

use async_trait::async_trait;

use crate::model::{
    ApiKey, ApiKeyId, Device, DeviceHealth, DeviceId, DevicePatch, DeviceRegister, DeviceStatus,
    EnrollRequest, EnrollmentCode, Event, EventId, EventPut, Gate, GateId, GatePut, KeyFormat, KeyId,
    KeyStatus, Organization, OrganizationId, ScanSession, SessionId, SessionStart, SessionStatus, SigningKey,
    Timestamp, TokenHash,
};
use crate::store::{Page, PageRequest, Put, StartOutcome, StoreError};

/// The tenants.
#[async_trait]
pub trait Organizations: Send + Sync {
    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Makes an organization with its first signing keys; whether it did: one that has this id is left as it is.
    async fn create_organization(
        &self,
        organization: &Organization,
        signing_keys: &[SigningKey],
    ) -> Result<bool, StoreError>;
    /// All organizations: for the check of keys at start.
    async fn organizations(&self) -> Result<Vec<OrganizationId>, StoreError>;
    /// An organization.
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError>;
}

/// Keys that call and keys that sign.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Makes an API key.
    async fn create_api_key(&self, key: &ApiKey, hash: &TokenHash) -> Result<(), StoreError>;
    /// The API key with that hash.
    async fn api_key(&self, hash: &TokenHash) -> Result<Option<ApiKey>, StoreError>;
    /// The API keys of an organization, in the order of their ids.
    async fn api_keys(
        &self,
        organization: OrganizationId,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>, StoreError>;
    /// Deletes an API key; whether it was there.
    async fn delete_api_key(&self, organization: OrganizationId, id: ApiKeyId) -> Result<bool, StoreError>;

    /// The signing keys of an organization, oldest first.
    async fn signing_keys(&self, organization: OrganizationId) -> Result<Vec<SigningKey>, StoreError>;
    /// Adds a signing key; false where (format, kid) is taken.
    async fn add_signing_key(
        &self,
        organization: OrganizationId,
        key: &SigningKey,
    ) -> Result<bool, StoreError>;
    /// Changes a key's status; `Missing` where there is none, `Conflict` on leaving `revoked`.
    async fn set_signing_key_status(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        status: KeyStatus,
    ) -> Result<Put<SigningKey>, StoreError>;
}

/// Events and their gates.
#[async_trait]
pub trait Events: Send + Sync {
    /// Creates or replaces an event.
    async fn put_event(
        &self,
        organization: OrganizationId,
        id: EventId,
        event: &EventPut,
        now: Timestamp,
    ) -> Result<Put<Event>, StoreError>;
    /// An event.
    async fn event(&self, organization: OrganizationId, id: EventId) -> Result<Option<Event>, StoreError>;
    /// The events, in the order of their ids.
    async fn events(
        &self,
        organization: OrganizationId,
        page: &PageRequest,
    ) -> Result<Page<Event>, StoreError>;

    /// Creates or replaces a gate; `Missing` without its event, `Conflict` where the id is another event's gate.
    async fn put_gate(
        &self,
        organization: OrganizationId,
        event: EventId,
        id: GateId,
        gate: &GatePut,
        now: Timestamp,
    ) -> Result<Put<Gate>, StoreError>;
    /// A gate of an event.
    async fn gate(
        &self,
        organization: OrganizationId,
        event: EventId,
        id: GateId,
    ) -> Result<Option<Gate>, StoreError>;
    /// The gates of an event, in the order of their ids.
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
    /// Registers a device; `Conflict` where its textual id is taken.
    async fn register_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        device: &DeviceRegister,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Put<Device>, StoreError>;
    /// A device.
    async fn device(&self, organization: OrganizationId, id: DeviceId) -> Result<Option<Device>, StoreError>;
    /// The devices, in the order of their ids; by textual id and by status where given.
    async fn devices(
        &self,
        organization: OrganizationId,
        label: Option<&str>,
        status: Option<DeviceStatus>,
        page: &PageRequest,
    ) -> Result<Page<Device>, StoreError>;
    /// Changes a device; `Conflict` on reactivating one that was revoked for good.
    async fn patch_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        patch: &DevicePatch,
        now: Timestamp,
    ) -> Result<Put<Device>, StoreError>;
    /// Gives a device a new token; the old one dies, its session goes on. `Conflict` for a revoked one.
    async fn rotate_device_token(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Put<Device>, StoreError>;
    /// Revokes a device for good and ends its session; whether it was there. Twice is once.
    async fn revoke_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Marks a device as seen, with what it tells of itself, if it does.
    async fn report_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        health: Option<&DeviceHealth>,
        now: Timestamp,
    ) -> Result<Option<Device>, StoreError>;
}

/// Codes that make a phone a device.
#[async_trait]
pub trait Enrollments: Send + Sync {
    /// Keeps a code for a device, instead of the one that it had; `Conflict` for a revoked device.
    async fn put_enrollment(
        &self,
        organization: OrganizationId,
        device: DeviceId,
        code: &EnrollmentCode,
        expires_at: Timestamp,
    ) -> Result<Put<()>, StoreError>;
    /// Enrols a phone as the device that its code is for: the code is used up, the device's token replaced. `None`
    /// where the code is unknown, used, expired, burnt by five tries, or its device revoked. Asked before the
    /// organization is known, which the code tells.
    async fn enroll(
        &self,
        request: &EnrollRequest,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Device>, StoreError>;
}

/// Sessions: which device stands at which gate.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Starts a session; with `replace` after ending the active one.
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
    /// Ends a session; an ended one is returned unchanged.
    async fn end_session(
        &self,
        organization: OrganizationId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<ScanSession>, StoreError>;
    /// The sessions, newest first; by device, event and status where given.
    async fn sessions(
        &self,
        organization: OrganizationId,
        device: Option<DeviceId>,
        event: Option<EventId>,
        status: Option<SessionStatus>,
        page: &PageRequest,
    ) -> Result<Page<ScanSession>, StoreError>;
}

/// All that the back office asks.
pub trait Registry: Organizations + Keys + Events + Devices + Enrollments + Sessions {}

impl<T: Organizations + Keys + Events + Devices + Enrollments + Sessions> Registry for T {}
