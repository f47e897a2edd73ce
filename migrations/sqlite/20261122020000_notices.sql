-- What organizations are told of their own affairs, by mail: where it reaches them, and jobs that are about no booking.

ALTER TABLE organizations ADD COLUMN notice_email TEXT;

-- What a column and a check allow is changed by making the table anew. Nothing refers to it.
CREATE TABLE jobs_anew (
    account_id      BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    job_id          BLOB    NOT NULL UNIQUE CHECK (length(job_id) = 16),
    organization_id BLOB    NOT NULL,
    mode            TEXT    NOT NULL CHECK (mode IN ('live', 'test')),
    shard           INTEGER NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    kind            TEXT    NOT NULL CHECK (kind IN ('mail', 'notice', 'reminder', 'completed')),
    name            TEXT    NOT NULL,
    booking_id      BLOB,
    state           TEXT    NOT NULL CHECK (state IN ('pending', 'done', 'dead')),
    due_at          INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    last_outcome    TEXT,
    payload         TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (account_id, job_id),
    UNIQUE (account_id, name)
) STRICT;
INSERT INTO jobs_anew (account_id, job_id, organization_id, mode, shard, kind, name, booking_id, state, due_at, attempts,
    last_outcome, payload, created_at)
    SELECT account_id, job_id, organization_id, mode, shard, kind, name, booking_id, state, due_at, attempts, last_outcome,
    payload, created_at FROM jobs;
DROP TABLE jobs;
ALTER TABLE jobs_anew RENAME TO jobs;
CREATE INDEX jobs_pending ON jobs (kind, due_at) WHERE state = 'pending';
CREATE INDEX jobs_ended ON jobs (due_at) WHERE state <> 'pending';
CREATE INDEX jobs_by_age ON jobs (organization_id, mode, created_at, job_id);
CREATE INDEX jobs_by_state ON jobs (organization_id, mode, state, created_at, job_id);
