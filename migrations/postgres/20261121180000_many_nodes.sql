-- Ids are UUIDs, instants and lengths are microseconds since 1970 in UTC, enumerations are their snake_case names, lists
-- and maps that nothing queries are JSON texts. See docs/adr/0003, 0005 and 0011.
--
-- Every table of an account has account_id first in its primary key, and every foreign key between two such tables
-- carries it on both sides, so that no row can point into another tenant (law 9), and so that the tables can be spread
-- by it (docs/postgres.md). Texts in indexes are compared by bytes: an index must not depend on the system's collations.

-- uuid with = in the exclusion constraint on claims.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- One row: counters that tell nodes what others changed.
CREATE TABLE store_state (
    id             bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    keys_changes   bigint NOT NULL,
    config_changes bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO store_state (id, keys_changes, config_changes) VALUES (1, 0, 0);

-- Nodes and their leases, by the clock of this database.
CREATE TABLE nodes (
    node_id     uuid NOT NULL PRIMARY KEY,
    address     text NOT NULL,
    started_at  bigint NOT NULL,
    is_draining boolean NOT NULL,
    expires_at  bigint NOT NULL
) WITH (fillfactor = 50);

-- Who owns which shard. The owner may be dead: its lease tells. Every change of owner raises the epoch.
CREATE TABLE shards (
    shard integer NOT NULL PRIMARY KEY CHECK (shard BETWEEN 0 AND 4095),
    owner uuid,
    epoch bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO shards (shard, owner, epoch) SELECT shard, NULL, 0 FROM generate_series(0, 4095) AS shard;

-- One row: map_version is raised by every change of a shard's row.
CREATE TABLE cluster_state (
    id          bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    map_version bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO cluster_state (id, map_version) VALUES (1, 1);

CREATE TABLE organizations (
    organization_id       uuid NOT NULL PRIMARY KEY,
    name                  text NOT NULL,
    created_at            bigint NOT NULL
);
CREATE INDEX organizations_by_age ON organizations (created_at, organization_id);

-- Data key of an organization: seals answers of routes above accounts.
CREATE TABLE organization_keys (
    organization_id       uuid NOT NULL PRIMARY KEY REFERENCES organizations (organization_id) ON DELETE CASCADE,
    wrapped_by            text COLLATE "C" NOT NULL,
    wrapped               bytea NOT NULL
);
CREATE INDEX organization_keys_by_wrapper ON organization_keys (wrapped_by);

CREATE TABLE api_keys (
    key_id                uuid NOT NULL PRIMARY KEY,
    organization_id       uuid NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    kind                  text NOT NULL CHECK (kind IN ('secret', 'publishable')),
    mode                  text NOT NULL CHECK (mode IN ('live', 'test')),
    hash                  bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    hint                  text NOT NULL,
    allowed_origins       text NOT NULL,
    created_at            bigint NOT NULL,
    revoked_at            bigint
);
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, created_at, key_id);

CREATE TABLE accounts (
    account_id            uuid NOT NULL PRIMARY KEY,
    organization_id       uuid NOT NULL REFERENCES organizations (organization_id),
    mode                  text NOT NULL CHECK (mode IN ('live', 'test')),
    name                  text NOT NULL,
    timezone              text,
    metadata              text NOT NULL,
    created_at            bigint NOT NULL,
    -- Follows from the id, by a hash the database does not know.
    shard                 integer NOT NULL CHECK (shard BETWEEN 0 AND 4095)
);
CREATE INDEX accounts_by_age ON accounts (organization_id, mode, created_at, account_id);

-- Data key of an account. Deleting the row makes all that is sealed with it unreadable.
CREATE TABLE account_keys (
    account_id            uuid NOT NULL PRIMARY KEY REFERENCES accounts (account_id) ON DELETE CASCADE,
    wrapped_by            text COLLATE "C" NOT NULL,
    wrapped               bytea NOT NULL
);
CREATE INDEX account_keys_by_wrapper ON account_keys (wrapped_by);

-- What a decision rests on. kind: 0 the account's configuration (id is the account's), 1 a calendar, 2 a user.
CREATE TABLE revisions (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    kind                  bigint NOT NULL CHECK (kind IN (0, 1, 2)),
    id                    uuid NOT NULL,
    revision              bigint NOT NULL CHECK (revision > 0),
    PRIMARY KEY (account_id, kind, id)
) WITH (fillfactor = 70);

CREATE TABLE connections (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    connection_id         uuid NOT NULL,
    provider              text NOT NULL CHECK (provider IN ('sandbox', 'caldav', 'google', 'microsoft')),
    display_name          text NOT NULL,
    owner_addresses       text NOT NULL,
    status                text NOT NULL CHECK (status IN ('syncing', 'active', 'reauthorization_required', 'error')),
    status_reason         text,
    credentials           bytea NOT NULL,
    created_at            bigint NOT NULL,
    PRIMARY KEY (account_id, connection_id)
);
CREATE INDEX connections_by_age ON connections (account_id, created_at, connection_id);

CREATE TABLE calendars (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    calendar_id           uuid NOT NULL UNIQUE,
    connection_id         uuid,
    provider              text NOT NULL CHECK (provider IN ('sandbox', 'caldav', 'google', 'microsoft', 'internal')),
    provider_calendar_id  text COLLATE "C" NOT NULL,
    name                  text NOT NULL,
    timezone              text NOT NULL,
    writable              boolean NOT NULL,
    watch_state           text NOT NULL CHECK (watch_state IN ('polling', 'push', 'none')),
    watch_expires_at      bigint,
    created_at            bigint NOT NULL,
    PRIMARY KEY (account_id, calendar_id),
    UNIQUE (account_id, connection_id, provider_calendar_id),
    FOREIGN KEY (account_id, connection_id) REFERENCES connections (account_id, connection_id),
    CHECK ((provider = 'internal') = (connection_id IS NULL))
);

-- Where a calendar's sync stands; internal calendars have none. rows_changed remembers, over the pages of one sync and
-- over a crash between them, that rows of the generation that counts are not those of the calendar's revision any more.
CREATE TABLE sync_states (
    account_id            uuid NOT NULL,
    calendar_id           uuid NOT NULL,
    sync_cursor           text,
    window_start          bigint,
    window_end            bigint,
    synced_at             bigint,
    generation            bigint NOT NULL,
    failures              bigint NOT NULL,
    due_at                bigint NOT NULL,
    quiet_syncs           bigint NOT NULL,
    last_error            text,
    rows_changed          boolean NOT NULL,
    PRIMARY KEY (account_id, calendar_id),
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id) ON DELETE CASCADE
);
CREATE INDEX sync_states_by_due ON sync_states (due_at);

