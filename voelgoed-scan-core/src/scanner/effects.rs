//! What follows a decision that is on disk? The tiers learn of it, the feed tells it; before anybody is answered.

use std::sync::Arc;

use crate::recent::{Moment, Recent};
use crate::recorder::Aftermath;
use crate::scanner::Crowd;
use crate::{Decided, Feed, Reason, Recorded, ScanResult};

/// Steps 8 and 9.
pub(crate) struct Effects {
    pub(crate) recent: Arc<Recent>,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) feed: Arc<Feed>,
}

impl Aftermath for Effects {
    type Before = Moment;

    fn before(&self) -> Moment {
        self.recent.moment()
    }

    fn after(&self, before: Moment, recorded: &[Recorded]) {
        for one in recorded {
            if let Recorded::Decided(decided) = one {
                self.crowd.note(decided.record.organization_id, &decided.answer);
                self.fill_tier(before, decided);
                self.feed.tell_scan(&decided.record);
            }
        }
    }
}

impl Effects {
    fn fill_tier(&self, before: Moment, decided: &Decided) {
        let Some(ticket) = &decided.ticket else { return };
        let now = decided.record.received_at;
        match decided.answer.reason {
            Reason::Exited => {
                self.recent.bury(
                    ticket.ticket.organization_id,
                    ticket.ticket.code,
                    ticket.version,
                    now,
                );
            }
            _ if matches!(decided.answer.result, ScanResult::Valid | ScanResult::Duplicate)
                && ticket.ticket.entry_limit == 1 =>
            {
                self.recent.put(ticket.clone(), before, now);
            }
            _ => {}
        }
    }
}
