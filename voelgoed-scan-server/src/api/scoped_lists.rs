//! Lists as a device with a scope sees them: only what is inside.

use uuid::Uuid;
use voelgoed_scan_core::store::{Cursor, Page, PageRequest, StoreError};

/// A page of the resources with these ids that exist, in the order of the ids.
pub(super) async fn page_of<T, F>(
    ids: impl Iterator<Item = Uuid>,
    page: &PageRequest,
    find: impl Fn(Uuid) -> F,
) -> Result<Page<T>, StoreError>
where
    F: Future<Output = Result<Option<T>, StoreError>>,
{
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let after = page.after.map(|cursor| cursor.id);
    let mut found = Page::empty();
    let mut last = None;
    for id in ids.into_iter().filter(|id| after.is_none_or(|after| *id > after)) {
        let Some(resource) = find(id).await? else {
            continue;
        };
        if found.data.len() >= usize::from(page.limit) {
            found.next = last;
            break;
        }
        found.data.push(resource);
        last = Some(Cursor::of_id(id));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_hold_each_existing_resource_once_in_the_order_of_the_ids() {
        let ids = [5, 3, 9, 3, 1, 7].map(Uuid::from_u128);
        let find = |id: Uuid| std::future::ready(Ok((id.as_u128() != 7).then_some(id.as_u128())));
        let mut page = PageRequest {
            limit: 2,
            after: None,
        };
        let mut pages = Vec::new();
        loop {
            let found = page_of(ids.into_iter(), &page, find).await.expect("found");
            pages.push(found.data);
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
        assert_eq!(pages, [vec![1, 3], vec![5, 9]]);
    }
}
