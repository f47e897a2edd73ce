-- A change of a sandbox calendar, with its number, in one call: the number it got, or NULL where the event is not as expected or
-- was overtaken. The same change as the statement of the program before, which may run beside it.

CREATE FUNCTION agentcal_sandbox_put_1(
    plan_account uuid,
    plan_calendar uuid,
    plan_event text,
    plan_start bigint,
    plan_end bigint,
    plan_blocks boolean,
    plan_expected bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    done bigint;
BEGIN
    PERFORM set_config('agentcal.account_id', plan_account::text, true);
    INSERT INTO sandbox_events AS e (account_id, calendar_id, event_id, start_at, end_at, blocks, change_number)
        SELECT plan_account, plan_calendar, plan_event, plan_start, plan_end, plan_blocks,
            coalesce((SELECT max(change_number) FROM sandbox_events
                WHERE account_id = plan_account AND calendar_id = plan_calendar), 0) + 1
        WHERE plan_expected IS NULL OR plan_expected = coalesce((SELECT change_number FROM sandbox_events
            WHERE account_id = plan_account AND calendar_id = plan_calendar AND event_id = plan_event
                AND start_at IS NOT NULL), 0)
        ON CONFLICT (account_id, calendar_id, event_id) DO UPDATE SET start_at = excluded.start_at,
            end_at = excluded.end_at, blocks = excluded.blocks, change_number = excluded.change_number
            WHERE e.change_number < excluded.change_number
        RETURNING change_number INTO done;
    RETURN done;
END
$$;