-- Busy time at the provider, and where events of ours stand there: instance n of one resource.
CREATE TABLE external_instances (
    account_id            uuid NOT NULL,
    calendar_id           uuid NOT NULL,
    generation            bigint NOT NULL,
    provider_event_id     text COLLATE "C" NOT NULL,
    n                     bigint NOT NULL,
    start_at              bigint NOT NULL,
    end_at                bigint NOT NULL,
    booking_id            uuid,
    blocks                boolean NOT NULL,
    PRIMARY KEY (account_id, calendar_id, generation, provider_event_id, n),
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id) ON DELETE CASCADE,
    CHECK (start_at < end_at)
);
CREATE INDEX external_instances_by_end ON external_instances (account_id, calendar_id, generation, end_at);
CREATE INDEX external_instances_ours ON external_instances (account_id, calendar_id, generation, booking_id)
    WHERE booking_id IS NOT NULL;

CREATE TABLE users (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    user_id               uuid NOT NULL,
    name                  text NOT NULL,
    email                 text NOT NULL,
    timezone              text NOT NULL,
    calendar_id           uuid,
    home_calendar_id      uuid NOT NULL,
    rules                 text NOT NULL,
    created_at            bigint NOT NULL,
    PRIMARY KEY (account_id, user_id),
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id),
    FOREIGN KEY (account_id, home_calendar_id) REFERENCES calendars (account_id, calendar_id),
    CHECK (calendar_id IS NULL OR calendar_id = home_calendar_id)
);
CREATE INDEX users_by_age ON users (account_id, created_at, user_id);
CREATE INDEX users_by_calendar ON users (account_id, calendar_id);
CREATE INDEX users_by_home ON users (account_id, home_calendar_id);

CREATE TABLE user_busy_calendars (
    account_id            uuid NOT NULL,
    user_id               uuid NOT NULL,
    position              bigint NOT NULL,
    calendar_id           uuid NOT NULL,
    PRIMARY KEY (account_id, user_id, position),
    FOREIGN KEY (account_id, user_id) REFERENCES users (account_id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id)
);
CREATE INDEX user_busy_calendars_by_calendar ON user_busy_calendars (account_id, calendar_id);

