-- The migration that made jobs of writebacks given up so far changed no row here: it did not say whose rows it was about. This one
-- says so, and takes along what older nodes gave up since. What waited as its calendar was disconnected was not given up.

SET LOCAL agentcal.all_accounts = 'on';
UPDATE writebacks AS w SET job_id = gen_random_uuid(), organization_id = a.organization_id, mode = a.mode,
    given_up_at = w.due_at FROM accounts AS a WHERE a.account_id = w.account_id AND w.state = 'failed' AND w.attempts > 0
    AND w.job_id IS NULL AND w.last_error IS DISTINCT FROM 'the calendar was disconnected';
