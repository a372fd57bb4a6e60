//! Splits an upload batch into chunks that are written one after the other.
//!
//! Invariant: the results and the state equal those of the whole batch in one write. Items that depend on each other (of one
//! ticket, with one id, with one number) stay together, in their order. A chunk that is written again changes nothing, so a
//! batch that broke off is completed by sending it again.

use std::collections::{BTreeMap, HashMap};

use crate::model::{ScanId, TicketCode, TicketId};
use crate::sync::{Upload, UploadBatch, UploadChunk, UploadItem};

/// What makes items depend on each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum SharedKey {
    Scan(ScanId),
    Code(TicketCode),
    Ticket(TicketId),
    Sequence(u64),
}

fn shared_keys(item: &UploadItem) -> impl Iterator<Item = SharedKey> {
    let upload = item.upload.as_ref().ok();
    let codes = upload.into_iter().flat_map(|upload| upload.ticket_codes());
    let ticket = upload.and_then(|upload| {
        let claims = upload.claims.ok()?;
        claims.ticket_id.filter(|_| claims.ticket_code.is_none())
    });
    let scan = item.scan_id.map(SharedKey::Scan);
    let sequence = item.sequence.map(SharedKey::Sequence);
    let others = [scan, ticket.map(SharedKey::Ticket), sequence];
    others.into_iter().flatten().chain(codes.map(SharedKey::Code))
}

/// The part of a batch that is not written yet.
pub(crate) struct RemainingItems<'a> {
    batch: &'a UploadBatch,
    /// The positions of items that depend on each other, ascending. The last group is the next.
    groups: Vec<Vec<usize>>,
}

impl<'a> RemainingItems<'a> {
    pub(crate) fn new(batch: &'a UploadBatch) -> Self {
        let mut owners = HashMap::new();
        let mut group_of: Vec<usize> = (0..batch.items.len()).collect();
        for (at, item) in batch.items.iter().enumerate() {
            for key in shared_keys(item) {
                let other = *owners.entry(key).or_insert(at);
                let (one, other) = (root(&mut group_of, at), root(&mut group_of, other));
                group_of[one.max(other)] = one.min(other);
            }
        }
        let mut groups = BTreeMap::<usize, Vec<usize>>::new();
        for at in 0..batch.items.len() {
            let group = root(&mut group_of, at);
            groups.entry(group).or_default().push(at);
        }
        Self {
            batch,
            groups: groups.into_values().rev().collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Takes the next items, with their positions in the batch: about `limit`, and at least one group.
    pub(crate) fn take(&mut self, limit: usize) -> (Vec<usize>, UploadChunk<'a>) {
        let mut positions = self.groups.pop().unwrap_or_default();
        while let Some(group) = self.groups.pop_if(|group| positions.len() + group.len() <= limit) {
            positions.extend(group);
        }
        positions.sort_unstable();
        let batch = self.batch;
        let items = positions.iter().filter_map(|at| batch.items.get(*at)).collect();
        (positions, UploadChunk { batch, items })
    }
}

/// The first item of the group of an item.
fn root(group_of: &mut [usize], mut at: usize) -> usize {
    while group_of[at] != at {
        group_of[at] = group_of[group_of[at]];
        at = group_of[at];
    }
    at
}

/// Whether payloads of the batch may name one ticket in two ways, by code and by id. A chunk may then change the result of
/// an earlier one.
#[cfg(feature = "node")]
pub(crate) fn names_tickets_in_two_ways(batch: &UploadBatch) -> bool {
    let names_by_code = |upload: &Upload| upload.ticket_codes().next().is_some();
    let names_by_id = |upload: &Upload| upload.claims.is_ok_and(|claims| claims.ticket_code.is_none());
    batch.uploads().any(names_by_code) && batch.uploads().any(names_by_id)
}
