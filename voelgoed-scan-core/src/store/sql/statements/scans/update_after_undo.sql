-- Writes what an undo changes on scan $2 of organization $1: the scan itself,
-- or one that the history decides differently without it.
-- $3: time of the undo. $4: its reason. $5: its device. $6: result. $7: reason.
-- $8: the reason that an override replaced. $9: conflict. $10: the admission that it lost against.
update scans
set
    undone_at = $3, undone_reason = $4, undone_by = $5, result = $6, reason = $7,
    would_have_been = $8, conflict = $9, winner_scan_id = $10
where organization_id = $1 and scan_id = $2
