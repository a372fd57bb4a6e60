//! Sample values for examples, by the name of a field.

use serde_json::{Value, json};

pub(super) const ID: &str = "0192f0c1-6f3a-7c21-9d4e-5b1f0a7c3e88";
pub(super) const TIME: &str = "2026-11-22T18:04:05.120Z";
pub(super) const TEXT: &str = "text";

const CODE: &str = "3KQR7F924M1XaB0z";
const PUBLIC_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// Sample texts of a field. A field of several types has several.
pub(super) fn texts(field: &str) -> &'static [&'static str] {
    match field {
        "Accept-Language" => &["af-ZA, af;q=0.9, en;q=0.5"],
        "action" => &["event.update"],
        "actor" | "kind" => &["api_key"],
        "address" => &["192.0.2.7"],
        "app" | "name" | "device_name" | "gate_name" | "event_name" => &["Main"],
        "block" => &["A"],
        "code" => &["A", CODE, "4Ts8Kq2Z.7dHcX1pQm0VbN5tRwYz9Ke"],
        "Range" => &["bytes=65536-"],
        "If-None-Match" | "If-Range" => &["\"4711-9f86d081884c7d659a2feaa0c55ad015\""],
        "cursor" => &["AAABk1MZ4SABkvDBbzp8IZ1OWx8KfD6I"],
        "decided_by" => &["database"],
        "device_id" => &["gate-1"],
        "device_key" | "manifest_key" | "prev_hash" => &[PUBLIC_KEY],
        "day_starts_at" => &["06:00"],
        "database" | "redis" | "bus" => &["ok"],
        "doors_open_at" => &["2026-11-22T17:00:00.000Z"],
        "starts_at" | "valid_from" | "from" => &["2026-11-22T18:00:00.000Z"],
        "doors_close_at" => &["2026-11-22T22:00:00.000Z"],
        "ends_at" | "valid_until" | "to" | "expires_at" => &["2026-11-22T23:00:00.000Z"],
        "rescheduled_at" => &["2026-11-29T18:00:00.000Z"],
        "holder_name" | "q" => &["Thandi Nkosi"],
        "key" => &["vgk_8mWq2hX5nBvR7tYk3LpZ0cJd9sFg4aHe1uQoTiMxPyE"],
        "kid" | "number" => &["1"],
        "media" | "medium" => &["nfc:04A1B2C3D4E580"],
        "message" => &["is required"],
        "note" => &["Wheelchair"],
        "order_ref" => &["ORD-1042"],
        "file" => &["app.js"],
        "platform" => &["android"],
        "pointer" => &["/name"],
        "hash" | "previous_hash" => &["1f3ba2d7c0a4de0f6b2a4a8fca1a5a3bf2bd7f3cb3bd0f3f3d2d6a1d4c1f9a70"],
        "public_key" => &["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"],
        "qr" => &["VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ"],
        "reason" => &["Ticket checked by hand"],
        "qr_svg" => &["<svg xmlns=\"http://www.w3.org/2000/svg\"/>"],
        "row" => &["10"],
        "signature" => {
            &["5aQ1mYpYk0eTnM8aI2l6d1F1b1Y4q0v3m3y0v5s8n2cV1rKfW4sB7eXzT9uJqLhG2oDiCwAyNxPkMtRvEjSgBA"]
        }
        "subject" => &["event"],
        "status" => &["live", "open", "active", "ok"],
        "ticket_code" => &[CODE],
        "ticket_class" | "ticket_classes" | "class" => &["VIP"],
        "time_zone" => &["Africa/Johannesburg"],
        "token" => &["vgd_8mWq2hX5nBvR7tYk3LpZ0cJd9sFg4aHe1uQoTiMxPyE"],
        "uri" => &[
            "voelgoed-scan://enroll?server=https%3A%2F%2Fgate.example.org&code=4Ts8Kq2Z.7dHcX1pQm0VbN5tRwYz9Ke",
        ],
        "description" => &["Ticket shop"],
        "secret" => &["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
        "types" => &["scan.*"],
        "type" => &["scan.admitted"],
        "url" => &["https://shop.example.org/hooks/gate"],
        "version" => &["1.4.0"],
        _ => &[],
    }
}

/// The sample number of a field.
pub(super) fn number(field: &str) -> Option<Value> {
    Some(match field {
        "battery" => json!(0.8),
        "capacity" => json!(500),
        "entries" => json!(350),
        "exits" => json!(8),
        "inside" => json!(342),
        "line" | "entry_limit" | "scan_count" | "inserted" => json!(1),
        "limit" => json!(50),
        "manifest_max_age_s" => json!(43_200),
        "scans_per_minute" => json!(24),
        "sequence" => json!(17),
        "waiting" => json!(12),
        _ => return None,
    })
}

/// Whether the field is null in an example, if it may be null.
pub(super) fn is_null(field: &str) -> bool {
    matches!(
        field,
        "api_key_id"
            | "bus"
            | "conflict"
            | "device_scanned_at"
            | "disabled_reason"
            | "durability"
            | "ended_at"
            | "event_ids"
            | "gate_ids"
            | "last_error"
            | "local_reason"
            | "local_result"
            | "next_cursor"
            | "override"
            | "redis"
            | "undone"
            | "winner_scan_id"
            | "would_have_been"
    )
}

/// The example of a text document by its media type.
pub(super) fn document(media_type: &str) -> Option<&'static str> {
    let essence = media_type.split(';').next().unwrap_or_default();
    Some(match essence {
        "text/html" => "<!doctype html>",
        "text/event-stream" => "event: occupancy\ndata: {}\n\n",
        "text/plain" if media_type.contains("version=") => "voelgoed_scan_up 1\n",
        "text/plain" => "VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ",
        "image/svg+xml" => "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        _ => return None,
    })
}
