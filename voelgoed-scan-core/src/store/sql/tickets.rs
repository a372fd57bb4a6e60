//! Tickets, as the box office finds and changes them.

use async_trait::async_trait;
use uuid::Uuid;

use crate::audit::Audit;
use crate::model::{
    EventId, Media, MediumTicket, OrganizationId, SettableStatus, TicketCode, TicketFacts, TicketId,
    TicketListing, TicketStatus, Timestamp,
};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::ticket_patched;
use crate::store::sql::batch::writes::update_tickets;
use crate::store::sql::bounded_list::BoundedList;
use crate::store::sql::change_counters::raise_tickets_change_counter;
use crate::store::sql::folded::{folded, folded_words};
use crate::store::sql::lookup::TicketLookup;
use crate::store::sql::media::tickets_by_media;
use crate::store::sql::ticket_statuses::record_statuses;
use crate::store::sql::{Dialect, Sql, mapping, query, statement};
use crate::store::{
    Cursor, ImportDryRun, ImportEnd, ImportOutcome, NumberedLine, Page, PageRequest, StoreError, TicketStore,
};

/// How many tickets one read of a search may examine. A search reads on until its page is full or has taken some reads.
const TICKETS_PER_READ: i64 = 25_000;

/// Sorts after every code.
const AFTER_ALL_CODES: &str = "~";

#[async_trait]
impl<D: Dialect> TicketStore for Sql<D> {
    async fn import(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
        end: Option<ImportEnd<'_>>,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        self.import_chunk(organization, event, lines, now, end).await
    }

    async fn import_dry_run(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
        dry_run: &mut ImportDryRun,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        self.dry_run_lines(organization, event, lines, now, dry_run).await
    }

    async fn ticket(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
    ) -> Result<Option<TicketFacts>, StoreError> {
        let mut connection = self.read().await?;
        find::<D>(organization, event, code, &mut connection).await
    }

    async fn tickets_by_media(
        &self,
        organization: OrganizationId,
        media: &[[u8; 32]],
    ) -> Result<Vec<MediumTicket>, StoreError> {
        let mut connection = self.read().await?;
        tickets_by_media::<D>(organization, media, &mut connection).await
    }

    async fn code_of_named_ticket(
        &self,
        organization: OrganizationId,
        code: Option<TicketCode>,
        id: Option<TicketId>,
    ) -> Result<Option<TicketCode>, StoreError> {
        let rows = query::<D>(D::SQL.load_tickets)
            .json(&[TicketLookup::by_code_and_id(code, id)])
            .id(organization.as_uuid())
            .fetch_all(&mut *self.read().await?)
            .await?;
        let codes = rows
            .iter()
            .map(|row| Ok(mapping::ticket(row)?.ticket.code))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let first = codes.first().copied();
        Ok(first.filter(|first| codes.iter().all(|code| code == first)))
    }

    async fn media_of(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
    ) -> Result<Media, StoreError> {
        let row = query::<D>(statement!("tickets/media.sql"))
            .id(organization.as_uuid())
            .text(&code.to_string())
            .id(event.as_uuid())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let media = row.map(|row| row.opt_json("media")).transpose()?;
        Ok(media.flatten().unwrap_or_default())
    }

    async fn tickets(
        &self,
        organization: OrganizationId,
        event: EventId,
        search: Option<&str>,
        status: Option<TicketStatus>,
        page: &PageRequest,
    ) -> Result<Page<TicketListing>, StoreError> {
        // No stored text contains a zero character, and databases treat one in a parameter differently.
        if search.is_some_and(|text| text.contains('\0')) {
            return Ok(Page::empty());
        }
        if page.after.is_some_and(|after| code_of(after).is_none()) {
            return Ok(Page::empty());
        }
        let search = match search.map(SearchPatterns::new) {
            Some(None) => return Ok(Page::empty()),
            search => search.flatten(),
        };
        let mut list = BoundedList::new(page, Cursor::MIN);
        while let Some((after, limit)) = list.next_read() {
            // The start of the list is no code.
            let after = match after {
                Cursor::MIN => None,
                cursor => code_of(cursor),
            };
            let after = after.map(|code| code.to_string()).unwrap_or_default();
            let (_permit, mut connection) = self.read_bulk(organization).await?;
            let bound = if search.is_some() || status.is_some() {
                query::<D>(statement!("tickets/bound.sql"))
                    .id(organization.as_uuid())
                    .id(event.as_uuid())
                    .text(&after)
                    .int(TICKETS_PER_READ - 1)
                    .fetch_optional(&mut connection)
                    .await?
            } else {
                None
            };
            let bound: Option<TicketCode> = bound.map(|row| row.parse("code")).transpose()?;
            let last = bound.map_or_else(|| AFTER_ALL_CODES.to_owned(), |code| code.to_string());
            let rows = query::<D>(statement!("tickets/search.sql"))
                .id(organization.as_uuid())
                .id(event.as_uuid())
                .text(&after)
                .opt_text(status.map(TicketStatus::as_str))
                .opt_text(search.as_ref().map(|search| search.code_prefix.as_str()))
                .opt_text(search.as_ref().map(|search| search.holder.as_str()))
                .opt_text(search.as_ref().map(|search| search.order.as_str()))
                .text(&last)
                .int(limit)
                .fetch_all(&mut connection)
                .await?;
            list.add(rows.iter().map(mapping::listing), bound.map(cursor_of))?;
        }
        Ok(list.into_page(|listing: &TicketListing| cursor_of(listing.ticket.code)))
    }

