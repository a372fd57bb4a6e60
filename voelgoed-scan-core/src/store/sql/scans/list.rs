//! Reads pages of the audit trail.
//!
//! Invariants: a page reads a bounded number of scans, whatever its filter. (On PostgreSQL also those that have the same
//! millisecond as its first or last one, because the indexes end with the time.) The scans of a ticket, of a device and its
//! sessions, and of each result but `valid` are read by an index of their own, all others in the order of their times. Every
//! other filter is applied to bounded parts of those (`bounded_list`). The arrivals of an event say between which times it has
//! scans, so that a page of an event or a gate reads no others.

use uuid::Uuid;

use crate::model::{DeviceId, EventId, GateId, OrganizationId, ScanRecord, ScanResult, SessionId, Timestamp};
use crate::store::sql::batch::writes::ARRIVALS_SLOT_MILLIS;
use crate::store::sql::bounded_list::{BoundedList, ROWS_PER_READ, cursor};
use crate::store::sql::{Dialect, Row, Sql, mapping, query, statement};
use crate::store::{Cursor, Order, Page, PageRequest, ScanFilter, StoreError};

/// What the scans of a page are found by.
#[derive(Clone, Copy)]
enum Path {
    /// The time.
    Time,
    /// The ticket, then the time.
    Ticket,
    /// The device, then the time.
    Device,
    /// The result, which is not `valid`, then the time.
    Result,
}

impl Path {
    /// The path that leaves the fewest scans over.
    fn of(filter: &ScanFilter) -> Self {
        if filter.ticket_code.is_some() {
            Self::Ticket
        } else if filter.device_id.is_some() {
            Self::Device
        } else if filter.result.is_some_and(|result| result != ScanResult::Valid) {
            Self::Result
        } else {
            Self::Time
        }
    }

    /// The statement that reads a page, and the one that finds where it must end.
    fn statements(self, order: Order) -> (&'static str, &'static str) {
        match (self, order) {
            (Self::Time, Order::Newest) => (
                statement!("scans/list_newest.sql"),
                statement!("scans/bound_newest.sql"),
            ),
            (Self::Time, Order::Oldest) => (
                statement!("scans/list_oldest.sql"),
                statement!("scans/bound_oldest.sql"),
            ),
            (Self::Ticket, Order::Newest) => (
                statement!("scans/list_newest_of_ticket.sql"),
                statement!("scans/bound_newest_of_ticket.sql"),
            ),
            (Self::Ticket, Order::Oldest) => (
                statement!("scans/list_oldest_of_ticket.sql"),
                statement!("scans/bound_oldest_of_ticket.sql"),
            ),
            (Self::Device, Order::Newest) => (
                statement!("scans/list_newest_of_device.sql"),
                statement!("scans/bound_newest_of_device.sql"),
            ),
            (Self::Device, Order::Oldest) => (
                statement!("scans/list_oldest_of_device.sql"),
                statement!("scans/bound_oldest_of_device.sql"),
            ),
            (Self::Result, Order::Newest) => (
                statement!("scans/list_newest_of_result.sql"),
                statement!("scans/bound_newest_of_result.sql"),
            ),
            (Self::Result, Order::Oldest) => (
                statement!("scans/list_oldest_of_result.sql"),
                statement!("scans/bound_oldest_of_result.sql"),
            ),
        }
    }
}

