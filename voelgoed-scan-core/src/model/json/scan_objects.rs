//! The JSON objects of scans and tickets.

use crate::model::json::{Json, objects};
use crate::model::{
    Admission, AnswerSnapshot, Headcount, Ledger, NamedGate, Occupancy, Outcome, Passage, PreviousScan,
    ScanAnswer, ScanRecord, ScannedTicket, Ticket, TicketFacts,
};

objects! {
    ScanAnswer {
        scan_id,
        result,
        reason,
        replayed,
        direction,
        scanned_at,
        session_id,
        event_id,
        gate,
        ticket,
        previous_scan,
        occupancy,
        decided_by,
        warnings,
        message,
    }
    ScanRecord {
        scan_id,
        organization_id,
        ticket_id,
        ticket_code,
        event_id,
        gate_id,
        device_id,
        api_key_id,
        scan_session_id,
        result,
        reason,
        would_have_been,
        direction,
        scanned_at,
        device_scanned_at,
        received_at,
        source,
        decided_by,
        override_ = "override",
        undone,
        local_result,
        metadata,
    }
    ScannedTicket {
        id,
        code,
        status,
        ticket_class,
        seat,
        entry_limit,
        scan_count,
        note,
    }
    TicketFacts {
        ticket,
        ledger,
        version,
    }
    Ticket {
        id,
        organization_id,
        event_id,
        code,
        status,
        ticket_class,
        gate_ids,
        seat,
        valid_from,
        valid_until,
        entry_limit,
        scan_count,
        note,
        inserted_at,
        updated_at,
    }
    PreviousScan {
        scan_id,
        scanned_at,
        seconds_ago,
        gate,
        device_name,
        same_device,
    }
    NamedGate {
        id,
        name,
    }
    Occupancy {
        gate,
        event,
    }
    Headcount {
        inside,
        capacity,
    }
    Outcome {
        result,
        reason,
    }
}

impl Json for AnswerSnapshot {
    fn write(&self, out: &mut String) {
        let Self {
            gate_name,
            ticket,
            previous_scan,
            warnings,
            desk_name,
        } = self;
        out.push_str("{\"g\":");
        gate_name.write(out);
        if let Some(ticket) = ticket {
            out.push_str(",\"t\":");
            ticket.write(out);
        }
        if let Some(previous_scan) = previous_scan {
            out.push_str(",\"p\":");
            previous_scan.write(out);
        }
        if !warnings.is_empty() {
            out.push_str(",\"w\":");
            warnings.write(out);
        }
        if let Some(desk_name) = desk_name {
            out.push_str(",\"d\":");
            desk_name.write(out);
        }
        out.push('}');
    }
}

impl Json for Ledger {
    fn write(&self, out: &mut String) {
        let (admissions, recent, earlier) = self.parts();
        out.push_str("{\"n\":");
        admissions.write(out);
        out.push_str(",\"a\":");
        recent.write(out);
        if !earlier.is_empty() {
            out.push_str(",\"t\":[");
            for (index, time) in earlier.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                time.as_millis().write(out);
            }
            out.push(']');
        }
        out.push('}');
    }
}

impl Json for Admission {
    fn write(&self, out: &mut String) {
        let Self {
            entry,
            ended,
            without_right,
        } = self;
        out.push_str("{\"e\":");
        entry.write(out);
        if let Some(ended) = ended {
            out.push_str(",\"x\":");
            ended.write(out);
        }
        if *without_right {
            out.push_str(",\"w\":true");
        }
        out.push('}');
    }
}

impl Json for Passage {
    fn write(&self, out: &mut String) {
        let Self {
            scan_id,
            at,
            gate_id,
            gate_name,
            device_id,
            device_name,
        } = self;
        out.push_str("{\"s\":");
        scan_id.write(out);
        out.push_str(",\"t\":");
        at.as_millis().write(out);
        out.push_str(",\"g\":");
        gate_id.write(out);
        out.push_str(",\"n\":");
        gate_name.write(out);
        out.push_str(",\"d\":");
        device_id.write(out);
        out.push_str(",\"m\":");
        device_name.write(out);
        out.push('}');
    }
}