CREATE TABLE event_types (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    event_type_id         uuid NOT NULL,
    name                  text NOT NULL,
    slug                  text COLLATE "C" NOT NULL,
    duration_minutes      bigint NOT NULL,
    slot_interval_minutes bigint NOT NULL,
    buffer_before_minutes bigint NOT NULL,
    buffer_after_minutes  bigint NOT NULL,
    buffer_mode           text NOT NULL CHECK (buffer_mode IN ('larger', 'sum')),
    min_notice_hours      bigint NOT NULL,
    booking_window_days   bigint NOT NULL,
    max_bookings_per_day  bigint,
    scheduling_mode       text NOT NULL CHECK (scheduling_mode IN ('individual', 'round_robin', 'collective')),
    public                boolean NOT NULL,
    location              text,
    require_slot_id       boolean NOT NULL,
    on_stale              text NOT NULL CHECK (on_stale IN ('verify', 'accept', 'refuse')),
    rules                 text,
    created_at            bigint NOT NULL,
    -- Null: the attendee may not.
    cancel_notice_hours     bigint DEFAULT 0,
    reschedule_notice_hours bigint DEFAULT 0,
    reschedules_max         bigint,
    PRIMARY KEY (account_id, event_type_id),
    CONSTRAINT event_types_slug UNIQUE (account_id, slug)
);
CREATE INDEX event_types_by_age ON event_types (account_id, created_at, event_type_id);

CREATE TABLE event_type_hosts (
    account_id            uuid NOT NULL,
    event_type_id         uuid NOT NULL,
    position              bigint NOT NULL,
    user_id               uuid NOT NULL,
    PRIMARY KEY (account_id, event_type_id, position),
    UNIQUE (account_id, event_type_id, user_id),
    FOREIGN KEY (account_id, event_type_id) REFERENCES event_types (account_id, event_type_id) ON DELETE CASCADE,
    FOREIGN KEY (account_id, user_id) REFERENCES users (account_id, user_id)
);
CREATE INDEX event_type_hosts_by_user ON event_type_hosts (account_id, user_id);

-- A booking outlives its event type, its hosts and their calendars, so those are named without a foreign key.
-- The attendee is the customer's own data: in plain columns, since it is searched. The two *_key columns hold the
-- normalised forms a search compares.
CREATE TABLE bookings (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    booking_id            uuid NOT NULL,
    event_type_id         uuid,
    title                 text NOT NULL,
    location              text,
    start_at              bigint NOT NULL,
    end_at                bigint NOT NULL,
    status                text NOT NULL CHECK (status IN ('confirmed', 'cancelled')),
    timezone              text NOT NULL,
    attendee_name         text NOT NULL,
    attendee_email        text,
    attendee_email_key    text COLLATE "C",
    attendee_phone        text,
    attendee_phone_key    text COLLATE "C",
    attendee_timezone     text,
    metadata              text NOT NULL,
    sequence              bigint NOT NULL,
    cancel_reason         text,
    created_at            bigint NOT NULL,
    attendee_reschedules  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, booking_id),
    CHECK (end_at - start_at BETWEEN 1 AND 86400000000)
);
CREATE INDEX bookings_by_start ON bookings (account_id, start_at, booking_id);
CREATE INDEX bookings_by_status ON bookings (account_id, status, start_at, booking_id);
CREATE INDEX bookings_by_email ON bookings (account_id, attendee_email_key, start_at, booking_id);
CREATE INDEX bookings_by_phone ON bookings (account_id, attendee_phone_key, start_at, booking_id);

-- start_at repeats the booking's, so that one host's bookings are found in order.
CREATE TABLE booking_hosts (
    account_id            uuid NOT NULL,
    booking_id            uuid NOT NULL,
    position              bigint NOT NULL,
    user_id               uuid NOT NULL,
    calendar_id           uuid,
    start_at              bigint NOT NULL,
    PRIMARY KEY (account_id, booking_id, position),
    UNIQUE (account_id, booking_id, user_id),
    FOREIGN KEY (account_id, booking_id) REFERENCES bookings (account_id, booking_id) ON DELETE CASCADE
);
CREATE INDEX booking_hosts_by_user ON booking_hosts (account_id, user_id, start_at, booking_id);

