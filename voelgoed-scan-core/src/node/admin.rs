//! What do operators and the platform change? Events, gates, devices, tickets, keys: each change rules on this node
//! from the moment it is answered.
//!
//! Invariants: a change is forgotten from memory after it is durable and before it is answered; secrets are made here,
//! handed out once and kept nowhere.

mod enrollment;
mod manifests;

use std::sync::Arc;

use crate::model::{
    ApiKey, ApiKeyCreate, ApiKeyId, ApiKeySecret, Device, DeviceHealth, DeviceId, DevicePatch,
    DeviceRegister, DeviceToken, Event, EventId, EventPut, Gate, GateId, GatePut, KeyFormat, KeyId,
    KeyStatus, Name, Organization, OrganizationId, Role, ScanRecord, SettableStatus, SigningKey, TicketCode,
    TicketFacts, Timestamp, TokenHash,
};
use crate::node::cache::identities::IdentityCache;
use crate::node::cache::invalidation::Invalidator;
use crate::node::manifest_cache::ManifestCache;
use crate::node::setup::Keys;
use crate::store::{ImportOutcome, NumberedLine, PutOutcome, Store, StoreError};
use crate::token::Vg2Claims;

/// The organization's side of the gate; cheap to clone.
#[derive(Clone)]
pub struct Admin {
    store: Arc<dyn Store>,
    keys: Keys,
    memory: Arc<IdentityCache>,
    changes: Invalidator,
    manifest_cache: Arc<ManifestCache>,
}

