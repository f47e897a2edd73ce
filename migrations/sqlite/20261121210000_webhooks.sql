-- What happened, and who hears of it. See docs/adr/0015.

-- One row for each change of a booking and for whatever else happens, written by the transaction in which it happens.
-- subject is JSON: what it happened to, as it was then. An event that nobody hears of goes when that is known.
CREATE TABLE events (
    account_id      BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    event_id        BLOB    NOT NULL CHECK (length(event_id) = 16),
    organization_id BLOB    NOT NULL,
    mode            TEXT    NOT NULL CHECK (mode IN ('live', 'test')),
    shard           INTEGER NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    kind            TEXT    NOT NULL,
    booking_id      BLOB,
    sequence        INTEGER,
    happened_at     INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('new', 'spread')),
    subject         TEXT    NOT NULL,
    PRIMARY KEY (account_id, event_id)
) STRICT;
CREATE INDEX events_new ON events (happened_at) WHERE state = 'new';
CREATE INDEX events_by_age ON events (happened_at);

-- events and account_ids are JSON lists. Secrets are sealed with the organization's data key.
CREATE TABLE webhook_endpoints (
    organization_id BLOB    NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    endpoint_id     BLOB    NOT NULL UNIQUE CHECK (length(endpoint_id) = 16),
    mode            TEXT    NOT NULL CHECK (mode IN ('live', 'test')),
    url             TEXT    NOT NULL,
    events          TEXT    NOT NULL,
    account_ids     TEXT,
    standing        TEXT    NOT NULL CHECK (standing IN ('enabled', 'switched_off', 'gone', 'failing')),
    failures        INTEGER NOT NULL,
    failing_since   INTEGER,
    secret          BLOB    NOT NULL,
    previous_secret BLOB,
    previous_until  INTEGER,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, endpoint_id),
    CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
) STRICT;
CREATE INDEX webhook_endpoints_by_age ON webhook_endpoints (organization_id, mode, created_at, endpoint_id);
CREATE INDEX webhook_endpoints_enabled ON webhook_endpoints (endpoint_id) WHERE standing = 'enabled';

-- An event on its way to an endpoint. attempts counts all tries, tries those since it was last asked for. While a try is
-- under way, due_at is when it counts as lost.
CREATE TABLE webhook_deliveries (
    account_id      BLOB    NOT NULL,
    delivery_id     BLOB    NOT NULL UNIQUE CHECK (length(delivery_id) = 16),
    organization_id BLOB    NOT NULL,
    endpoint_id     BLOB    NOT NULL,
    event_id        BLOB    NOT NULL,
    shard           INTEGER NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    state           TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts        INTEGER NOT NULL,
    tries           INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (account_id, delivery_id),
    UNIQUE (account_id, event_id, endpoint_id),
    FOREIGN KEY (account_id, event_id) REFERENCES events (account_id, event_id) ON DELETE CASCADE,
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints (organization_id, endpoint_id) ON DELETE CASCADE
) STRICT;
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (organization_id, endpoint_id, created_at, delivery_id);
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (organization_id, endpoint_id, state, created_at, delivery_id);

CREATE TABLE webhook_attempts (
    account_id  BLOB    NOT NULL,
    delivery_id BLOB    NOT NULL,
    number      INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    answer      TEXT    NOT NULL,
    PRIMARY KEY (account_id, delivery_id, number),
    FOREIGN KEY (account_id, delivery_id) REFERENCES webhook_deliveries (account_id, delivery_id) ON DELETE CASCADE
) STRICT;