-- A person's time, taken (law 1). shard is kept with the claim so that the table can be partitioned by it.
CREATE TABLE claims (
    account_id            uuid NOT NULL,
    claim_id              uuid NOT NULL,
    shard                 integer NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    user_id               uuid NOT NULL,
    home_calendar_id      uuid NOT NULL,
    start_at              bigint NOT NULL,
    end_at                bigint NOT NULL,
    kind                  text NOT NULL CHECK (kind IN ('hold', 'booking')),
    hold_id               uuid,
    booking_id            uuid,
    event_type_id         uuid,
    buffer_before_minutes bigint NOT NULL CHECK (buffer_before_minutes >= 0),
    buffer_after_minutes  bigint NOT NULL CHECK (buffer_after_minutes >= 0),
    expires_at            bigint,
    session_id            text COLLATE "C",
    PRIMARY KEY (account_id, claim_id),
    FOREIGN KEY (account_id, user_id) REFERENCES users (account_id, user_id),
    FOREIGN KEY (account_id, home_calendar_id) REFERENCES calendars (account_id, calendar_id),
    FOREIGN KEY (account_id, booking_id) REFERENCES bookings (account_id, booking_id),
    -- Searches for what overlaps look back no further than this.
    CONSTRAINT claims_bounded CHECK (end_at - start_at BETWEEN 1 AND 86400000000),
    CONSTRAINT claims_owner CHECK (
        (kind = 'hold' AND hold_id IS NOT NULL AND booking_id IS NULL AND expires_at IS NOT NULL)
        OR (kind = 'booking' AND hold_id IS NULL AND booking_id IS NOT NULL AND expires_at IS NULL)
    ),
    -- No two claims of one person overlap.
    CONSTRAINT claims_no_overlap
        EXCLUDE USING gist (account_id WITH =, user_id WITH =, int8range(start_at, end_at) WITH &&)
);
CREATE INDEX claims_by_user ON claims (account_id, user_id, start_at);
CREATE INDEX claims_by_home ON claims (account_id, home_calendar_id, end_at);
CREATE INDEX claims_by_booking ON claims (account_id, booking_id) WHERE booking_id IS NOT NULL;
CREATE INDEX claims_by_hold ON claims (account_id, hold_id) WHERE hold_id IS NOT NULL;

-- Live holds of one person are counted, and those that expired are swept, over all accounts.
CREATE INDEX claims_held ON claims (account_id, user_id, expires_at) WHERE kind = 'hold';
CREATE INDEX claims_expiring ON claims (expires_at) WHERE kind = 'hold';

-- The outbox of writebacks: one row per booking and calendar, made pending again by every change of the booking.
-- The calendar may go before the row does, so it is named without a foreign key. booking_end_at repeats the booking's.
CREATE TABLE writebacks (
    account_id            uuid NOT NULL,
    booking_id            uuid NOT NULL,
    calendar_id           uuid NOT NULL,
    version               bigint NOT NULL,
    state                 text NOT NULL CHECK (state IN ('pending', 'written', 'failed')),
    attempts              bigint NOT NULL,
    due_at                bigint NOT NULL,
    last_error            text,
    written_event_id      text,
    written_etag          text,
    written_start_at      bigint,
    written_end_at        bigint,
    external_state        text NOT NULL CHECK (external_state IN ('in_sync', 'moved', 'deleted', 'conflict')),
    booking_end_at        bigint NOT NULL,
    PRIMARY KEY (account_id, booking_id, calendar_id),
    FOREIGN KEY (account_id, booking_id) REFERENCES bookings (account_id, booking_id) ON DELETE CASCADE,
    CHECK ((written_event_id IS NULL) = (written_start_at IS NULL)),
    CHECK ((written_event_id IS NULL) = (written_end_at IS NULL))
);
CREATE INDEX writebacks_due ON writebacks (due_at) WHERE state = 'pending';
CREATE INDEX writebacks_pending ON writebacks (account_id, calendar_id, due_at) WHERE state = 'pending';
CREATE INDEX writebacks_by_end ON writebacks (account_id, calendar_id, state, booking_end_at);

