//! Merges a delta into the manifest that it is based on.
//!
//! Invariants: the delta's tickets replace those of the base, and no ticket disappears. A status number or class number
//! that this version does not know stays unknown in the merged manifest.

use crate::manifest::body::{Body, TicketRecord, numbered};
use crate::manifest::build::{Tables, encode};
use crate::manifest::{ManifestHead, ManifestTooLarge};
use crate::model::ClassName;

/// The bytes of the merged manifest, without a signature.
pub(super) fn merge(base: &Body, delta: &Body) -> Result<Vec<u8>, ManifestTooLarge> {
    let head = ManifestHead {
        base: None,
        ..delta.head.clone()
    };
    let mut tables = Tables::of(&head)?;
    let base_numbers = Renumbering::of(base, &mut tables)?;
    let delta_numbers = Renumbering::of(delta, &mut tables)?;
    let unknown_classes = UnknownClasses {
        known: tables.classes().len(),
    };
    let from_base = |record| base_numbers.apply(record, &base.classes, &unknown_classes);
    let from_delta = |record| delta_numbers.apply(record, &delta.classes, &unknown_classes);
    let mut records = Vec::with_capacity(base.len() + delta.len());
    let mut changed = delta.records().peekable();
    for old in base.records() {
        while let Some(new) = changed.next_if(|new| new.key < old.key) {
            records.push(from_delta(new)?);
        }
        records.push(match changed.next_if(|new| new.key == old.key) {
            Some(new) => from_delta(new)?,
            None => from_base(old)?,
        });
    }
    for new in changed {
        records.push(from_delta(new)?);
    }
    encode(&head, &tables, &records)
}

/// The numbers in the merged tables of the classes and sets of gates of one source, in the source's order.
struct Renumbering {
    classes: Vec<u16>,
    gate_sets: Vec<u16>,
}

impl Renumbering {
    /// Adds the tables of a source to the merged ones.
    fn of(source: &Body, tables: &mut Tables) -> Result<Self, ManifestTooLarge> {
        Ok(Self {
            classes: source
                .classes
                .iter()
                .map(|class| tables.class(class))
                .collect::<Result<_, _>>()?,
            gate_sets: source
                .gate_sets
                .iter()
                .map(|gate_set| tables.gate_set(gate_set))
                .collect::<Result<_, _>>()?,
        })
    }

    fn apply(
        &self,
        record: TicketRecord,
        source_classes: &[ClassName],
        unknown_classes: &UnknownClasses,
    ) -> Result<TicketRecord, ManifestTooLarge> {
        let class = if usize::from(record.class) > source_classes.len() {
            unknown_classes.number(record.class)?
        } else {
            numbered(&self.classes, record.class).copied().unwrap_or(0)
        };
        Ok(TicketRecord {
            class,
            gates: numbered(&self.gate_sets, record.gates).copied().unwrap_or(0),
            ..record
        })
    }
}

/// The class numbers that the merged manifest does not define.
struct UnknownClasses {
    /// The number of classes that it defines.
    known: usize,
}

impl UnknownClasses {
    /// The number itself, unless the merged manifest defines it for another class: then the highest undefined number.
    fn number(&self, number: u16) -> Result<u16, ManifestTooLarge> {
        if usize::from(number) > self.known {
            Ok(number)
        } else if self.known < usize::from(u16::MAX) {
            Ok(u16::MAX)
        } else {
            Err(ManifestTooLarge {
                what: "ticket classes",
            })
        }
    }
}
