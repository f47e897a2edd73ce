-- What happened, and who hears of it. See docs/adr/0015.

-- One row for each change of a booking and for whatever else happens, written by the transaction in which it happens.
-- subject is JSON: what it happened to, as it was then. An event that nobody hears of goes when that is known.
CREATE TABLE events (
    account_id      uuid    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    event_id        uuid    NOT NULL,
    organization_id uuid    NOT NULL,
    mode            text    NOT NULL CHECK (mode IN ('live', 'test')),
    shard           integer NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    kind            text    NOT NULL,
    booking_id      uuid,
    sequence        bigint,
    happened_at     bigint  NOT NULL,
    state           text    NOT NULL CHECK (state IN ('new', 'spread')),
    subject         text    NOT NULL,
    PRIMARY KEY (account_id, event_id)
);
CREATE INDEX events_new ON events (happened_at) WHERE state = 'new';
CREATE INDEX events_by_age ON events (happened_at);

-- events and account_ids are JSON lists. Secrets are sealed with the organization's data key.
CREATE TABLE webhook_endpoints (
    organization_id uuid    NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    endpoint_id     uuid    NOT NULL UNIQUE,
    mode            text    NOT NULL CHECK (mode IN ('live', 'test')),
    url             text    NOT NULL,
    events          text    NOT NULL,
    account_ids     text,
    standing        text    NOT NULL CHECK (standing IN ('enabled', 'switched_off', 'gone', 'failing')),
    failures        bigint  NOT NULL,
    failing_since   bigint,
    secret          bytea   NOT NULL,
    previous_secret bytea,
    previous_until  bigint,
    created_at      bigint  NOT NULL,
    PRIMARY KEY (organization_id, endpoint_id),
    CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
);
CREATE INDEX webhook_endpoints_by_age ON webhook_endpoints (organization_id, mode, created_at, endpoint_id);
CREATE INDEX webhook_endpoints_enabled ON webhook_endpoints (endpoint_id) WHERE standing = 'enabled';

