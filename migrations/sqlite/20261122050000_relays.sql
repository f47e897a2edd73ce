-- What a service that delivers webhooks in our place is to be told. See docs/adr/0019.

-- An event waits to be told while relay_due_at is there; while it is in hand, that is when it counts as lost.
ALTER TABLE events ADD COLUMN relay_due_at INTEGER;
ALTER TABLE events ADD COLUMN relay_tries INTEGER NOT NULL DEFAULT 0;
CREATE INDEX events_to_relay ON events (relay_due_at) WHERE relay_due_at IS NOT NULL;

-- How often an endpoint has changed, and how it was when the service was last told of it; 0: never. It is to be told while
-- due_at is there, and nobody else takes it in hand before held_until. The row outlives an endpoint that the service knows, until
-- it was told that it is gone.
CREATE TABLE webhook_relays (
    endpoint_id     BLOB    NOT NULL PRIMARY KEY CHECK (length(endpoint_id) = 16),
    organization_id BLOB    NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    mode            TEXT    NOT NULL CHECK (mode IN ('live', 'test')),
    revision        INTEGER NOT NULL,
    told_revision   INTEGER NOT NULL,
    due_at          INTEGER,
    held_until      INTEGER NOT NULL,
    tries           INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_relays_due ON webhook_relays (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_relays_by_owner ON webhook_relays (organization_id, mode);

INSERT INTO webhook_relays (endpoint_id, organization_id, mode, revision, told_revision, due_at, held_until, tries)
    SELECT endpoint_id, organization_id, mode, 1, 0, created_at, 0, 0 FROM webhook_endpoints;
