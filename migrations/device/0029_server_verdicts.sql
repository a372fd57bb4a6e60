-- The verdicts of the server, as shown. A call with the `scan_id` of one gets it again, also without a network. They are kept for
-- a day.
create table server_verdicts (
    scan_id blob not null primary key,
    payload_sha256 blob not null,
    verdict text not null,
    -- The server's time of the scan.
    at integer not null
) strict;

create index server_verdicts_time on server_verdicts (at);
