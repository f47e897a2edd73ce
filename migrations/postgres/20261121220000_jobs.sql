-- What follows from a booking and is due at a time. See docs/adr/0018.

-- One row for each mail, reminder and end of a booking, written by the transaction that spreads the event it follows from.
-- name is what a job is known by in its account: made twice, it is there once. While a try is under way, due_at is when it
-- counts as lost. payload is JSON, and empty when the job was done.
CREATE TABLE jobs (
    account_id      uuid    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    job_id          uuid    NOT NULL UNIQUE,
    organization_id uuid    NOT NULL,
    mode            text    NOT NULL CHECK (mode IN ('live', 'test')),
    shard           integer NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    kind            text    NOT NULL CHECK (kind IN ('mail', 'reminder', 'completed')),
    name            text    NOT NULL,
    booking_id      uuid    NOT NULL,
    state           text    NOT NULL CHECK (state IN ('pending', 'done', 'dead')),
    due_at          bigint  NOT NULL,
    attempts        bigint  NOT NULL,
    last_outcome    text,
    payload         text    NOT NULL,
    created_at      bigint  NOT NULL,
    PRIMARY KEY (account_id, job_id),
    UNIQUE (account_id, name)
);
CREATE INDEX jobs_pending ON jobs (kind, due_at) WHERE state = 'pending';
CREATE INDEX jobs_ended ON jobs (due_at) WHERE state <> 'pending';
CREATE INDEX jobs_by_age ON jobs (organization_id, mode, created_at, job_id);
CREATE INDEX jobs_by_state ON jobs (organization_id, mode, state, created_at, job_id);

ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON jobs USING (account_id = agentcal_account() OR agentcal_all_accounts());

-- What follows from bookings of an event type. reminders is a JSON list of minutes before the start.
ALTER TABLE event_types ADD COLUMN reminders text NOT NULL DEFAULT '[]';
ALTER TABLE event_types ADD COLUMN mail_attendee boolean NOT NULL DEFAULT true;
ALTER TABLE event_types ADD COLUMN mail_hosts boolean NOT NULL DEFAULT false;
