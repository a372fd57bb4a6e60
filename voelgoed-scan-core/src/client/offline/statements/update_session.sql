-- Sets or clears the session.
-- $1 event, $2 gate, $3 session id; the id is null until the server has started the session
update device
set session_event_id = $1,
    session_gate_id = $2,
    session_id = $3
