//! What the scanner asks, in SQL that both databases share.

use async_trait::async_trait;

use crate::model::{
    ActiveSession, Attempt, AuthenticatedDevice, EventId, EventOccupancy, GateCount, OrganizationId,
    PlaceCount, ReasonText, Recorded, ResultCounts, RuleSettings, ScanId, ScanRecord, Timestamp, TokenHash,
};
use crate::rules::{KnownScan, NewScan};
use crate::store::sql::batch::{SLOT_MILLIS, known_scan};
use crate::store::sql::row::{
    self, device_columns, event_columns, gate_columns, scan_columns, session_columns,
};
use crate::store::sql::{Dialect, Sql, query};
use crate::store::{
    Cursor, Order, Page, PageRequest, ScanFilter, ScanStore, StoreError, UndoOutcome, UndoneBy,
};

#[async_trait]
impl<D: Dialect> ScanStore for Sql<D> {
    async fn record(&self, batch: &[Attempt], rules: &RuleSettings) -> Result<Vec<Recorded>, StoreError> {
        self.record_batch(batch, rules).await
    }

    async fn note(&self, denials: &[NewScan]) -> Result<(), StoreError> {
        self.note_denials(denials).await
    }

    async fn preview(&self, attempt: &Attempt, rules: &RuleSettings) -> Result<Recorded, StoreError> {
        self.preview_one(attempt, rules).await
    }

    async fn known_scan(
        &self,
        organization: OrganizationId,
        scan: ScanId,
    ) -> Result<Option<KnownScan>, StoreError> {
        let mut connection = self.read().await?;
        let row = query::<D>(concat!(
            "select ",
            scan_columns!(),
            ", x.payload_sha256, x.shown from scans x where x.organization_id = $1 and x.scan_id = $2"
        ))
        .id(organization.as_uuid())
        .id(scan.as_uuid())
        .fetch_optional(&mut connection)
        .await?;
        row.as_ref().map(known_scan).transpose()
    }

    async fn undo(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        by: UndoneBy,
        reason: &ReasonText,
        now: Timestamp,
        rules: &RuleSettings,
    ) -> Result<Option<UndoOutcome>, StoreError> {
        self.undo_one(organization, scan, by, reason, now, rules).await
    }

    async fn scans(
        &self,
        organization: OrganizationId,
        filter: &ScanFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<ScanRecord>, StoreError> {
        let sql = match order {
            Order::Newest => concat!(
                "select ",
                scan_columns!(),
                " from scans x where x.organization_id = $1 and x.scanned_at between $2 and $3 \
                 and (x.scanned_at, x.scan_id) < ($4, $5) and ($6 is null or x.event_id = $6) \
                 and ($7 is null or x.gate_id = $7) and ($8 is null or x.device_id = $8) \
                 and ($9 is null or x.ticket_code = $9) and ($10 is null or x.result = $10) \
                 order by x.scanned_at desc, x.scan_id desc limit $11"
            ),
            Order::Oldest => concat!(
                "select ",
                scan_columns!(),
                " from scans x where x.organization_id = $1 and x.scanned_at between $2 and $3 \
                 and (x.scanned_at, x.scan_id) > ($4, $5) and ($6 is null or x.event_id = $6) \
                 and ($7 is null or x.gate_id = $7) and ($8 is null or x.device_id = $8) \
                 and ($9 is null or x.ticket_code = $9) and ($10 is null or x.result = $10) \
                 order by x.scanned_at, x.scan_id limit $11"
            ),
        };
        let start = page.after.unwrap_or(match order {
            Order::Newest => Cursor::LAST,
            Order::Oldest => Cursor::FIRST,
        });
        let mut connection = self.read().await?;
        let rows = query::<D>(sql)
            .id(organization.as_uuid())
            .int(filter.from.map_or(i64::MIN, Timestamp::as_millis))
            .int(filter.to.map_or(i64::MAX, Timestamp::as_millis))
            .int(start.at)
            .id(&start.id)
            .opt_id(filter.event_id.as_ref().map(EventId::as_uuid))
            .opt_id(filter.gate_id.as_ref().map(crate::model::GateId::as_uuid))
            .opt_id(filter.device_id.as_ref().map(crate::model::DeviceId::as_uuid))
            .opt_text(filter.ticket_code.map(|code| code.to_string()).as_deref())
            .opt_text(filter.result.map(crate::model::ScanResult::as_str))
            .int(i64::from(page.limit) + 1)
            .fetch_all(&mut connection)
            .await?;
        let scans = rows.iter().map(row::scan).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(scans, page.limit, |scan| Cursor {
            at: scan.scanned_at.as_millis(),
            id: *scan.scan_id.as_uuid(),
        }))
    }

