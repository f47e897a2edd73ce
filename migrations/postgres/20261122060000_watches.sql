-- How changes of calendars are noticed, and what it takes to go on with that. See docs/adr/0025.

-- watch_handle and watch_outdated name watches at the provider. They are no secrets: ending or renewing a watch takes the
-- connection's credentials as well. watch_outdated is a JSON list of watches that still have to be ended.
ALTER TABLE calendars ADD COLUMN watch_url text;
ALTER TABLE calendars ADD COLUMN watch_handle text;
ALTER TABLE calendars ADD COLUMN watch_outdated text NOT NULL DEFAULT '[]';
ALTER TABLE calendars ADD COLUMN watch_due_at bigint NOT NULL DEFAULT 0;
ALTER TABLE calendars ADD COLUMN watch_failures bigint NOT NULL DEFAULT 0;

-- Until when the provider rings for what changed after synced_at.
ALTER TABLE sync_states ADD COLUMN watched_until bigint;