impl<D: Dialect> Sql<D> {
    pub(super) async fn list_scans(
        &self,
        organization: OrganizationId,
        filter: &ScanFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<ScanRecord>, StoreError> {
        let mut filter = filter.clone();
        if let Some(session) = filter.session_id {
            let Some(device) = self.device_of_session(organization, session).await? else {
                return Ok(Page::empty());
            };
            if filter.device_id.is_some_and(|other| other != device) {
                return Ok(Page::empty());
            }
            filter.device_id = Some(device);
        }
        let times = match (filter.event_id, filter.gate_id) {
            (Some(event), _) => Some(self.times_of_event(organization, event).await?),
            (None, Some(gate)) => Some(self.times_of_gate(organization, gate).await?),
            (None, None) => None,
        };
        match times {
            Some(None) => return Ok(Page::empty()),
            Some(Some((first, last))) => {
                let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
                filter.from = Some(filter.from.map_or(first, |from| from.max(first)));
                filter.to = Some(filter.to.map_or(last, |to| to.min(last)));
            }
            None => {}
        }
        let path = Path::of(&filter);
        let first_page = PageRequest {
            limit: page.limit,
            after: None,
        };
        let mut list = BoundedList::new(&first_page, start(&filter, order, page.after));
        while let Some((after, limit)) = list.next_read() {
            let read = Read {
                organization,
                filter: &filter,
                order,
                path,
                after,
            };
            let (_permit, mut connection) = self.read_bulk(organization).await?;
            let bound = if read.is_selective() {
                read.bound::<D>(&mut connection).await?
            } else {
                None
            };
            let rows = read.rows::<D>(bound, limit, &mut connection).await?;
            list.add(rows.iter().map(mapping::scan), bound)?;
        }
        Ok(list.into_page(|scan: &ScanRecord| Cursor {
            at: scan.scanned_at.as_millis(),
            id: *scan.scan_id.as_uuid(),
        }))
    }

    /// The times between which an event has scans, in milliseconds. `None` if it has none.
    pub(crate) async fn times_of_event(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        let statement = statement!("scans/slots_of_event.sql");
        self.times_by_arrivals(statement, organization, event.as_uuid())
            .await
    }

    /// The times between which the events of a gate have scans, in milliseconds. `None` if they have none.
    async fn times_of_gate(
        &self,
        organization: OrganizationId,
        gate: GateId,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        let statement = statement!("scans/slots_of_gate.sql");
        self.times_by_arrivals(statement, organization, gate.as_uuid())
            .await
    }

    async fn times_by_arrivals(
        &self,
        statement: &'static str,
        organization: OrganizationId,
        id: &Uuid,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        let row = query::<D>(statement)
            .id(organization.as_uuid())
            .id(id)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let slots = row.opt_int("first_slot")?.zip(row.opt_int("last_slot")?);
        let begin = |slot: i64| slot.saturating_mul(ARRIVALS_SLOT_MILLIS);
        Ok(slots.map(|(first, last)| (begin(first), begin(last).saturating_add(ARRIVALS_SLOT_MILLIS - 1))))
    }

    async fn device_of_session(
        &self,
        organization: OrganizationId,
        session: SessionId,
    ) -> Result<Option<DeviceId>, StoreError> {
        let row = query::<D>(statement!("sessions/find.sql"))
            .id(organization.as_uuid())
            .id(session.as_uuid())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.map(|row| Ok(mapping::session(&row)?.device_id)).transpose()
    }
}

/// The position after which a page begins: the later of that in the request and the beginning of the times of the filter.
/// Databases begin to read an index there. They would pass every scan outside the times.
fn start(filter: &ScanFilter, order: Order, after: Option<Cursor>) -> Cursor {
    match order {
        Order::Newest => {
            let first = filter.to.map_or(Cursor::MAX, |to| Cursor {
                at: to.as_millis().saturating_add(1),
                id: Uuid::nil(),
            });
            after.map_or(first, |after| after.min(first))
        }
        Order::Oldest => {
            let first = filter.from.map_or(Cursor::MIN, |from| Cursor {
                at: from.as_millis().saturating_sub(1),
                id: Uuid::max(),
            });
            after.map_or(first, |after| after.max(first))
        }
    }
}

/// One read of the audit trail.
struct Read<'a> {
    organization: OrganizationId,
    filter: &'a ScanFilter,
    order: Order,
    path: Path,
    after: Cursor,
}