    async fn set_ticket_status(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
        status: SettableStatus,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<Option<TicketFacts>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        if let Some(sql) = D::SQL.lock_tickets {
            query::<D>(sql)
                .json(&[TicketLookup::by_code(code)])
                .id(organization.as_uuid())
                .fetch_all(&mut transaction)
                .await?;
        }
        let found = find::<D>(organization, event, code, &mut transaction).await?;
        let Some(mut facts) = found else { return Ok(None) };
        let status = status.with_admissions(facts.ledger.admissions());
        if facts.ticket.status == status {
            return Ok(Some(facts));
        }
        let before = facts.ticket.status;
        facts.ticket.status = status;
        facts.ticket.updated_at = now;
        facts.version += 1;
        update_tickets::<D>(organization, std::slice::from_ref(&facts), &mut transaction).await?;
        let changed = std::iter::once((facts.ticket.id, status));
        record_statuses::<D>(organization, changed, now, &mut transaction).await?;
        raise_tickets_change_counter::<D>(organization, &mut transaction).await?;
        append::<D>(
            organization,
            ticket_patched(before, &facts),
            audit,
            &mut transaction,
        )
        .await?;
        transaction.commit().await?;
        Ok(Some(facts))
    }
}

async fn find<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    code: TicketCode,
    connection: &mut D::Connection,
) -> Result<Option<TicketFacts>, StoreError> {
    let row = query::<D>(statement!("tickets/find.sql"))
        .id(organization.as_uuid())
        .text(&code.to_string())
        .id(event.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(mapping::ticket).transpose()
}

/// What a search text is compared with in each column.
struct SearchPatterns {
    /// The start of a code in lower case, without the separators between groups.
    code_prefix: String,
    /// A `like` pattern that matches at the start of each word of a holder's name, where a space stands before the first.
    holder: String,
    /// A `like` pattern that matches at the start of an order reference.
    order: String,
}

impl SearchPatterns {
    /// `None` for a text without any letter, which is the start of nothing.
    fn new(text: &str) -> Option<Self> {
        let words = folded_words(text);
        let literal = |text: &str| text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let is_separator = |one: char| matches!(one, ' ' | '-');
        (!words.is_empty()).then(|| Self {
            code_prefix: text.trim().replace(is_separator, "").to_ascii_lowercase(),
            holder: format!("% {}%", literal(&words)),
            order: format!("{}%", literal(folded(text).trim())),
        })
    }
}

/// The cursor of a ticket holds the number of its code in the last 12 bytes of the id.
fn cursor_of(code: TicketCode) -> Cursor {
    let mut bytes = [0; 16];
    bytes[4..].copy_from_slice(&code.to_bytes());
    Cursor::of_id(Uuid::from_bytes(bytes))
}

/// The code of a cursor. `None` for a cursor of another list.
fn code_of(cursor: Cursor) -> Option<TicketCode> {
    let (zeros, bytes) = cursor.id.as_bytes().split_first_chunk::<4>()?;
    let bytes = bytes.try_into().ok()?;
    (*zeros == [0; 4]).then(|| TicketCode::from_bytes(bytes).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_yields_its_code_and_none_for_a_cursor_of_another_list() {
        for text in ["0000000000000000", "3KQR7F924M1XaB0z", "zzzzzzzzzzzzzzzz"] {
            let code: TicketCode = text.parse().expect("a code");
            assert_eq!(code_of(cursor_of(code)), Some(code));
        }
        assert_eq!(code_of(Cursor::MAX), None);
        assert_eq!(code_of(Cursor::of_id(Uuid::from_u128(62_u128.pow(16)))), None);
    }

    #[test]
    fn wildcards_in_a_search_text_are_literal() {
        let search = SearchPatterns::new(" 3KQR-7f 100%_! ").expect("a pattern");
        assert_eq!(search.code_prefix, "3kqr7f100%_!");
        assert_eq!(search.holder, "% 3kqr 7f 100!%!_!!%");
        assert_eq!(search.order, "3kqr-7f 100!%!_!!%");
        assert!(SearchPatterns::new(" - ").is_none());
    }
}