-- Answers kept under idempotency keys, sealed; of routes inside an account and of routes above accounts.
CREATE TABLE account_answers (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    scope                 bytea NOT NULL CHECK (length(scope) = 32),
    fingerprint           bytea NOT NULL CHECK (length(fingerprint) = 32),
    answer                bytea NOT NULL,
    created_at            bigint NOT NULL,
    PRIMARY KEY (account_id, scope)
);
CREATE INDEX account_answers_by_age ON account_answers (created_at);

CREATE TABLE organization_answers (
    organization_id       uuid NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    scope                 bytea NOT NULL CHECK (length(scope) = 32),
    fingerprint           bytea NOT NULL CHECK (length(fingerprint) = 32),
    answer                bytea NOT NULL,
    created_at            bigint NOT NULL,
    PRIMARY KEY (organization_id, scope)
);
CREATE INDEX organization_answers_by_age ON organization_answers (created_at);

-- Changes made to sandbox calendars; a deleted event keeps its row, without a time.
CREATE TABLE sandbox_events (
    account_id            uuid NOT NULL,
    calendar_id           uuid NOT NULL,
    event_id              text COLLATE "C" NOT NULL,
    start_at              bigint,
    end_at                bigint,
    blocks                boolean NOT NULL,
    change_number         bigint NOT NULL,
    PRIMARY KEY (account_id, calendar_id, event_id),
    UNIQUE (account_id, calendar_id, change_number),
    FOREIGN KEY (account_id, calendar_id) REFERENCES calendars (account_id, calendar_id) ON DELETE CASCADE,
    CHECK ((start_at IS NULL) = (end_at IS NULL))
);

-- A hold outlives its claims, its event type and its hosts, so those are named without a foreign key; user_ids is a JSON
-- list. organization_id and mode repeat the account's, so that a limit over all accounts is one count.
CREATE TABLE holds (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    hold_id               uuid NOT NULL,
    organization_id       uuid NOT NULL,
    mode                  text NOT NULL CHECK (mode IN ('live', 'test')),
    event_type_id         uuid,
    start_at              bigint NOT NULL,
    end_at                bigint NOT NULL,
    user_ids              text NOT NULL,
    session_id            text COLLATE "C",
    state                 text NOT NULL CHECK (state IN ('active', 'released', 'confirmed')),
    booking_id            uuid,
    expires_at            bigint NOT NULL,
    created_at            bigint NOT NULL,
    PRIMARY KEY (account_id, hold_id),
    CHECK (end_at - start_at BETWEEN 1 AND 86400000000),
    CHECK ((state = 'confirmed') = (booking_id IS NOT NULL))
);
CREATE INDEX holds_of_session ON holds (account_id, session_id, expires_at) WHERE state = 'active';
CREATE INDEX holds_of_organization ON holds (organization_id, mode, expires_at) WHERE state = 'active';
CREATE INDEX holds_by_end ON holds (expires_at);

-- What was decided, and on what; record is JSON without titles, names or addresses.
CREATE TABLE decisions (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    decision_id           uuid NOT NULL,
    booking_id            uuid,
    hold_id               uuid,
    decided_at            bigint NOT NULL,
    record                text NOT NULL,
    PRIMARY KEY (account_id, decision_id)
);
CREATE INDEX decisions_by_time ON decisions (account_id, decided_at, decision_id);
CREATE INDEX decisions_of_booking ON decisions (account_id, booking_id, decided_at, decision_id)
    WHERE booking_id IS NOT NULL;
CREATE INDEX decisions_of_hold ON decisions (account_id, hold_id, decided_at, decision_id) WHERE hold_id IS NOT NULL;
CREATE INDEX decisions_by_age ON decisions (decided_at);

-- Ids of commits that more than one node might have performed. A row says that nobody may do so any more.
CREATE TABLE used_commits (
    account_id            uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    commit_id             uuid NOT NULL,
    is_performed          boolean NOT NULL,
    used_at               bigint NOT NULL,
    PRIMARY KEY (account_id, commit_id)
);
CREATE INDEX used_commits_by_age ON used_commits (used_at);

-- Accounts changed by commits without an epoch, for their shards' owners to hear of; for half a minute.
CREATE TABLE touched_accounts (
    account_id uuid NOT NULL PRIMARY KEY REFERENCES accounts (account_id) ON DELETE CASCADE,
    touched_at bigint NOT NULL
);
CREATE INDEX touched_accounts_by_time ON touched_accounts (touched_at);
