//! How often does a ticket admit?

use voelgoed_scan_core::Reason;

use crate::world::World;

pub(crate) async fn a_ticket_admits_once(world: World) {
    let code = world.ticket("{}").await;
    assert_eq!(world.enter(code, 0).await, Reason::Admitted);
    assert_eq!(world.enter(code, 1).await, Reason::AlreadyScanned);
    assert_eq!(world.inside().await, (1, 0, 1));
}
