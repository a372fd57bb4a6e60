//! Clears the personal data of tickets.

use crate::model::{EventId, Format, Media, Medium, OrganizationId, TicketCode, TicketListing, Timestamp};
use crate::store::StoreError;
use crate::store::sql::change_counters::raise_tickets_change_counter;
use crate::store::sql::events::locked_event;
use crate::store::sql::lookup::TicketLookup;
use crate::store::sql::media::MediumRow;
use crate::store::sql::retention::RetentionDialect;
use crate::store::sql::retention::rows::ClearedTicketRow;
use crate::store::sql::{Sql, mapping, query};

impl<D: RetentionDialect> Sql<D> {
    /// Clears tickets of an event, and returns those that held personal data. `None` if there is no such event.
    pub(super) async fn clear_tickets_once(
        &self,
        organization: OrganizationId,
        event: EventId,
        codes: &[TicketCode],
        now: Timestamp,
    ) -> Result<Option<Vec<TicketCode>>, StoreError> {
        let mut transaction = self.write().await?;
        // The lock of the event keeps imports from moving media meanwhile.
        if locked_event::<D>(organization, event, &mut transaction)
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let lookups: Vec<_> = codes.iter().map(|code| TicketLookup::by_code(*code)).collect();
        if let Some(sql) = D::SQL.lock_tickets {
            query::<D>(sql)
                .json(&lookups)
                .id(organization.as_uuid())
                .fetch_all(&mut transaction)
                .await?;
        }
        let rows = query::<D>(D::SQL.load_import_tickets)
            .json(&lookups)
            .id(organization.as_uuid())
            .fetch_all(&mut transaction)
            .await?;
        let mut cleared = Vec::new();
        let mut tickets = Vec::new();
        let mut wristbands = Vec::new();
        for row in &rows {
            let listing = mapping::listing(row)?;
            if listing.ticket.event_id != event || !holds_personal_data(&listing) {
                continue;
            }
            cleared.push(listing.ticket.code);
            let (kept, removed) = split_media(listing.media);
            wristbands.extend(removed.iter().map(|medium| MediumRow::new(medium.sha256(), None)));
            tickets.push(ClearedTicketRow::new(listing.ticket.id, &kept)?);
        }
        if !tickets.is_empty() {
            query::<D>(D::RETENTION.clear_tickets)
                .id(organization.as_uuid())
                .time(now)
                .rows(&tickets)
                .execute(&mut transaction)
                .await?;
            raise_tickets_change_counter::<D>(organization, &mut transaction).await?;
        }
        if !wristbands.is_empty() {
            query::<D>(D::SQL.delete_import_media)
                .id(organization.as_uuid())
                .id(event.as_uuid())
                .json(&wristbands)
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Some(cleared))
    }
}

/// Whether a ticket holds something that is cleared.
fn holds_personal_data(listing: &TicketListing) -> bool {
    let mut media = listing.media.iter().flatten();
    listing.holder_name.is_some()
        || listing.order_ref.is_some()
        || listing.ticket.note.is_some()
        || listing.ticket.seat.is_some()
        || media.any(is_of_a_person)
}

/// A wristband or a card is its holder's. The barcode of another system is that of a ticket, as a code of ours is.
fn is_of_a_person(medium: &Medium) -> bool {
    medium.format() == Format::Nfc
}

/// The media that a ticket keeps, and those that it loses.
fn split_media(media: Option<Media>) -> (Vec<Medium>, Vec<Medium>) {
    let media = media.unwrap_or_default();
    let (removed, kept) = media.iter().cloned().partition(is_of_a_person);
    (kept, removed)
}
