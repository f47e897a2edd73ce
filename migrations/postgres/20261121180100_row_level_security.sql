-- A second wall between tenants: a transaction says whose rows it is about, and sees and writes no others, whatever its
-- statements say. Sweeps over all accounts say so. A transaction that says nothing sees nothing.
--
-- FORCE, because the program owns its tables. A role with BYPASSRLS and a superuser walk through; do not run as one.

CREATE FUNCTION agentcal_account() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT nullif(current_setting('agentcal.account_id', true), '')::uuid $$;

CREATE FUNCTION agentcal_all_accounts() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT coalesce(current_setting('agentcal.all_accounts', true), '') = 'on' $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'accounts', 'account_keys', 'revisions', 'connections', 'calendars', 'sync_states', 'external_instances',
        'users', 'user_busy_calendars', 'event_types', 'event_type_hosts', 'bookings', 'booking_hosts', 'claims',
        'writebacks', 'account_answers', 'sandbox_events', 'holds', 'decisions', 'used_commits', 'touched_accounts'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_account ON %I USING (account_id = agentcal_account() OR agentcal_all_accounts())', name);
    END LOOP;
END
$$;

-- A limit counts the holds of an organization over all its accounts; the transaction that counts says of which.
CREATE POLICY counted_organization ON holds FOR SELECT USING (
    organization_id = nullif(current_setting('agentcal.counted_organization', true), '')::uuid
);
