-- A writeback that was given up is a job for who looks after them: from then on it has the id of one, and says whose it is.
-- given_up_at is when it last was. put_away_at is when somebody cancelled it, if nothing has begun anew since.

ALTER TABLE writebacks ADD COLUMN job_id BLOB;
ALTER TABLE writebacks ADD COLUMN organization_id BLOB;
ALTER TABLE writebacks ADD COLUMN mode TEXT;
ALTER TABLE writebacks ADD COLUMN given_up_at INTEGER;
ALTER TABLE writebacks ADD COLUMN put_away_at INTEGER;
UPDATE writebacks SET job_id = randomblob(16), given_up_at = due_at,
    organization_id = (SELECT organization_id FROM accounts WHERE accounts.account_id = writebacks.account_id),
    mode = (SELECT mode FROM accounts WHERE accounts.account_id = writebacks.account_id)
    WHERE state = 'failed' AND attempts > 0;
CREATE UNIQUE INDEX writebacks_by_job ON writebacks (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX writebacks_given_up ON writebacks (organization_id, mode, given_up_at, job_id) WHERE job_id IS NOT NULL;
