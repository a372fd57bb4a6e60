//! Answers a known scan again, for a device that could not make a new scan now.

use tokio::time::Instant;

use super::attempt::into_answer;
use super::{ScanError, Scanner};
use crate::model::{
    AuthenticatedDevice, EventId, GateId, Headcount, Occupancy, OrganizationId, PlaceCount, ScanAnswer,
    ScanId, ScanRequest, Timestamp,
};
use crate::node::cache::occupancy::OccupancySource;
use crate::node::cache::scan_ids::ScanClaim;
use crate::rules::KnownScan;
use crate::store::StoreError;
use crate::token::{fingerprint, medium_of};

impl Scanner {
    /// The first answer of a known scan, with the occupancy of that time. `None` where the scan is unknown.
    pub(super) async fn replay(
        &self,
        authenticated: &AuthenticatedDevice,
        request: &ScanRequest,
    ) -> Result<Option<ScanAnswer>, ScanError> {
        let organization = authenticated.device.organization_id;
        let Some(id) = request.scan_id.filter(|_| !request.dry_run) else {
            return Ok(None);
        };
        let Some(known) = self.known_scan(organization, id).await? else {
            return Ok(None);
        };
        let medium = medium_of(&request.reading).map(|(_, claim)| claim);
        let payload = fingerprint(&request.reading, None, medium.as_ref());
        let mut answer = into_answer(known.answer_to(authenticated.device.id, &payload, request.direction))?;
        answer.occupancy = self
            .load_occupancy(organization, answer.event_id, answer.gate.id, answer.scanned_at)
            .await?;
        Ok(Some(answer))
    }

    /// Gives a repeated answer the current occupancy of its gate, if this is not `place`, the one of which the write has read
    /// the occupancy: the device works elsewhere by now.
    pub(super) async fn with_occupancy_of_its_gate(
        &self,
        organization: OrganizationId,
        place: (EventId, GateId),
        mut answer: ScanAnswer,
    ) -> Result<ScanAnswer, ScanError> {
        if answer.replayed && place != (answer.event_id, answer.gate.id) {
            answer.occupancy = self
                .load_occupancy(organization, answer.event_id, answer.gate.id, answer.scanned_at)
                .await?;
        }
        Ok(answer)
    }

    /// A known scan. What a cache has answered for it, on any node, is written first.
    async fn known_scan(
        &self,
        organization: OrganizationId,
        scan: ScanId,
    ) -> Result<Option<KnownScan>, ScanError> {
        let known = self.store().find_scan_for_retry(organization, scan).await?;
        if known.is_some() {
            return Ok(known);
        }
        self.0
            .claims
            .claim(&ScanClaim::of_scan(organization, scan))
            .await?;
        self.0.write_queue.flush(organization).await;
        Ok(self.store().find_scan_for_retry(organization, scan).await?)
    }

    /// Reads the occupancy of a gate and its event from the database, and caches it.
    pub(super) async fn load_occupancy(
        &self,
        organization: OrganizationId,
        event: EventId,
        gate: GateId,
        now: Timestamp,
    ) -> Result<Occupancy, StoreError> {
        let began = self.0.occupancy_cache.begin_read();
        let Some(counts) = self.store().occupancy(organization, event, now).await? else {
            return Ok(Occupancy::default());
        };
        let source = OccupancySource::Read(began);
        self.0
            .occupancy_cache
            .put_event((organization, event), &counts, source, now, Instant::now());
        let gate_count = counts
            .gates
            .iter()
            .find(|count| count.id == gate)
            .map(|count| count.count)
            .unwrap_or_default();
        let headcount = |count: PlaceCount| Headcount {
            inside: count.inside,
            capacity: count.capacity,
        };
        Ok(Occupancy {
            gate: headcount(gate_count),
            event: headcount(counts.event),
        })
    }
}
