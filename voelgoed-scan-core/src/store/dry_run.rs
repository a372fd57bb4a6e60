//! Dry runs of imports.

use std::collections::BTreeMap;

use crate::model::ClassName;

/// A dry run of an import: what its lines would have changed so far. It ends when it is dropped.
#[derive(Default)]
pub struct ImportDryRun {
    /// The classes that lines would have added to the event, in their order.
    pub(crate) new_classes: Vec<ClassName>,
    /// How many lines would have changed each field of an existing ticket.
    pub(crate) updated_fields: BTreeMap<&'static str, u64>,
    /// The tickets as the lines would have left them. `None` until a line changes one.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) scratch: Option<crate::store::sql::ImportScratch>,
}

impl ImportDryRun {
    /// The classes that the lines would have added to the event, in their order.
    #[must_use]
    pub fn new_classes(&self) -> &[ClassName] {
        &self.new_classes
    }

    /// How many lines would have changed each field of an existing ticket.
    #[must_use]
    pub fn updated_fields(&self) -> &BTreeMap<&'static str, u64> {
        &self.updated_fields
    }
}
