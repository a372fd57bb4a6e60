//! What ticket records refer to by number.

use std::collections::HashMap;

use crate::manifest::body::TicketRecord;
use crate::manifest::build::ManifestTooLarge;
use crate::manifest::section::Section;
use crate::manifest::wire::{Writer, encode_time};
use crate::manifest::{ManifestGate, ManifestHead, ManifestTicket};
use crate::model::{ClassName, GateId, GateStatus};

/// The classes and the sets of gates that ticket records refer to by number. Numbers start at 1; 0 means no class and
/// all gates.
pub(super) struct Tables {
    classes: Vec<ClassName>,
    class_numbers: HashMap<ClassName, u16>,
    /// The number of classes that are the event's own. They come first, because VG2 claims refer to them by number.
    own_classes: usize,
    gate_positions: HashMap<GateId, u16>,
    gate_sets: Vec<Vec<u16>>,
    gate_set_numbers: HashMap<Vec<u16>, u16>,
}

impl Tables {
    pub(super) fn of(head: &ManifestHead) -> Result<Self, ManifestTooLarge> {
        let mut tables = Self {
            classes: Vec::new(),
            class_numbers: HashMap::new(),
            own_classes: head.event.ticket_classes.len(),
            gate_positions: HashMap::new(),
            gate_sets: Vec::new(),
            gate_set_numbers: HashMap::new(),
        };
        for class in &head.event.ticket_classes {
            // A duplicate name still takes its number.
            tables.classes.push(class.clone());
            let number = number(tables.classes.len(), "ticket classes")?;
            tables.class_numbers.entry(class.clone()).or_insert(number);
        }
        for (position, listed) in head.gates.iter().enumerate() {
            let position = number(position, "gates")?;
            tables.gate_positions.insert(listed.gate.id, position);
        }
        for class in head
            .gates
            .iter()
            .filter_map(|listed| listed.gate.ticket_classes.as_ref())
            .flatten()
        {
            tables.class(class)?;
        }
        Ok(tables)
    }

    /// The classes, in the order of their numbers.
    pub(super) fn classes(&self) -> &[ClassName] {
        &self.classes
    }

    /// The number of a class, which is added if it is new.
    pub(super) fn class(&mut self, class: &ClassName) -> Result<u16, ManifestTooLarge> {
        if let Some(&number) = self.class_numbers.get(class) {
            return Ok(number);
        }
        self.classes.push(class.clone());
        let number = number(self.classes.len(), "ticket classes")?;
        self.class_numbers.insert(class.clone(), number);
        Ok(number)
    }

    /// The number of a set of gates, which is added if it is new.
    pub(super) fn gate_set(&mut self, gates: &[GateId]) -> Result<u16, ManifestTooLarge> {
        // A gate of another event is left out: this event's phones do not scan at it.
        let mut gate_set: Vec<u16> = gates
            .iter()
            .filter_map(|gate| self.gate_positions.get(gate))
            .copied()
            .collect();
        gate_set.sort_unstable();
        gate_set.dedup();
        if let Some(&number) = self.gate_set_numbers.get(&gate_set) {
            return Ok(number);
        }
        self.gate_sets.push(gate_set.clone());
        let number = number(self.gate_sets.len(), "sets of gates")?;
        self.gate_set_numbers.insert(gate_set, number);
        Ok(number)
    }

    /// The record of a ticket.
    pub(super) fn record(&mut self, ticket: &ManifestTicket) -> Result<TicketRecord, ManifestTooLarge> {
        Ok(TicketRecord {
            key: *ticket.key.as_bytes(),
            status: ticket.status.wire_number(),
            // The API refuses an entry limit of 0, and readers treat it as malformed. A row that has one counts as 1.
            entry_limit: ticket.entry_limit.max(1),
            class: match &ticket.ticket_class {
                Some(class) => self.class(class)?,
                None => 0,
            },
            gates: match &ticket.gate_ids {
                Some(gates) => self.gate_set(gates)?,
                None => 0,
            },
            valid_from: encode_time(ticket.valid_from),
            valid_until: encode_time(ticket.valid_until),
            admissions: ticket.admissions,
            inside: ticket.inside,
            last_admission: encode_time(ticket.last_admission),
            day_admissions: ticket.day_admissions,
        })
    }
}

fn number(count: usize, what: &'static str) -> Result<u16, ManifestTooLarge> {
    u16::try_from(count).map_err(|_| ManifestTooLarge { what })
}

/// Encodes the sections of the tables, and of the gates with their classes.
pub(super) fn encode_tables(
    to: &mut Writer,
    head: &ManifestHead,
    tables: &Tables,
) -> Result<(), ManifestTooLarge> {
    to.section(Section::Classes, |to| {
        to.count(tables.own_classes, "ticket classes")?;
        tables
            .classes
            .iter()
            .try_for_each(|class| to.text(class.as_str()))
    })?;
    to.section(Section::Gates, |to| {
        head.gates
            .iter()
            .try_for_each(|listed| encode_gate(to, listed, tables))
    })?;
    to.section(Section::GateSets, |to| {
        for gate_set in &tables.gate_sets {
            to.count(gate_set.len(), "gates")?;
            for position in gate_set {
                to.u16(*position);
            }
        }
        Ok(())
    })
}

fn encode_gate(to: &mut Writer, listed: &ManifestGate, tables: &Tables) -> Result<(), ManifestTooLarge> {
    let ManifestGate { gate, has_capacity } = listed;
    to.bytes(gate.id.as_uuid().as_bytes());
    to.flags([
        gate.status == GateStatus::Open,
        *has_capacity,
        gate.ticket_classes.is_some(),
    ]);
    to.text(gate.name.as_str())?;
    let classes = gate.ticket_classes.as_deref().unwrap_or_default();
    to.count(classes.len(), "ticket classes")?;
    for class in classes {
        to.u16(tables.class_numbers.get(class).copied().unwrap_or(0));
    }
    Ok(())
}
