-- Reads a page of the conflicts of organization $1, newest first by the time of the scan that
-- lost.
-- A conflict is a scan that lost against an admission, or a scan in quarantine.
-- $2, $3: time and id of the last conflict of the page before. $4: event, or null for any.
-- $5: kind, or null for any. $6, $7: time and id of the last conflict that may be read. $8: the
-- limit. One row more than the page is read, which shows whether there is a next page.
select
    c.kind, c.scan_id, c.ticket_code, c.scanned_at, c.gate_id, g.name as gate_name, c.device_id,
    d.name as device_name, w.scan_id as winner_scan_id, w.scanned_at as winner_at,
    w.gate_id as winner_gate_id, wg.name as winner_gate_name, w.device_id as winner_device_id,
    coalesce(wd.name, wk.name) as winner_device_name
from (
    select *
    from (
        select
            x.conflict as kind, x.scan_id, x.winner_scan_id, x.ticket_code, x.event_id, x.gate_id,
            x.device_id, x.scanned_at
        from scans x
        where x.organization_id = $1
            and x.conflict is not null
            and x.scanned_at between $6 and $2
            and (x.scanned_at, x.scan_id) < ($2, $3)
            and (x.scanned_at, x.scan_id) >= ($6, $7)
            and ($4 is null or x.event_id = $4)
            and ($5 is null or x.conflict = $5)
        order by x.scanned_at desc, x.scan_id desc
        limit $8
    ) lost
    union all
    select *
    from (
        select
            'unverified', q.scan_id, cast(null as uuid), q.ticket_code, q.event_id, q.gate_id,
            q.device_id, q.scanned_at
        from quarantine q
        where q.organization_id = $1
            and q.scanned_at between $6 and $2
            and (q.scanned_at, q.scan_id) < ($2, $3)
            and (q.scanned_at, q.scan_id) >= ($6, $7)
            and ($4 is null or q.event_id = $4)
            and ($5 is null or $5 = 'unverified')
        order by q.scanned_at desc, q.scan_id desc
        limit $8
    ) quarantined
) c
left join scans w on w.organization_id = $1 and w.scan_id = c.winner_scan_id
left join gates g on g.organization_id = $1 and g.event_id = c.event_id and g.id = c.gate_id
left join gates wg on wg.organization_id = $1 and wg.event_id = w.event_id and wg.id = w.gate_id
left join devices d on d.organization_id = $1 and d.id = c.device_id
left join devices wd on wd.organization_id = $1 and wd.id = w.device_id
left join api_keys wk on wk.organization_id = $1 and wk.id = w.device_id
order by c.scanned_at desc, c.scan_id desc
limit $8
