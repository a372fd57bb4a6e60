//! The feeds that webhooks have to read.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::bus::EventKey;
use crate::model::OrganizationId;

/// The feeds of organizations with webhooks that have entries which were not read.
#[derive(Default)]
pub(crate) struct UnreadFeeds {
    is_listening: AtomicBool,
    state: Mutex<State>,
    marked: Notify,
}

#[derive(Default)]
struct State {
    listening: HashSet<OrganizationId>,
    unread: BTreeSet<EventKey>,
}

impl UnreadFeeds {
    /// Scans of an event were recorded.
    pub(crate) fn mark(&self, event: EventKey) {
        if !self.is_listening.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        let is_marked = state.listening.contains(&event.0) && state.unread.insert(event);
        drop(state);
        if is_marked {
            self.marked.notify_one();
        }
    }

    /// Waits until there is something to read.
    pub(crate) async fn marked(&self) {
        self.marked.notified().await;
    }

    /// The feeds to read.
    pub(crate) fn take(&self) -> BTreeSet<EventKey> {
        std::mem::take(&mut self.state.lock().unread)
    }

    /// These organizations have webhooks that want scans.
    pub(crate) fn set_listening(&self, organizations: impl IntoIterator<Item = OrganizationId>) {
        let mut state = self.state.lock();
        state.listening = organizations.into_iter().collect();
        self.is_listening
            .store(!state.listening.is_empty(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_feeds_of_organizations_with_webhooks_are_read() {
        let id = |number| uuid::Uuid::from_u128(number);
        let event = |organization, event| (OrganizationId::from(id(organization)), id(event).into());
        let feeds = UnreadFeeds::default();
        feeds.mark(event(1, 1));
        assert_eq!(feeds.take(), BTreeSet::new());
        feeds.set_listening([OrganizationId::from(id(1))]);
        for marked in [event(1, 1), event(1, 2), event(1, 1), event(2, 1)] {
            feeds.mark(marked);
        }
        assert_eq!(feeds.take(), BTreeSet::from([event(1, 1), event(1, 2)]));
        assert_eq!(feeds.take(), BTreeSet::new());
        feeds.set_listening([]);
        feeds.mark(event(1, 1));
        assert_eq!(feeds.take(), BTreeSet::new());
    }
}
