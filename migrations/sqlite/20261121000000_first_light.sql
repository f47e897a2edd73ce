-- Ids are UUIDs in 16 bytes, instants and lengths are microseconds since 1970 in UTC, enumerations are their
-- snake_case names, lists and maps that nothing queries are JSON texts. See docs/adr/0003 and 0005.
--
-- Every table of an account has account_id first in its primary key, and every foreign key between two such tables
-- carries it on both sides, so that no row can point into another tenant (law 9).
--
-- Tables that are searched by more than their primary key keep their row ids: without statistics SQLite takes a primary
-- key that is the table itself for cheaper than an index that fits better, and would read a whole account.

-- One row: what is true of the whole store.
CREATE TABLE store_state (
    id              INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch           INTEGER NOT NULL,
    keys_changes    INTEGER NOT NULL,
    config_changes  INTEGER NOT NULL
) STRICT;
INSERT INTO store_state (id, epoch, keys_changes, config_changes) VALUES (1, 0, 0, 0);

CREATE TABLE organizations (
    organization_id BLOB    NOT NULL PRIMARY KEY CHECK (length(organization_id) = 16),
    name            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX organizations_by_age ON organizations (created_at, organization_id);

-- Data key of an organization: seals answers of routes above accounts.
CREATE TABLE organization_keys (
    organization_id BLOB NOT NULL PRIMARY KEY REFERENCES organizations (organization_id) ON DELETE CASCADE,
    wrapped_by      TEXT NOT NULL,
    wrapped         BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX organization_keys_by_wrapper ON organization_keys (wrapped_by);

CREATE TABLE api_keys (
    key_id          BLOB    NOT NULL PRIMARY KEY CHECK (length(key_id) = 16),
    organization_id BLOB    NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    kind            TEXT    NOT NULL CHECK (kind IN ('secret', 'publishable')),
    mode            TEXT    NOT NULL CHECK (mode IN ('live', 'test')),
    hash            BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    hint            TEXT    NOT NULL,
    allowed_origins TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    revoked_at      INTEGER
) STRICT;
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, created_at, key_id);

CREATE TABLE accounts (
    account_id      BLOB    NOT NULL PRIMARY KEY CHECK (length(account_id) = 16),
    organization_id BLOB    NOT NULL REFERENCES organizations (organization_id),
    mode            TEXT    NOT NULL CHECK (mode IN ('live', 'test')),
    name            TEXT    NOT NULL,
    timezone        TEXT,
    metadata        TEXT    NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX accounts_by_age ON accounts (organization_id, mode, created_at, account_id);

-- Data key of an account. Deleting the row makes all that is sealed with it unreadable.
CREATE TABLE account_keys (
    account_id BLOB NOT NULL PRIMARY KEY REFERENCES accounts (account_id) ON DELETE CASCADE,
    wrapped_by TEXT NOT NULL,
    wrapped    BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX account_keys_by_wrapper ON account_keys (wrapped_by);

-- What a decision rests on. kind: 0 the account's configuration (id is the account's), 1 a calendar, 2 a user.
CREATE TABLE revisions (
    account_id BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    kind       INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    id         BLOB    NOT NULL,
    revision   INTEGER NOT NULL CHECK (revision > 0),
    PRIMARY KEY (account_id, kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE connections (
    account_id      BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    connection_id   BLOB    NOT NULL CHECK (length(connection_id) = 16),
    provider        TEXT    NOT NULL CHECK (provider IN ('sandbox', 'caldav', 'google', 'microsoft')),
    display_name    TEXT    NOT NULL,
    owner_addresses TEXT    NOT NULL,
    status          TEXT    NOT NULL CHECK (status IN ('syncing', 'active', 'reauthorization_required', 'error')),
    status_reason   TEXT,
    credentials     BLOB    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (account_id, connection_id)
) STRICT;
CREATE INDEX connections_by_age ON connections (account_id, created_at, connection_id);

CREATE TABLE calendars (
    account_id           BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    calendar_id          BLOB    NOT NULL UNIQUE CHECK (length(calendar_id) = 16),
    connection_id        BLOB,
    provider             TEXT    NOT NULL CHECK (provider IN ('sandbox', 'caldav', 'google', 'microsoft', 'internal')),
    provider_calendar_id TEXT    NOT NULL,
    name                 TEXT    NOT NULL,
    timezone             TEXT    NOT NULL,
    writable             INTEGER NOT NULL CHECK (writable IN (0, 1)),
    watch_state          TEXT    NOT NULL CHECK (watch_state IN ('polling', 'push', 'none')),
    watch_expires_at     INTEGER,
    created_at           INTEGER NOT NULL,
    PRIMARY KEY (account_id, calendar_id),
    UNIQUE (account_id, connection_id, provider_calendar_id),
    FOREIGN KEY (account_id, connection_id) REFERENCES connections (account_id, connection_id),
    CHECK ((provider = 'internal') = (connection_id IS NULL))
) STRICT;

-- Where a calendar's sync stands; internal calendars have none. rows_changed remembers, over the pages of one sync and
-- over a crash between them, that rows of the generation that counts are not those of the calendar's revision any more.
CREATE TABLE sync_states (
    account_id   BLOB    NOT NULL,
    calendar_id  BLOB    NOT NULL,
    sync_cursor  TEXT,
    window_start INTEGER,
    window_end   INTEGER,
    synced_at    INTEGER,
    generation   INTEGER NOT NULL,
    failures     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    quiet_syncs  INTEGER NOT NULL,
    last_error   TEXT,
    rows_changed INTEGER NOT NULL CHECK (rows_changed IN (0, 1)),
    PRIMARY KEY (account_id, calendar_id),
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX sync_states_by_due ON sync_states (due_at);

-- Busy time at the provider, and where events of ours stand there: instance n of one resource.
CREATE TABLE external_instances (
    account_id        BLOB    NOT NULL,
    calendar_id       BLOB    NOT NULL,
    generation        INTEGER NOT NULL,
    provider_event_id TEXT    NOT NULL,
    n                 INTEGER NOT NULL,
    start_at          INTEGER NOT NULL,
    end_at            INTEGER NOT NULL,
    booking_id        BLOB,
    blocks            INTEGER NOT NULL CHECK (blocks IN (0, 1)),
    PRIMARY KEY (account_id, calendar_id, generation, provider_event_id, n),
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id) ON DELETE CASCADE,
    CHECK (start_at < end_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX external_instances_by_end ON external_instances (account_id, calendar_id, generation, end_at);
CREATE INDEX external_instances_ours ON external_instances (account_id, calendar_id, generation, booking_id)
    WHERE booking_id IS NOT NULL;

CREATE TABLE users (
    account_id       BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    user_id          BLOB    NOT NULL CHECK (length(user_id) = 16),
    name             TEXT    NOT NULL,
    email            TEXT    NOT NULL,
    timezone         TEXT    NOT NULL,
    calendar_id      BLOB,
    home_calendar_id BLOB    NOT NULL,
    rules            TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    PRIMARY KEY (account_id, user_id),
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id),
    FOREIGN KEY (account_id, home_calendar_id) REFERENCES calendars (account_id, calendar_id),
    CHECK (calendar_id IS NULL OR calendar_id = home_calendar_id)
) STRICT;
CREATE INDEX users_by_age ON users (account_id, created_at, user_id);
CREATE INDEX users_by_calendar ON users (account_id, calendar_id);
CREATE INDEX users_by_home ON users (account_id, home_calendar_id);

CREATE TABLE user_busy_calendars (
    account_id  BLOB    NOT NULL,
    user_id     BLOB    NOT NULL,
    position    INTEGER NOT NULL,
    calendar_id BLOB    NOT NULL,
    PRIMARY KEY (account_id, user_id, position),
    FOREIGN KEY (account_id, user_id) REFERENCES users (account_id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_busy_calendars_by_calendar ON user_busy_calendars (account_id, calendar_id);

CREATE TABLE event_types (
    account_id            BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    event_type_id         BLOB    NOT NULL CHECK (length(event_type_id) = 16),
    name                  TEXT    NOT NULL,
    slug                  TEXT    NOT NULL,
    duration_minutes      INTEGER NOT NULL,
    slot_interval_minutes INTEGER NOT NULL,
    buffer_before_minutes INTEGER NOT NULL,
    buffer_after_minutes  INTEGER NOT NULL,
    buffer_mode           TEXT    NOT NULL CHECK (buffer_mode IN ('larger', 'sum')),
    min_notice_hours      INTEGER NOT NULL,
    booking_window_days   INTEGER NOT NULL,
    max_bookings_per_day  INTEGER,
    scheduling_mode       TEXT    NOT NULL CHECK (scheduling_mode IN ('individual', 'round_robin', 'collective')),
    public                INTEGER NOT NULL CHECK (public IN (0, 1)),
    location              TEXT,
    require_slot_id       INTEGER NOT NULL CHECK (require_slot_id IN (0, 1)),
    on_stale              TEXT    NOT NULL CHECK (on_stale IN ('verify', 'accept', 'refuse')),
    rules                 TEXT,
    created_at            INTEGER NOT NULL,
    PRIMARY KEY (account_id, event_type_id),
    CONSTRAINT event_types_slug UNIQUE (account_id, slug)
) STRICT;
CREATE INDEX event_types_by_age ON event_types (account_id, created_at, event_type_id);

CREATE TABLE event_type_hosts (
    account_id    BLOB    NOT NULL,
    event_type_id BLOB    NOT NULL,
    position      INTEGER NOT NULL,
    user_id       BLOB    NOT NULL,
    PRIMARY KEY (account_id, event_type_id, position),
    UNIQUE (account_id, event_type_id, user_id),
    FOREIGN KEY (account_id, event_type_id) REFERENCES event_types (account_id, event_type_id) ON DELETE CASCADE,
    FOREIGN KEY (account_id, user_id) REFERENCES users (account_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_type_hosts_by_user ON event_type_hosts (account_id, user_id);

-- A booking outlives its event type, its hosts and their calendars, so those are named without a foreign key.
-- The attendee is the customer's own data: in plain columns, since it is searched. The two *_key columns hold the
-- normalised forms a search compares.
CREATE TABLE bookings (
    account_id         BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    booking_id         BLOB    NOT NULL CHECK (length(booking_id) = 16),
    event_type_id      BLOB,
    title              TEXT    NOT NULL,
    location           TEXT,
    start_at           INTEGER NOT NULL,
    end_at             INTEGER NOT NULL,
    status             TEXT    NOT NULL CHECK (status IN ('confirmed', 'cancelled')),
    timezone           TEXT    NOT NULL,
    attendee_name      TEXT    NOT NULL,
    attendee_email     TEXT,
    attendee_email_key TEXT,
    attendee_phone     TEXT,
    attendee_phone_key TEXT,
    attendee_timezone  TEXT,
    metadata           TEXT    NOT NULL,
    sequence           INTEGER NOT NULL,
    cancel_reason      TEXT,
    created_at         INTEGER NOT NULL,
    PRIMARY KEY (account_id, booking_id),
    CHECK (end_at - start_at BETWEEN 1 AND 86400000000)
) STRICT;
CREATE INDEX bookings_by_start ON bookings (account_id, start_at, booking_id);
CREATE INDEX bookings_by_status ON bookings (account_id, status, start_at, booking_id);
CREATE INDEX bookings_by_email ON bookings (account_id, attendee_email_key, start_at, booking_id);
CREATE INDEX bookings_by_phone ON bookings (account_id, attendee_phone_key, start_at, booking_id);

-- start_at repeats the booking's, so that one host's bookings are found in order.
CREATE TABLE booking_hosts (
    account_id  BLOB    NOT NULL,
    booking_id  BLOB    NOT NULL,
    position    INTEGER NOT NULL,
    user_id     BLOB    NOT NULL,
    calendar_id BLOB,
    start_at    INTEGER NOT NULL,
    PRIMARY KEY (account_id, booking_id, position),
    UNIQUE (account_id, booking_id, user_id),
    FOREIGN KEY (account_id, booking_id) REFERENCES bookings (account_id, booking_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX booking_hosts_by_user ON booking_hosts (account_id, user_id, start_at, booking_id);

-- A person's time, taken (law 1). shard is kept with the claim so that the table can be partitioned by it.
CREATE TABLE claims (
    account_id            BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    claim_id              BLOB    NOT NULL CHECK (length(claim_id) = 16),
    shard                 INTEGER NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    user_id               BLOB    NOT NULL,
    home_calendar_id      BLOB    NOT NULL,
    start_at              INTEGER NOT NULL,
    end_at                INTEGER NOT NULL,
    kind                  TEXT    NOT NULL CHECK (kind IN ('hold', 'booking')),
    hold_id               BLOB,
    booking_id            BLOB,
    event_type_id         BLOB,
    buffer_before_minutes INTEGER NOT NULL CHECK (buffer_before_minutes >= 0),
    buffer_after_minutes  INTEGER NOT NULL CHECK (buffer_after_minutes >= 0),
    expires_at            INTEGER,
    session_id            TEXT,
    PRIMARY KEY (account_id, claim_id),
    FOREIGN KEY (account_id, user_id) REFERENCES users (account_id, user_id),
    FOREIGN KEY (account_id, home_calendar_id) REFERENCES calendars (account_id, calendar_id),
    FOREIGN KEY (account_id, booking_id) REFERENCES bookings (account_id, booking_id),
    -- The triggers below rely on this bound.
    CONSTRAINT claims_bounded CHECK (end_at - start_at BETWEEN 1 AND 86400000000),
    CONSTRAINT claims_owner CHECK (
        (kind = 'hold' AND hold_id IS NOT NULL AND booking_id IS NULL AND expires_at IS NOT NULL)
        OR (kind = 'booking' AND hold_id IS NULL AND booking_id IS NOT NULL AND expires_at IS NULL)
    )
) STRICT;
CREATE INDEX claims_by_user ON claims (account_id, user_id, start_at);
CREATE INDEX claims_by_home ON claims (account_id, home_calendar_id, end_at);
CREATE INDEX claims_by_booking ON claims (account_id, booking_id) WHERE booking_id IS NOT NULL;
CREATE INDEX claims_by_hold ON claims (account_id, hold_id) WHERE hold_id IS NOT NULL;

-- No two claims of one person overlap. A claim that overlaps starts less than the longest duration before the new one,
-- so history costs nothing. The account alone decides, whatever shard a row names: stricter than a partition could be.
CREATE TRIGGER claims_no_overlap_insert BEFORE INSERT ON claims
WHEN EXISTS (
    SELECT 1 FROM claims
    WHERE account_id = NEW.account_id AND user_id = NEW.user_id
      AND start_at > NEW.start_at - 86400000000 AND start_at < NEW.end_at AND end_at > NEW.start_at
)
BEGIN
    SELECT RAISE(ABORT, 'claims_no_overlap');
END;

CREATE TRIGGER claims_no_overlap_update BEFORE UPDATE OF account_id, claim_id, user_id, start_at, end_at ON claims
WHEN EXISTS (
    SELECT 1 FROM claims
    WHERE account_id = NEW.account_id AND user_id = NEW.user_id
      AND start_at > NEW.start_at - 86400000000 AND start_at < NEW.end_at AND end_at > NEW.start_at
      AND NOT (account_id = OLD.account_id AND claim_id = OLD.claim_id)
)
BEGIN
    SELECT RAISE(ABORT, 'claims_no_overlap');
END;

-- The outbox of writebacks: one row per booking and calendar, made pending again by every change of the booking.
-- The calendar may go before the row does, so it is named without a foreign key. booking_end_at repeats the booking's.
CREATE TABLE writebacks (
    account_id       BLOB    NOT NULL,
    booking_id       BLOB    NOT NULL,
    calendar_id      BLOB    NOT NULL,
    version          INTEGER NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('pending', 'written', 'failed')),
    attempts         INTEGER NOT NULL,
    due_at           INTEGER NOT NULL,
    last_error       TEXT,
    written_event_id TEXT,
    written_etag     TEXT,
    written_start_at INTEGER,
    written_end_at   INTEGER,
    external_state   TEXT    NOT NULL CHECK (external_state IN ('in_sync', 'moved', 'deleted', 'conflict')),
    booking_end_at   INTEGER NOT NULL,
    PRIMARY KEY (account_id, booking_id, calendar_id),
    FOREIGN KEY (account_id, booking_id) REFERENCES bookings (account_id, booking_id) ON DELETE CASCADE,
    CHECK ((written_event_id IS NULL) = (written_start_at IS NULL)),
    CHECK ((written_event_id IS NULL) = (written_end_at IS NULL))
) STRICT;
CREATE INDEX writebacks_due ON writebacks (due_at) WHERE state = 'pending';
CREATE INDEX writebacks_pending ON writebacks (account_id, calendar_id, due_at) WHERE state = 'pending';
CREATE INDEX writebacks_by_end ON writebacks (account_id, calendar_id, state, booking_end_at);

-- Answers kept under idempotency keys, sealed; of routes inside an account and of routes above accounts.
CREATE TABLE account_answers (
    account_id  BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    scope       BLOB    NOT NULL CHECK (length(scope) = 32),
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    answer      BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_answers_by_age ON account_answers (created_at);

CREATE TABLE organization_answers (
    organization_id BLOB    NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    scope           BLOB    NOT NULL CHECK (length(scope) = 32),
    fingerprint     BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    answer          BLOB    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX organization_answers_by_age ON organization_answers (created_at);

-- Changes made to sandbox calendars; a deleted event keeps its row, without a time.
CREATE TABLE sandbox_events (
    account_id    BLOB    NOT NULL,
    calendar_id   BLOB    NOT NULL,
    event_id      TEXT    NOT NULL,
    start_at      INTEGER,
    end_at        INTEGER,
    blocks        INTEGER NOT NULL CHECK (blocks IN (0, 1)),
    change_number INTEGER NOT NULL,
    PRIMARY KEY (account_id, calendar_id, event_id),
    UNIQUE (account_id, calendar_id, change_number),
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id) ON DELETE CASCADE,
    CHECK ((start_at IS NULL) = (end_at IS NULL))
) STRICT, WITHOUT ROWID;
