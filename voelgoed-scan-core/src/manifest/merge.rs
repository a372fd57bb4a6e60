//! Merges a delta into the manifest that it is based on.
//!
//! Invariants: the delta's tickets replace those of the base, and no ticket disappears. A status number or class number
//! that this version does not know stays unknown in the merged manifest.

use std::cmp::Ordering;
use std::iter;

use crate::manifest::body::{Body, TicketRecord, numbered};
use crate::manifest::build::encode;
use crate::manifest::media::merged_media;
use crate::manifest::tables::Tables;
use crate::manifest::{ManifestHead, ManifestTooLarge};

/// The bytes of the merged manifest, without a signature.
pub(super) fn merge(base: &Body, delta: &Body) -> Result<Vec<u8>, ManifestTooLarge> {
    let head = ManifestHead {
        base: None,
        ..delta.head.clone()
    };
    let mut tables = Tables::of(&head)?;
    let base_numbers = Renumbering::of(base, &mut tables)?;
    let delta_numbers = Renumbering::of(delta, &mut tables)?;
    let known_classes = u16::try_from(tables.classes().len()).unwrap_or(u16::MAX);
    if known_classes == u16::MAX {
        // There must be a number that no class has, for the classes that this version does not know.
        return Err(ManifestTooLarge {
            what: "ticket classes",
        });
    }
    let from_base = |record| base_numbers.apply(record, known_classes);
    let from_delta = |record| delta_numbers.apply(record, known_classes);
    let media = merged_media(base, delta);
    encode(&head, &tables, media.as_ref(), || {
        let mut old = base.records().peekable();
        let mut new = delta.records().peekable();
        let (from_base, from_delta) = (&from_base, &from_delta);
        iter::from_fn(move || {
            let order = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => old.key.cmp(&new.key),
                (_, None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            match order {
                Ordering::Less => old.next().map(from_base),
                Ordering::Greater => new.next().map(from_delta),
                Ordering::Equal => {
                    old.next();
                    new.next().map(from_delta)
                }
            }
        })
    })
}

/// The numbers in the merged tables of the classes and sets of gates of one source, in the source's order.
struct Renumbering {
    classes: Vec<u16>,
    gate_sets: Vec<u16>,
    tells_day_admissions: bool,
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
            tells_day_admissions: source.tells_day_admissions(),
        })
    }

    /// The record in the merged manifest, whose tables define `known_classes` classes.
    fn apply(&self, record: TicketRecord, known_classes: u16) -> TicketRecord {
        TicketRecord {
            class: self.class(record.class, known_classes),
            gates: numbered(&self.gate_sets, record.gates).copied().unwrap_or(0),
            // Where the source does not tell, all admissions may have been on the day of the last one.
            day_admissions: if self.tells_day_admissions {
                record.day_admissions
            } else {
                record.admissions
            },
            ..record
        }
    }

    /// A number that the source does not define stays as it is, unless the merged manifest defines it for another class:
    /// then it becomes the highest number, which no class has.
    fn class(&self, number: u16, known_classes: u16) -> u16 {
        if usize::from(number) <= self.classes.len() {
            numbered(&self.classes, number).copied().unwrap_or(0)
        } else if number > known_classes {
            number
        } else {
            u16::MAX
        }
    }
}
