set local lock_timeout = '2s';

-- The settings that a device had with the scope, as JSON. Null in older rows: they were those after it. A code without a
-- signature that arrives later is judged by the settings of its own time.
alter table former_device_scopes add column settings text;
