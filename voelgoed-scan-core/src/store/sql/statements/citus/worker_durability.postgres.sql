-- Reads whether a worker commits without waiting for its disk. Settings of a session do not reach the workers.
select coalesce(bool_or(w.result = 'off'), false) as is_at_risk
from run_command_on_workers(
    $$select case 'off' when current_setting('synchronous_commit') then 'off' else current_setting('fsync') end$$
) w
