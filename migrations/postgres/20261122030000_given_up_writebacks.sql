-- A writeback that was given up is a job for who looks after them: from then on it has the id of one, and says whose it is.
-- given_up_at is when it last was. put_away_at is when somebody cancelled it, if nothing has begun anew since.

ALTER TABLE writebacks ADD COLUMN job_id uuid;
ALTER TABLE writebacks ADD COLUMN organization_id uuid;
ALTER TABLE writebacks ADD COLUMN mode text;
ALTER TABLE writebacks ADD COLUMN given_up_at bigint;
ALTER TABLE writebacks ADD COLUMN put_away_at bigint;
UPDATE writebacks AS w SET job_id = gen_random_uuid(), organization_id = a.organization_id, mode = a.mode,
    given_up_at = w.due_at FROM accounts AS a WHERE a.account_id = w.account_id AND w.state = 'failed' AND w.attempts > 0;
CREATE UNIQUE INDEX writebacks_by_job ON writebacks (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX writebacks_given_up ON writebacks (organization_id, mode, given_up_at, job_id) WHERE job_id IS NOT NULL;
