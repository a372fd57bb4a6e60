//! How does the box office find and change tickets?

use async_trait::async_trait;
use uuid::Uuid;
use uuid::fmt::Simple;

use crate::model::{
    EventId, OrganizationId, SettableStatus, TicketCode, TicketFacts, TicketListing, TicketStatus, Timestamp,
};
use crate::store::sql::batch::update_tickets;
use crate::store::sql::change_counters::raise_tickets_generation;
use crate::store::sql::columns::{Column, Columns, column};
use crate::store::sql::row::{self, ticket_columns};
use crate::store::sql::{Dialect, Sql, query};
use crate::store::{Cursor, ImportOutcome, NumberedLine, Page, PageRequest, StoreError, TicketStore};

#[async_trait]
impl<D: Dialect> TicketStore for Sql<D> {
    async fn import(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        self.import_chunk(organization, event, lines, now).await
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

    async fn tickets(
        &self,
        organization: OrganizationId,
        event: EventId,
        wanted: Option<&str>,
        status: Option<TicketStatus>,
        page: &PageRequest,
    ) -> Result<Page<TicketListing>, StoreError> {
        // No text in a row holds a zero character, and databases do not agree on what one in a question means.
        if wanted.is_some_and(|text| text.contains('\0')) {
            return Ok(Page::empty());
        }
        let start = match page.after {
            Some(cursor) => match code_of(cursor) {
                Some(code) => code.to_string(),
                None => return Ok(Page::empty()),
            },
            None => String::new(),
        };
        let wanted = wanted.map(Wanted::of);
        let mut connection = self.read().await?;
        let rows = query::<D>(concat!(
            "select ",
            ticket_columns!(),
            ", t.holder_name, t.order_ref from tickets t \
             where t.organization_id = $1 and t.event_id = $2 and t.code > $3 and ($4 is null or t.status = $4) \
             and ($5 is null or substr(t.code, 1, length($5)) = $5 or t.holder_folded like $6 escape '!' \
             or t.order_folded like $7 escape '!') order by t.code limit $8"
        ))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .text(&start)
        .opt_text(status.map(TicketStatus::as_str))
        .opt_text(wanted.as_ref().map(|wanted| wanted.code.as_str()))
        .opt_text(wanted.as_ref().map(|wanted| wanted.holder.as_str()))
        .opt_text(wanted.as_ref().map(|wanted| wanted.order.as_str()))
        .int(i64::from(page.limit) + 1)
        .fetch_all(&mut connection)
        .await?;
        let tickets = rows.iter().map(row::listing).collect::<Result<_, _>>()?;
        Ok(Page::cut(tickets, page.limit, |listing: &TicketListing| {
            cursor_of(listing.ticket.code)
        }))
    }

    async fn set_ticket_status(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
        status: SettableStatus,
        now: Timestamp,
    ) -> Result<Option<TicketFacts>, StoreError> {
        let mut transaction = self.write().await?;
        if let Some(sql) = D::SQL.lock_tickets {
            query::<D>(sql)
                .json(&[TicketKey::of_code(organization, code)])
                .fetch_all(&mut transaction)
                .await?;
        }
        let found = find::<D>(organization, event, code, &mut transaction).await?;
        let Some(mut facts) = found else { return Ok(None) };
        let status = status.with_admissions(facts.ledger.admissions());
        if facts.ticket.status == status {
            return Ok(Some(facts));
        }
        facts.ticket.status = status;
        facts.ticket.updated_at = now;
        facts.version += 1;
        update_tickets::<D>(std::slice::from_ref(&facts), &mut transaction).await?;
        raise_tickets_generation::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(Some(facts))
    }
}

/// A ticket as the set-based statements look for it: by code, by id or by both.
#[derive(serde::Serialize)]
pub(crate) struct TicketKey {
    /// The organization.
    o: Simple,
    /// The code.
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<String>,
    /// The ticket's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    i: Option<Simple>,
}

impl Columns for TicketKey {
    fn columns(rows: &[Self]) -> Vec<Column<'_>> {
        vec![
            column!(Id, rows, row => row.o.into_uuid()),
            column!(MaybeText, rows, row => row.c.as_deref()),
            column!(MaybeId, rows, row => row.i.map(Simple::into_uuid)),
        ]
    }
}

impl TicketKey {
    /// By code.
    pub(crate) fn of_code(organization: OrganizationId, code: TicketCode) -> Self {
        Self::of(organization, Some(code), None)
    }

    /// By whatever is given.
    pub(crate) fn of(
        organization: OrganizationId,
        code: Option<TicketCode>,
        id: Option<crate::model::TicketId>,
    ) -> Self {
        Self {
            o: organization.as_uuid().simple(),
            c: code.map(|code| code.to_string()),
            i: id.map(|id| id.as_uuid().simple()),
        }
    }
}

async fn find<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    code: TicketCode,
    connection: &mut D::Connection,
) -> Result<Option<TicketFacts>, StoreError> {
    let row = query::<D>(concat!(
        "select ",
        ticket_columns!(),
        " from tickets t where t.organization_id = $1 and t.code = $2 and t.event_id = $3"
    ))
    .id(organization.as_uuid())
    .text(&code.to_string())
    .id(event.as_uuid())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(row::ticket).transpose()
}

/// A search text as the three columns are asked for it.
struct Wanted {
    /// The start of a code: as it is written, without the gaps between groups.
    code: String,
    /// Anywhere in a holder's name.
    holder: String,
    /// At the start of an order.
    order: String,
}

impl Wanted {
    fn of(text: &str) -> Self {
        let folded = fold(text)
            .replace('!', "!!")
            .replace('%', "!%")
            .replace('_', "!_");
        Self {
            code: text.chars().filter(|one| !matches!(one, ' ' | '-')).collect(),
            holder: format!("%{folded}%"),
            order: format!("{folded}%"),
        }
    }
}

/// A text as the search compares it.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn cursor_of(code: TicketCode) -> Cursor {
    let mut bytes = [0; 16];
    bytes[4..].copy_from_slice(&code.to_bytes());
    Cursor::of_id(Uuid::from_bytes(bytes))
}

/// The code that a cursor stands for; `None` for a cursor of another list.
fn code_of(cursor: Cursor) -> Option<TicketCode> {
    let (zeros, bytes) = cursor.id.as_bytes().split_first_chunk::<4>()?;
    let bytes = bytes.try_into().ok()?;
    (*zeros == [0; 4]).then(|| TicketCode::from_bytes(bytes).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_the_code_it_was_made_of_and_no_other_list_s_row() {
        for text in ["0000000000000000", "3KQR7F924M1XaB0z", "zzzzzzzzzzzzzzzz"] {
            let code: TicketCode = text.parse().expect("a code");
            assert_eq!(code_of(cursor_of(code)), Some(code));
        }
        assert_eq!(code_of(Cursor::LAST), None);
        assert_eq!(code_of(Cursor::of_id(Uuid::from_u128(62_u128.pow(16)))), None);
    }

    #[test]
    fn a_search_text_stands_for_itself_alone() {
        let wanted = Wanted::of("3KQR-7f 100%_!");
        assert_eq!(wanted.code, "3KQR7f100%_!");
        assert_eq!(wanted.holder, "%3kqr-7f 100!%!_!!%");
        assert_eq!(wanted.order, "3kqr-7f 100!%!_!!%");
    }
}
