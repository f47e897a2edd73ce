-- Who wrote what, and who owned it then. Everything is written by triggers inside the transaction it is about, so that it
-- stands exactly if that committed; xmin of a row is its transaction, and the server knows when that committed.

CREATE SCHEMA audit;
GRANT USAGE ON SCHEMA audit TO PUBLIC;

CREATE TABLE audit.owners (shard integer NOT NULL, epoch bigint NOT NULL, owner uuid);
CREATE TABLE audit.leases (node_id uuid NOT NULL, client text NOT NULL, PRIMARY KEY (node_id, client));
CREATE TABLE audit.touches (xid xid8 NOT NULL PRIMARY KEY);
-- taken: the row says that time is taken from now on, or by something else than before. Else that it is given back, or for
-- how long it is kept.
CREATE TABLE audit.writes (
    xid xid8 NOT NULL, account_id uuid NOT NULL, client text NOT NULL, what text NOT NULL, taken boolean NOT NULL,
    hold_id uuid, booking_id uuid, start_at bigint, end_at bigint
);
CREATE INDEX ON audit.writes (xid);
CREATE INDEX ON audit.owners (shard, epoch);

-- One address for each life of a node; a test may name another.
CREATE FUNCTION audit.client() RETURNS text LANGUAGE sql AS
    $$ SELECT coalesce(nullif(current_setting('audit.client', true), ''), host(inet_client_addr())) $$;

CREATE FUNCTION audit.owned() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit.owners VALUES (NEW.shard, NEW.epoch, NEW.owner);
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER UPDATE ON shards FOR EACH ROW EXECUTE FUNCTION audit.owned();

CREATE FUNCTION audit.leased() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit.leases VALUES (NEW.node_id, audit.client()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON nodes FOR EACH ROW EXECUTE FUNCTION audit.leased();

CREATE FUNCTION audit.touched() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit.touches VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON touched_accounts FOR EACH ROW EXECUTE FUNCTION audit.touched();

CREATE FUNCTION audit.claimed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        -- What has run out is swept by whoever comes by.
        IF OLD.expires_at IS NULL OR OLD.expires_at > extract(epoch FROM clock_timestamp()) * 1000000 THEN
            INSERT INTO audit.writes VALUES (pg_current_xact_id(), OLD.account_id, audit.client(), 'claim deleted', false,
                OLD.hold_id, OLD.booking_id, OLD.start_at, OLD.end_at);
        END IF;
    ELSE
        INSERT INTO audit.writes VALUES (pg_current_xact_id(), NEW.account_id, audit.client(), 'claim written',
            TG_OP = 'INSERT' OR (OLD.hold_id, OLD.booking_id, OLD.start_at, OLD.end_at)
                IS DISTINCT FROM (NEW.hold_id, NEW.booking_id, NEW.start_at, NEW.end_at),
            NEW.hold_id, NEW.booking_id, NEW.start_at, NEW.end_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON claims FOR EACH ROW EXECUTE FUNCTION audit.claimed();

-- What was read, and that reading failed.
CREATE FUNCTION audit.synced() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit.writes VALUES (pg_current_xact_id(), NEW.account_id, audit.client(), 'sync saved', false);
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER UPDATE ON sync_states FOR EACH ROW
    WHEN (NEW.synced_at IS DISTINCT FROM OLD.synced_at OR NEW.failures > OLD.failures) EXECUTE FUNCTION audit.synced();

-- What came of a write to a calendar, and what a sync saw of an event: an owner says both. Without an owner a booking is written again
-- at most, by a commit.
CREATE FUNCTION audit.learned() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit.writes VALUES (pg_current_xact_id(), NEW.account_id, audit.client(), 'event noted', false);
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER UPDATE ON writebacks FOR EACH ROW
    WHEN ((OLD.state <> 'written' AND NEW.state = 'written') OR OLD.external_state <> NEW.external_state)
    EXECUTE FUNCTION audit.learned();

-- Each transaction beside the owner that stood when it committed: that of the highest epoch its shard had been given by then.
-- Writes and changes of owner go by in one walk through the time of each shard; looking for the owner of each write among
-- all changes there were takes minutes after a run of minutes. What has no time of a commit is nobody's.
CREATE MATERIALIZED VIEW audit.judged AS
WITH writes AS (
    SELECT w.xid, min(w.account_id::text)::uuid AS account_id, min(w.client) AS client, min(w.what) AS what,
        min(pg_xact_commit_timestamp(w.xmin)) AS committed_at
    FROM audit.writes w GROUP BY w.xid
), owners AS (
    SELECT shard, epoch, owner, pg_xact_commit_timestamp(xmin) AS committed_at FROM audit.owners
), walked AS (
    -- Without a frame of its own, a row sees all that came true at the very same time as well.
    SELECT xid, client, what, committed_at, shard,
        max(epoch) OVER (PARTITION BY shard ORDER BY committed_at NULLS FIRST) AS epoch
    FROM (
        SELECT w.xid, w.client, w.what, w.committed_at, a.shard, NULL::bigint AS epoch
        FROM writes w JOIN accounts a ON a.account_id = w.account_id
        UNION ALL
        SELECT NULL, NULL, NULL, committed_at, shard, epoch FROM owners WHERE committed_at IS NOT NULL
    ) told
)
SELECT w.xid, w.client, w.what, (extract(epoch FROM w.committed_at) * 1000000)::bigint AS at,
    EXISTS (SELECT FROM audit.touches t WHERE t.xid = w.xid) AS is_touch, coalesce(w.epoch, 0) AS epoch,
    EXISTS (SELECT FROM audit.leases l WHERE l.node_id = o.owner AND l.client = w.client) AS is_owner
FROM walked w LEFT JOIN owners o ON o.shard = w.shard AND o.epoch = w.epoch
WHERE w.xid IS NOT NULL
WITH NO DATA;
