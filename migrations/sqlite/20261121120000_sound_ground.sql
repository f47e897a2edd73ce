-- Holds, decision records, and what attendees may do by themselves.

-- A hold outlives its claims, its event type and its hosts, so those are named without a foreign key; user_ids is a JSON
-- list. organization_id and mode repeat the account's, so that a limit over all accounts is one count.
CREATE TABLE holds (
    account_id      BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    hold_id         BLOB    NOT NULL CHECK (length(hold_id) = 16),
    organization_id BLOB    NOT NULL,
    mode            TEXT    NOT NULL CHECK (mode IN ('live', 'test')),
    event_type_id   BLOB,
    start_at        INTEGER NOT NULL,
    end_at          INTEGER NOT NULL,
    user_ids        TEXT    NOT NULL,
    session_id      TEXT,
    state           TEXT    NOT NULL CHECK (state IN ('active', 'released', 'confirmed')),
    booking_id      BLOB,
    expires_at      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (account_id, hold_id),
    CHECK (end_at - start_at BETWEEN 1 AND 86400000000),
    CHECK ((state = 'confirmed') = (booking_id IS NOT NULL))
) STRICT;
CREATE INDEX holds_of_session ON holds (account_id, session_id, expires_at) WHERE state = 'active';
CREATE INDEX holds_of_organization ON holds (organization_id, mode, expires_at) WHERE state = 'active';
CREATE INDEX holds_by_end ON holds (expires_at);

-- Live holds of one person are counted, and those that expired are swept, over all accounts.
CREATE INDEX claims_held ON claims (account_id, user_id, expires_at) WHERE kind = 'hold';
CREATE INDEX claims_expiring ON claims (expires_at) WHERE kind = 'hold';

-- What was decided, and on what; record is JSON without titles, names or addresses.
CREATE TABLE decisions (
    account_id  BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    decision_id BLOB    NOT NULL CHECK (length(decision_id) = 16),
    booking_id  BLOB,
    hold_id     BLOB,
    decided_at  INTEGER NOT NULL,
    record      TEXT    NOT NULL,
    PRIMARY KEY (account_id, decision_id)
) STRICT;
CREATE INDEX decisions_by_time ON decisions (account_id, decided_at, decision_id);
CREATE INDEX decisions_of_booking ON decisions (account_id, booking_id, decided_at, decision_id)
    WHERE booking_id IS NOT NULL;
CREATE INDEX decisions_of_hold ON decisions (account_id, hold_id, decided_at, decision_id) WHERE hold_id IS NOT NULL;
CREATE INDEX decisions_by_age ON decisions (decided_at);

-- Null: the attendee may not.
ALTER TABLE event_types ADD COLUMN cancel_notice_hours INTEGER DEFAULT 0;
ALTER TABLE event_types ADD COLUMN reschedule_notice_hours INTEGER DEFAULT 0;
ALTER TABLE event_types ADD COLUMN reschedules_max INTEGER;

ALTER TABLE bookings ADD COLUMN attendee_reschedules INTEGER NOT NULL DEFAULT 0;