impl Admin {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        keys: Keys,
        memory: Arc<IdentityCache>,
        changes: Invalidator,
        manifest_cache: ManifestCache,
    ) -> Self {
        Self {
            store,
            keys,
            memory,
            changes,
            manifest_cache: Arc::new(manifest_cache),
        }
    }

    /// The API key with that hash.
    pub async fn authenticate(&self, hash: &TokenHash) -> Result<Option<Arc<ApiKey>>, StoreError> {
        if let Some(key) = self.memory.api_key(hash) {
            return Ok(Some(key));
        }
        let since = self.memory.epoch();
        let Some(key) = self.store.api_key(hash).await?.map(Arc::new) else {
            return Ok(None);
        };
        self.memory.keep_api_key(*hash, since, &key);
        Ok(Some(key))
    }

    /// Makes an organization with an active key `1` of each format and an owner's API key.
    pub async fn create_organization(
        &self,
        name: Name,
        now: Timestamp,
    ) -> Result<(Organization, ApiKey, ApiKeySecret), StoreError> {
        self.create_organization_as(OrganizationId::generate(now), name, now)
            .await?
            .ok_or_else(|| StoreError::failed("a new id is taken"))
    }

    /// Makes an organization under an id that it already has elsewhere: with the same master secret its keys are the
    /// same, so what was signed there holds here. `None` where the id is taken.
    pub async fn create_organization_as(
        &self,
        id: OrganizationId,
        name: Name,
        now: Timestamp,
    ) -> Result<Option<(Organization, ApiKey, ApiKeySecret)>, StoreError> {
        let organization = Organization {
            id,
            name,
            inserted_at: now,
        };
        let first = |format| self.new_signing_key(organization.id, format, KeyId::FIRST, now);
        let signing_keys = [first(KeyFormat::Vg1), first(KeyFormat::Vg2)];
        let made = self
            .store
            .create_organization(&organization, &signing_keys)
            .await?;
        if !made {
            return Ok(None);
        }
        let (key, secret) = self.create_owner_key(organization.id, now).await?;
        Ok(Some((organization, key, secret)))
    }

    /// Makes another owner's key, for one that was lost; `None` where there is no such organization.
    pub async fn new_owner_key(
        &self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<Option<(ApiKey, ApiKeySecret)>, StoreError> {
        match self.store.organization(organization).await? {
            Some(_) => self.create_owner_key(organization, now).await.map(Some),
            None => Ok(None),
        }
    }

    async fn create_owner_key(
        &self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(ApiKey, ApiKeySecret), StoreError> {
        let name = Name::new("Owner").map_err(|error| StoreError::failed(error.to_string()))?;
        self.create_api_key(
            organization,
            &ApiKeyCreate {
                name,
                role: Role::Owner,
            },
            now,
        )
        .await
    }

    /// Makes an API key; its secret is shown this once.
    pub async fn create_api_key(
        &self,
        organization: OrganizationId,
        create: &ApiKeyCreate,
        now: Timestamp,
    ) -> Result<(ApiKey, ApiKeySecret), StoreError> {
        let secret = ApiKeySecret::generate();
        let key = ApiKey {
            id: ApiKeyId::generate(now),
            organization_id: organization,
            name: create.name.clone(),
            role: create.role,
            inserted_at: now,
        };
        self.store.create_api_key(&key, &secret.hash()).await?;
        Ok((key, secret))
    }

    /// Deletes an API key; whether it was there.
    pub async fn delete_api_key(
        &self,
        organization: OrganizationId,
        id: ApiKeyId,
    ) -> Result<bool, StoreError> {
        let deleted = self.store.delete_api_key(organization, id).await?;
        self.changes.facts(organization);
        Ok(deleted)
    }

    /// Creates or replaces an event.
    pub async fn put_event(
        &self,
        organization: OrganizationId,
        id: EventId,
        event: &EventPut,
        now: Timestamp,
    ) -> Result<PutOutcome<Event>, StoreError> {
        let put = self.store.put_event(organization, id, event, now).await?;
        self.changes.facts(organization);
        Ok(put)
    }

    /// Creates or replaces a gate.
    pub async fn put_gate(
        &self,
        organization: OrganizationId,
        event: EventId,
        id: GateId,
        gate: &GatePut,
        now: Timestamp,
    ) -> Result<PutOutcome<Gate>, StoreError> {
        let put = self.store.put_gate(organization, event, id, gate, now).await?;
        self.changes.facts(organization);
        Ok(put)
    }

    /// Registers a device; its token is shown this once.
    pub async fn register_device(
        &self,
        organization: OrganizationId,
        device: &DeviceRegister,
        now: Timestamp,
    ) -> Result<PutOutcome<(Device, DeviceToken)>, StoreError> {
        let token = DeviceToken::generate();
        let id = DeviceId::generate(now);
        let put = self
            .store
            .register_device(organization, id, device, &token.hash(), now)
            .await?;
        Ok(put.map(|device| (device, token)))
    }

    /// Changes a device.
    pub async fn patch_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        patch: &DevicePatch,
        now: Timestamp,
    ) -> Result<PutOutcome<Device>, StoreError> {
        let put = self.store.patch_device(organization, id, patch, now).await?;
        self.changes.facts(organization);
        Ok(put)
    }

    /// Gives a device a new token, shown this once; the old one dies.
    pub async fn rotate_device_token(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<PutOutcome<(Device, DeviceToken)>, StoreError> {
        let token = DeviceToken::generate();
        let put = self
            .store
            .rotate_device_token(organization, id, &token.hash(), now)
            .await?;
        self.changes.facts(organization);
        Ok(put.map(|device| (device, token)))
    }

    /// Revokes a device for good; whether it was there.
    pub async fn revoke_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let revoked = self.store.revoke_device(organization, id, now).await?;
        self.changes.facts(organization);
        Ok(revoked)
    }

    /// Marks a device as seen, with what it tells of itself, if it does.
    pub async fn report_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        health: Option<&DeviceHealth>,
        now: Timestamp,
    ) -> Result<Option<Device>, StoreError> {
        self.store.report_device(organization, id, health, now).await
    }

    fn new_signing_key(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        now: Timestamp,
    ) -> SigningKey {
        let public_key = match format {
            KeyFormat::Vg1 => None,
            KeyFormat::Vg2 => Some(self.keys.master().vg2_public_key(organization, kid)),
        };
        SigningKey {
            format,
            kid,
            status: KeyStatus::Active,
            public_key,
            inserted_at: now,
        }
    }

    /// Adds a signing key, active at once.
    pub async fn add_signing_key(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        now: Timestamp,
    ) -> Result<PutOutcome<SigningKey>, StoreError> {
        let key = self.new_signing_key(organization, format, kid, now);
        let added = self.store.add_signing_key(organization, &key).await?;
        self.changes.facts(organization);
        Ok(if added {
            PutOutcome::Created(key)
        } else {
            PutOutcome::Conflict("a key of this format and kid is there already")
        })
    }

    /// Changes a signing key's status.
    pub async fn set_signing_key_status(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        status: KeyStatus,
    ) -> Result<PutOutcome<SigningKey>, StoreError> {
        let put = self
            .store
            .set_signing_key_status(organization, format, kid, status)
            .await?;
        self.changes.facts(organization);
        Ok(put)
    }

    /// Takes a chunk of a ticket import; `None` where there is no such event.
    pub async fn import(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        let outcomes = self.store.import(organization, event, lines, now).await?;
        let updated: Vec<_> = outcomes
            .iter()
            .flatten()
            .filter_map(|outcome| match outcome {
                // The version is the database's to know: whatever a tier holds is older.
                ImportOutcome::Updated(code, _) => Some((*code, i64::MAX)),
                ImportOutcome::Inserted(..) | ImportOutcome::Unchanged(..) | ImportOutcome::Rejected(_) => {
                    None
                }
            })
            .collect();
        self.changes.imported(organization, event, &updated, now).await;
        // A class that a line brought along is a change of the event.
        self.changes.facts(organization);
        Ok(outcomes)
    }

    /// Changes a ticket's status.
    pub async fn set_ticket_status(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
        status: SettableStatus,
        now: Timestamp,
    ) -> Result<Option<TicketFacts>, StoreError> {
        let ticket = self
            .store
            .set_ticket_status(organization, event, code, status, now)
            .await?;
        if let Some(ticket) = &ticket {
            self.changes
                .tickets(organization, &[(code, ticket.version)], now)
                .await;
        }
        Ok(ticket)
    }

    /// The signed payload of a ticket; the outer `None` where there is no such ticket, the inner where no key of the
    /// format is active.
    pub async fn qr_payload(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
        format: KeyFormat,
    ) -> Result<Option<Option<String>>, StoreError> {
        let Some(facts) = self.store.ticket(organization, event, code).await? else {
            return Ok(None);
        };
        let keyring = self
            .keys
            .keyring(organization, &self.memory, &*self.store)
            .await?;
        Ok(Some(match format {
            KeyFormat::Vg1 => keyring.sign_vg1(code),
            KeyFormat::Vg2 => {
                let classes = self
                    .store
                    .event(organization, event)
                    .await?
                    .map(|event| event.ticket_classes);
                keyring.sign_vg2(&vg2_claims(&facts, &classes.unwrap_or_default()))
            }
        }))
    }

    /// A scan's payload signed afresh (VG1), where its signature had held: what an export carries.
    pub async fn export_qr(&self, record: &ScanRecord) -> Result<Option<String>, StoreError> {
        let Some(code) = record.ticket_code else {
            return Ok(None);
        };
        let keyring = self
            .keys
            .keyring(record.organization_id, &self.memory, &*self.store)
            .await?;
        Ok(keyring.sign_vg1(code))
    }
}

/// What a VG2 payload of a ticket claims.
fn vg2_claims(facts: &TicketFacts, classes: &[crate::model::ClassName]) -> Vg2Claims {
    let ticket = &facts.ticket;
    let position = ticket
        .ticket_class
        .as_ref()
        .and_then(|class| classes.iter().position(|one| one == class));
    Vg2Claims {
        ticket_code: ticket.code,
        event_id: ticket.event_id,
        not_before: ticket.valid_from,
        not_after: ticket.valid_until,
        ticket_class: position.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0),
        entry_limit: std::num::NonZeroU8::new(ticket.entry_limit).unwrap_or(std::num::NonZeroU8::MIN),
    }
}