-- An event on its way to an endpoint. attempts counts all tries, tries those since it was last asked for. While a try is
-- under way, due_at is when it counts as lost.
CREATE TABLE webhook_deliveries (
    account_id      uuid    NOT NULL,
    delivery_id     uuid    NOT NULL UNIQUE,
    organization_id uuid    NOT NULL,
    endpoint_id     uuid    NOT NULL,
    event_id        uuid    NOT NULL,
    shard           integer NOT NULL CHECK (shard BETWEEN 0 AND 4095),
    state           text    NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts        bigint  NOT NULL,
    tries           bigint  NOT NULL,
    due_at          bigint  NOT NULL,
    created_at      bigint  NOT NULL,
    PRIMARY KEY (account_id, delivery_id),
    UNIQUE (account_id, event_id, endpoint_id),
    FOREIGN KEY (account_id, event_id) REFERENCES events (account_id, event_id) ON DELETE CASCADE,
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints (organization_id, endpoint_id) ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (organization_id, endpoint_id, created_at, delivery_id);
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (organization_id, endpoint_id, state, created_at, delivery_id);

CREATE TABLE webhook_attempts (
    account_id  uuid    NOT NULL,
    delivery_id uuid    NOT NULL,
    number      bigint  NOT NULL,
    ended_at    bigint  NOT NULL,
    duration_us bigint  NOT NULL,
    status      bigint,
    error       text,
    answer      text    NOT NULL,
    PRIMARY KEY (account_id, delivery_id, number),
    FOREIGN KEY (account_id, delivery_id) REFERENCES webhook_deliveries (account_id, delivery_id) ON DELETE CASCADE
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['events', 'webhook_deliveries', 'webhook_attempts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_account ON %I USING (account_id = agentcal_account() OR agentcal_all_accounts())', name);
    END LOOP;
END
$$;

-- A booking in one call, and what is told of it. As agentcal_book_1, which stays for programs that call it, with one row
-- more. See docs/adr/0013 and 0015.
--
-- Order of locks, as in every writer: the shard's epoch, then revisions in the order given, each in its final mode. Then
-- the clock, once. A verdict other than 'committed' has written nothing. What is found to be otherwise than the decision
-- saw after something was written undoes all of it, as a failed serialization (40001).
CREATE FUNCTION agentcal_book_2(
    plan_account uuid,
    plan_organization uuid,
    plan_mode text,
    plan_commit uuid,
    -- Whether another node may be making the same commit.
    plan_shared boolean,
    plan_shard integer,
    -- Null: without an owner.
    plan_epoch bigint,
    -- Stands in for the database's clock.
    plan_clock bigint,
    -- The clock must be past it.
    plan_expired_until bigint,
    -- Revisions, ascending; a null one is not compared.
    plan_kinds bigint[],
    plan_ids uuid[],
    plan_revisions bigint[],
    plan_raises boolean[],
    plan_booking uuid,
    plan_event_type uuid,
    plan_title text,
    plan_location text,
    plan_start bigint,
    plan_end bigint,
    plan_status text,
    plan_timezone text,
    plan_attendee_name text,
    plan_attendee_email text,
    plan_attendee_email_key text,
    plan_attendee_phone text,
    plan_attendee_phone_key text,
    plan_attendee_timezone text,
    plan_metadata text,
    plan_sequence bigint,
    plan_cancel_reason text,
    plan_created_at bigint,
    plan_hosts uuid[],
    plan_host_calendars uuid[],
    -- Claims of the booking, each of its whole time.
    plan_claims uuid[],
    plan_claim_users uuid[],
    plan_claim_homes uuid[],
    plan_claim_buffers_before bigint[],
    plan_claim_buffers_after bigint[],
    -- A hold whose live claims, so many, become the booking's.
    plan_hold uuid,
    plan_hold_claims bigint,
    -- Calendars that shall show the booking.
    plan_writebacks uuid[],
    plan_decision uuid,
    plan_decision_hold uuid,
    plan_decided_at bigint,
    plan_decision_record text,
    -- The answer to keep, and for how long one counts.
    plan_answer_scope bytea,
    plan_answer_fingerprint bytea,
    plan_answer bytea,
    plan_answer_counts_us bigint,
    -- What is told outside: the booking, as JSON. Its row goes by the commit's id.
    plan_event text,
    -- 'committed', 'answered' (kept_*), 'used_up' (was_performed), 'fenced', 'stale'.
    OUT verdict text,
    OUT raised bigint[],
    OUT kept_fingerprint bytea,
    OUT kept_answer bytea,
    OUT was_performed boolean
) LANGUAGE plpgsql AS $$
DECLARE
    present bigint;
    now_us bigint;
    touched bigint;
BEGIN
    PERFORM set_config('agentcal.account_id', plan_account::text, true);
    raised := '{}';
    verdict := 'stale';
    PERFORM 1 FROM accounts AS a
        WHERE a.account_id = plan_account AND a.organization_id = plan_organization AND a.mode = plan_mode;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- Read before the locks, so it may be from before somebody who was faster; writing the same finds that out again.
    IF plan_answer_scope IS NOT NULL THEN
        SELECT w.fingerprint, w.answer INTO kept_fingerprint, kept_answer FROM account_answers AS w
            WHERE w.account_id = plan_account AND w.scope = plan_answer_scope AND w.created_at
                > coalesce(plan_clock, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) - plan_answer_counts_us;
        IF FOUND THEN
            verdict := 'answered';
            RETURN;
        END IF;
    END IF;
    IF plan_shared THEN
        SELECT u.is_performed INTO was_performed FROM used_commits AS u
            WHERE u.account_id = plan_account AND u.commit_id = plan_commit;
        IF FOUND THEN
            verdict := 'used_up';
            RETURN;
        END IF;
    END IF;

    -- What it stands on.
    IF plan_epoch IS NOT NULL THEN
        SELECT s.epoch INTO present FROM shards AS s WHERE s.shard = plan_shard FOR SHARE;
        IF present IS DISTINCT FROM plan_epoch THEN
            verdict := 'fenced';
            RETURN;
        END IF;
    END IF;
    FOR place IN 1 .. cardinality(plan_kinds) LOOP
        IF plan_raises[place] THEN
            -- Raising a row locks it as a lock in this mode would.
            UPDATE revisions AS r SET revision = r.revision + 1
                WHERE r.account_id = plan_account AND r.kind = plan_kinds[place] AND r.id = plan_ids[place]
                RETURNING r.revision - 1 INTO present;
        ELSE
            SELECT r.revision INTO present FROM revisions AS r
                WHERE r.account_id = plan_account AND r.kind = plan_kinds[place] AND r.id = plan_ids[place] FOR SHARE;
        END IF;
        IF present IS NULL OR present <> plan_revisions[place] THEN
            IF cardinality(raised) = 0 AND NOT (plan_raises[place] AND present IS NOT NULL) THEN
                RETURN;
            END IF;
            RAISE EXCEPTION 'a revision is not the one seen' USING ERRCODE = '40001';
        END IF;
        IF plan_raises[place] THEN
            raised := raised || present + 1;
        END IF;
    END LOOP;
    now_us := coalesce(plan_clock, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    IF plan_expired_until > now_us THEN
        RAISE EXCEPTION 'a hold taken for expired is live' USING ERRCODE = '40001';
    END IF;

    -- The booking.
    INSERT INTO bookings (account_id, booking_id, event_type_id, title, location, start_at, end_at, status, timezone,
            attendee_name, attendee_email, attendee_email_key, attendee_phone, attendee_phone_key, attendee_timezone,
            metadata, sequence, cancel_reason, created_at)
        VALUES (plan_account, plan_booking, plan_event_type, plan_title, plan_location, plan_start, plan_end, plan_status,
            plan_timezone, plan_attendee_name, plan_attendee_email, plan_attendee_email_key, plan_attendee_phone,
            plan_attendee_phone_key, plan_attendee_timezone, plan_metadata, plan_sequence, plan_cancel_reason,
            plan_created_at);
    FOR place IN 1 .. cardinality(plan_hosts) LOOP
        INSERT INTO booking_hosts (account_id, booking_id, position, user_id, calendar_id, start_at)
            VALUES (plan_account, plan_booking, place - 1, plan_hosts[place], plan_host_calendars[place], plan_start);
    END LOOP;

    -- Its time. Claims of holds that ran out go where they are in the way; searches look back no further than the longest.
    FOR place IN 1 .. cardinality(plan_claims) LOOP
        DELETE FROM claims AS c
            WHERE c.account_id = plan_account AND c.user_id = plan_claim_users[place] AND c.kind = 'hold'
                AND c.expires_at <= now_us AND c.start_at > plan_start - 86400000000 AND c.start_at < plan_end
                AND c.end_at > plan_start;
        INSERT INTO claims (account_id, claim_id, shard, user_id, home_calendar_id, start_at, end_at, kind, hold_id,
                booking_id, event_type_id, buffer_before_minutes, buffer_after_minutes, expires_at, session_id)
            VALUES (plan_account, plan_claims[place], plan_shard, plan_claim_users[place], plan_claim_homes[place],
                plan_start, plan_end, 'booking', NULL, plan_booking, plan_event_type, plan_claim_buffers_before[place],
                plan_claim_buffers_after[place], NULL, NULL);
    END LOOP;
    IF plan_hold IS NOT NULL THEN
        UPDATE claims AS c SET kind = 'booking', hold_id = NULL, booking_id = plan_booking, expires_at = NULL,
                session_id = NULL
            WHERE c.account_id = plan_account AND c.hold_id = plan_hold AND c.expires_at > now_us;
        GET DIAGNOSTICS touched = ROW_COUNT;
        UPDATE holds AS h SET state = 'confirmed', booking_id = plan_booking
            WHERE h.account_id = plan_account AND h.hold_id = plan_hold AND h.state = 'active' AND h.expires_at > now_us;
        IF NOT FOUND OR touched <> plan_hold_claims THEN
            RAISE EXCEPTION 'a hold is not live any more' USING ERRCODE = '40001';
        END IF;
    END IF;

    -- What follows, and what is kept of it. A calendar that is gone can be written no more, and its row says so.
    FOR place IN 1 .. cardinality(plan_writebacks) LOOP
        INSERT INTO writebacks (account_id, booking_id, calendar_id, version, state, attempts, due_at, last_error,
                external_state, booking_end_at)
            SELECT plan_account, plan_booking, plan_writebacks[place], 1,
                CASE WHEN k.there THEN 'pending' ELSE 'failed' END, 0, now_us,
                CASE WHEN NOT k.there THEN 'the calendar is no longer connected' END, 'in_sync', plan_end
            FROM (SELECT EXISTS (SELECT 1 FROM calendars AS c
                WHERE c.account_id = plan_account AND c.calendar_id = plan_writebacks[place]) AS there) AS k;
    END LOOP;
    IF plan_event IS NOT NULL THEN
        INSERT INTO events (account_id, event_id, organization_id, mode, shard, kind, booking_id, sequence, happened_at,
                state, subject)
            VALUES (plan_account, plan_commit, plan_organization, plan_mode, plan_shard, 'booking.created', plan_booking,
                plan_sequence, now_us, 'new', plan_event);
    END IF;
    IF plan_decision IS NOT NULL THEN
        INSERT INTO decisions (account_id, decision_id, booking_id, hold_id, decided_at, record)
            VALUES (plan_account, plan_decision, plan_booking, plan_decision_hold, plan_decided_at, plan_decision_record)
            ON CONFLICT (account_id, decision_id) DO NOTHING;
    END IF;
    IF plan_epoch IS NULL THEN
        -- The shard's owner did not see this commit.
        INSERT INTO touched_accounts (account_id, touched_at) VALUES (plan_account, now_us)
            ON CONFLICT (account_id) DO UPDATE SET touched_at = excluded.touched_at;
    END IF;
    IF plan_shared THEN
        INSERT INTO used_commits (account_id, commit_id, is_performed, used_at)
            VALUES (plan_account, plan_commit, true, now_us) ON CONFLICT (account_id, commit_id) DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the commit was settled meanwhile' USING ERRCODE = '40001';
        END IF;
    END IF;
    IF plan_answer_scope IS NOT NULL THEN
        -- Another answer that counts stays.
        INSERT INTO account_answers AS w (account_id, scope, fingerprint, answer, created_at)
            VALUES (plan_account, plan_answer_scope, plan_answer_fingerprint, plan_answer, now_us)
            ON CONFLICT (account_id, scope) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
                created_at = excluded.created_at
            WHERE w.created_at <= now_us - plan_answer_counts_us;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the request was answered meanwhile' USING ERRCODE = '40001';
        END IF;
    END IF;
    verdict := 'committed';
END
$$;