impl Read<'_> {
    /// Whether the path also finds scans that do not match.
    fn is_selective(&self) -> bool {
        let ScanFilter {
            event_id,
            gate_id,
            device_id,
            session_id,
            ticket_code,
            result,
            from: _,
            to: _,
        } = self.filter;
        let of_path = match self.path {
            Path::Time => ticket_code.is_some() || device_id.is_some() || result.is_some(),
            Path::Ticket => device_id.is_some() || result.is_some(),
            Path::Device => result.is_some(),
            Path::Result => false,
        };
        of_path || event_id.is_some() || gate_id.is_some() || session_id.is_some()
    }

    /// The first and the last time of the scans to read. The times alone limit how much of the index is read.
    fn times(&self, bound: Option<Cursor>) -> (i64, i64) {
        let from = self.filter.from.map_or(i64::MIN, Timestamp::as_millis);
        let to = self.filter.to.map_or(i64::MAX, Timestamp::as_millis);
        match self.order {
            Order::Newest => (
                bound.map_or(from, |bound| from.max(bound.at)),
                to.min(self.after.at),
            ),
            Order::Oldest => (
                from.max(self.after.at),
                bound.map_or(to, |bound| to.min(bound.at)),
            ),
        }
    }

    /// The last scan that the read may examine. `None` if fewer are left.
    async fn bound<D: Dialect>(&self, connection: &mut D::Connection) -> Result<Option<Cursor>, StoreError> {
        let (_, bound) = self.path.statements(self.order);
        let (from, to) = self.times(None);
        let query = query::<D>(bound)
            .id(self.organization.as_uuid())
            .int(from)
            .int(to)
            .int(self.after.at)
            .id(&self.after.id);
        let query = match self.path {
            Path::Time => query,
            Path::Ticket => {
                let code = self.filter.ticket_code.map(|code| code.to_string());
                query.opt_text(code.as_deref())
            }
            Path::Device => query.opt_id(self.filter.device_id.as_ref().map(DeviceId::as_uuid)),
            Path::Result => query.opt_text(self.filter.result.map(ScanResult::as_str)),
        };
        let row = query.int(ROWS_PER_READ - 1).fetch_optional(connection).await?;
        row.map(|row| cursor(&row, "scanned_at", "scan_id")).transpose()
    }

    /// The scans up to a bound that match the filter.
    async fn rows<D: Dialect>(
        &self,
        bound: Option<Cursor>,
        limit: i64,
        connection: &mut D::Connection,
    ) -> Result<Vec<Row<D>>, StoreError> {
        let (list, _) = self.path.statements(self.order);
        let (from, to) = self.times(bound);
        let last = bound.unwrap_or(match self.order {
            Order::Newest => Cursor::MIN,
            Order::Oldest => Cursor::MAX,
        });
        let filter = self.filter;
        query::<D>(list)
            .id(self.organization.as_uuid())
            .int(from)
            .int(to)
            .int(self.after.at)
            .id(&self.after.id)
            .opt_id(filter.event_id.as_ref().map(EventId::as_uuid))
            .opt_id(filter.gate_id.as_ref().map(GateId::as_uuid))
            .opt_id(filter.device_id.as_ref().map(DeviceId::as_uuid))
            .opt_text(filter.ticket_code.map(|code| code.to_string()).as_deref())
            .opt_text(filter.result.map(ScanResult::as_str))
            .opt_id(filter.session_id.as_ref().map(SessionId::as_uuid))
            .int(last.at)
            .id(&last.id)
            .int(limit)
            .fetch_all(connection)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_within_the_times_of_its_filter() {
        let cursor = |at, id| Cursor {
            at,
            id: Uuid::from_u128(id),
        };
        let filter = ScanFilter {
            from: Some(Timestamp::from_millis(10)),
            to: Some(Timestamp::from_millis(20)),
            ..ScanFilter::default()
        };
        let newest = |after| start(&filter, Order::Newest, after);
        assert_eq!(newest(None), cursor(21, 0));
        assert_eq!(newest(Some(Cursor::MAX)), cursor(21, 0));
        assert_eq!(newest(Some(cursor(20, 7))), cursor(20, 7));
        let oldest = |after| start(&filter, Order::Oldest, after);
        assert_eq!(oldest(None), cursor(9, u128::MAX));
        assert_eq!(oldest(Some(Cursor::MIN)), cursor(9, u128::MAX));
        assert_eq!(oldest(Some(cursor(10, 7))), cursor(10, 7));
        let any = ScanFilter::default();
        assert_eq!(start(&any, Order::Newest, None), Cursor::MAX);
        assert_eq!(start(&any, Order::Oldest, None), Cursor::MIN);
    }
}