    async fn occupancy(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<EventOccupancy>, StoreError> {
        let mut connection = self.read().await?;
        let found = query::<D>(concat!(
            "select ",
            event_columns!(),
            ", (select cast(coalesce(sum(a.scans), 0) as bigint) from arrivals a \
             where a.organization_id = $1 and a.event_id = $2 and a.slot > $3) \
             as scans_per_minute from events e where e.organization_id = $1 and e.id = $2"
        ))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .int(now.plus_millis(-60_000).as_millis().div_euclid(SLOT_MILLIS))
        .fetch_optional(&mut connection)
        .await?;
        let Some(found) = found else { return Ok(None) };
        let capacity = row::event(&found)?.capacity;
        let rows = query::<D>(concat!(
            "select ",
            gate_columns!(),
            ", o.entries, o.exits, o.valid, o.duplicate, o.invalid_token, o.wrong_event, o.wrong_gate, o.refused \
             from occupancy o join gates g on g.organization_id = o.organization_id and g.id = o.gate_id \
             where o.organization_id = $1 and o.event_id = $2 order by g.name, g.id"
        ))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_all(&mut connection)
        .await?;
        let mut total = PlaceCount {
            capacity,
            ..PlaceCount::default()
        };
        let mut results = ResultCounts::default();
        let mut gates = Vec::with_capacity(rows.len());
        for one in &rows {
            let gate = row::gate(one)?;
            let (entries, exits) = (one.int("entries")?, one.int("exits")?);
            total.entries += entries;
            total.exits += exits;
            results.add(&ResultCounts {
                valid: one.int("valid")?,
                duplicate: one.int("duplicate")?,
                invalid_token: one.int("invalid_token")?,
                wrong_event: one.int("wrong_event")?,
                wrong_gate: one.int("wrong_gate")?,
                refused: one.int("refused")?,
            });
            let count = PlaceCount {
                inside: entries - exits,
                entries,
                exits,
                capacity: gate.capacity,
            };
            gates.push(GateCount {
                id: gate.id,
                name: gate.name,
                count,
            });
        }
        total.inside = total.entries - total.exits;
        Ok(Some(EventOccupancy {
            event: total,
            gates,
            results,
            scans_per_minute: found.int("scans_per_minute")?,
        }))
    }

    async fn authenticated(&self, token: &TokenHash) -> Result<Option<AuthenticatedDevice>, StoreError> {
        let mut connection = self.read().await?;
        let found = query::<D>(concat!(
            "select o.generation, ",
            device_columns!(),
            " from credentials c join devices d on d.organization_id = c.organization_id and d.id = c.subject_id \
             join organizations o on o.id = c.organization_id where c.token_hash = $1 and c.kind = 'device'"
        ))
        .bytes(token)
        .fetch_optional(&mut connection)
        .await?;
        let Some(found) = found else { return Ok(None) };
        let device = row::device(&found)?;
        let active = query::<D>(concat!(
            "select ",
            session_columns!(),
            ", ",
            event_columns!(),
            ", ",
            gate_columns!(),
            ", y.doors from sessions s join events e on e.organization_id = s.organization_id and e.id = s.event_id \
             join gates g on g.organization_id = s.organization_id and g.id = s.gate_id \
             join occupancy y on y.organization_id = s.organization_id and y.event_id = s.event_id \
             and y.gate_id = s.gate_id where s.organization_id = $1 and s.device_id = $2 and s.status = 'active'"
        ))
        .id(device.organization_id.as_uuid())
        .id(device.id.as_uuid())
        .fetch_optional(&mut connection)
        .await?;
        let active_session = match &active {
            Some(one) => Some(ActiveSession {
                session: row::session(one)?,
                event: row::event(one)?,
                gate: row::gate(one)?,
                doors: one.int("doors")?,
            }),
            None => None,
        };
        Ok(Some(AuthenticatedDevice {
            device,
            active_session,
            generation: found.int("generation")?,
        }))
    }
}

impl<T> Page<T> {
    /// The only page of a list of nothing.
    pub(crate) const fn empty() -> Self {
        Self {
            data: Vec::new(),
            next: None,
        }
    }

    /// Cuts rows, of which one more than the limit was asked for, to a page.
    pub(crate) fn cut(mut data: Vec<T>, limit: u16, cursor: impl Fn(&T) -> Cursor) -> Self {
        let more = data.len() > usize::from(limit);
        data.truncate(usize::from(limit));
        let next = if more { data.last().map(cursor) } else { None };
        Self { data, next }
    }
}
