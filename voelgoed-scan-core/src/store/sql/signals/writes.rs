//! Opens and ends signals, and tells the webhooks of it in the same transaction.

use crate::model::{DeviceId, EventId, GateId, OrganizationId, Signal, SignalKind, TicketId, WebhookType};
use crate::store::sql::webhooks::enqueue;
use crate::store::sql::{Dialect, query, statement};
use crate::store::{SignalWrite, StoreError};

/// Opens and ends signals. Returns those that did.
pub(super) async fn write_changes<D: Dialect>(
    write: &SignalWrite,
    connection: &mut D::Connection,
) -> Result<Vec<Signal>, StoreError> {
    let count = write.opened.len() + write.closed.len();
    if count == 0 {
        return Ok(Vec::new());
    }
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let row = query::<D>(statement!("signals/reserve_positions.sql"))
        .id(write.organization_id.as_uuid())
        .int(count)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| StoreError::failed("positions of signals are reserved"))?;
    let mut positions = row.int("last")? - count + 1..;
    let mut changed = Vec::new();
    for signal in &write.closed {
        let position = positions.next().unwrap_or(i64::MAX);
        if close::<D>(write.organization_id, signal, position, connection).await? {
            tell::<D>(write.organization_id, signal, connection).await?;
            changed.push(signal.clone());
        }
    }
    for signal in &write.opened {
        let position = positions.next().unwrap_or(i64::MAX);
        if insert::<D>(write.organization_id, signal, position, connection).await? {
            tell::<D>(write.organization_id, signal, connection).await?;
            changed.push(signal.clone());
        }
    }
    Ok(changed)
}

/// Tells the webhooks of a signal that opened or ended.
async fn tell<D: Dialect>(
    organization: OrganizationId,
    signal: &Signal,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let at = signal.closed_at.unwrap_or(signal.opened_at);
    let kind = webhook_type(signal);
    enqueue::<D>(connection, organization, signal.event_id, kind, at, signal).await?;
    Ok(())
}

fn webhook_type(signal: &Signal) -> WebhookType {
    match signal.kind {
        SignalKind::DeviceSilent if signal.closed_at.is_some() => WebhookType::DeviceBack,
        SignalKind::DeviceSilent => WebhookType::DeviceSilent,
        SignalKind::Occupancy90 | SignalKind::Occupancy100 => WebhookType::OccupancyThreshold,
        SignalKind::ImpossibleTravel
        | SignalKind::DuplicateSpam
        | SignalKind::HighVelocity
        | SignalKind::DeviceErrors
        | SignalKind::LateBatch
        | SignalKind::SyncWaiting => WebhookType::FraudSignal,
    }
}

/// Ends a signal. Returns false if it has ended.
async fn close<D: Dialect>(
    organization: OrganizationId,
    signal: &Signal,
    position: i64,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let changed = query::<D>(statement!("signals/close.sql"))
        .id(organization.as_uuid())
        .id(signal.id.as_uuid())
        .opt_time(signal.closed_at)
        .int(position)
        .execute(connection)
        .await?;
    Ok(changed > 0)
}

/// Opens a signal. Returns false if one of its kind is open for its subject.
async fn insert<D: Dialect>(
    organization: OrganizationId,
    signal: &Signal,
    position: i64,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let subject = signal
        .subject()
        .ok_or_else(|| StoreError::failed("a signal has a subject"))?;
    let inserted = query::<D>(statement!("signals/insert.sql"))
        .id(organization.as_uuid())
        .id(signal.id.as_uuid())
        .text(signal.kind.as_str())
        .text(&subject.to_string())
        .opt_id(signal.event_id.as_ref().map(EventId::as_uuid))
        .opt_id(signal.gate_id.as_ref().map(GateId::as_uuid))
        .opt_id(signal.device_id.as_ref().map(DeviceId::as_uuid))
        .opt_id(signal.ticket_id.as_ref().map(TicketId::as_uuid))
        .time(signal.opened_at)
        .opt_time(signal.closed_at)
        .json(&signal.details)
        .int(position)
        .execute(connection)
        .await?;
    Ok(inserted > 0)
}
