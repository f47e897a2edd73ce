-- What follows from a booking and is due at a time. See docs/adr/0018.

-- One row for each mail, reminder and end of a booking, written by the transaction that spreads the event it follows from.
-- name is what a job is known by in its account: made twice, it is there once. While a try is under way, due_at is when it
-- counts as lost. payload is JSON, and empty when the job was done.
CREATE TABLE jobs (
    account_id      BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    job_id          BLOB    NOT NULL UNIQUE CHECK (length(job_id) = 16),
    organization_id BLOB    NOT NULL,
    mode            TEXT    NOT NULL CHECK (mode IN ('live', 'test')),
    shard           INTEGER NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    kind            TEXT    NOT NULL CHECK (kind IN ('mail', 'reminder', 'completed')),
    name            TEXT    NOT NULL,
    booking_id      BLOB    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('pending', 'done', 'dead')),
    due_at          INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    last_outcome    TEXT,
    payload         TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (account_id, job_id),
    UNIQUE (account_id, name)
) STRICT;
CREATE INDEX jobs_pending ON jobs (kind, due_at) WHERE state = 'pending';
CREATE INDEX jobs_ended ON jobs (due_at) WHERE state <> 'pending';
CREATE INDEX jobs_by_age ON jobs (organization_id, mode, created_at, job_id);
CREATE INDEX jobs_by_state ON jobs (organization_id, mode, state, created_at, job_id);

-- What follows from bookings of an event type. reminders is a JSON list of minutes before the start.
ALTER TABLE event_types ADD COLUMN reminders TEXT NOT NULL DEFAULT '[]';
ALTER TABLE event_types ADD COLUMN mail_attendee INTEGER NOT NULL DEFAULT 1 CHECK (mail_attendee IN (0, 1));
ALTER TABLE event_types ADD COLUMN mail_hosts INTEGER NOT NULL DEFAULT 0 CHECK (mail_hosts IN (0, 1));
