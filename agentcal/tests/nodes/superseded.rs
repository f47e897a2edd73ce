//! Rows under a superseded epoch are found, and nothing else is.

use agentcal_testkit::{Durability, Postgres, postgres_with};

use crate::audit;
use crate::cluster::{DATABASE, program, shared};
use crate::draw::Draw;

/// Of what the program writes, as much as the triggers look at.
const GROUND: &str = "INSERT INTO organizations VALUES ('00000000-0000-4000-8000-000000000001', 'O', 0); \
    INSERT INTO accounts VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001', 'test', \
    'A', NULL, '{}', 0, 7); \
    INSERT INTO calendars VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000003', NULL, \
    'internal', 'i', 'C', 'UTC', true, 'none', NULL, 0); \
    INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000004', 'U', 'e', \
    'UTC', NULL, '00000000-0000-4000-8000-000000000003', '{}', 0); \
    INSERT INTO bookings (account_id, booking_id, title, start_at, end_at, status, timezone, attendee_name, metadata, \
    sequence, created_at) VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000005', 'B', 0, \
    10, 'confirmed', 'UTC', 'A', '{}', 0, 0); \
    INSERT INTO writebacks (account_id, booking_id, calendar_id, version, state, attempts, due_at, external_state, \
    booking_end_at) VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000005', \
    '00000000-0000-4000-8000-000000000003', 1, 'pending', 0, 0, 'in_sync', 10)";

/// Transactions that would be judged otherwise if the owner of each were looked for by itself, which is slow and obvious.
const JUDGED_OTHERWISE: &str = "SELECT count(*) FROM audit.judged j JOIN (SELECT xid, \
    min(pg_xact_commit_timestamp(xmin)) AS at FROM audit.writes GROUP BY xid) w USING (xid) \
    WHERE (j.epoch, j.is_owner) <> (SELECT coalesce(max(epoch), 0), coalesce(bool_or(is_owner), false) FROM ( \
    SELECT epoch, EXISTS (SELECT FROM audit.leases l WHERE l.node_id = owner AND l.client = j.client) AS is_owner \
    FROM audit.owners o WHERE shard = 7 AND pg_xact_commit_timestamp(o.xmin) <= w.at ORDER BY epoch DESC LIMIT 1) o)";
/// Transactions of a run in which anybody writes and takes, at any time.
const DRAWN: i64 = 120;

#[test]
fn each_transaction_is_judged_by_the_owner_of_its_instant() {
    let Some(postgres) = postgres_with(Durability::None, &audit::SETTINGS) else { return };
    let stage = Stage::set(&postgres);
    let (mut draw, mut writes) = (Draw::of(1, 1), 0);
    for number in 1..=DRAWN {
        let node = *draw.pick(&["127.0.1.1", "127.0.1.2", "127.0.2.2"]).unwrap();
        match draw.below(3) {
            0 => stage.takes(node, number),
            kind => {
                stage.writes(node, number, if kind == 1 { "" } else { TOUCH });
                writes += 1;
            }
        }
    }
    audit::judge(&postgres);
    let count = |select: &str| postgres.execute(DATABASE, select);
    assert_eq!(count("SELECT count(*) FROM audit.judged"), writes.to_string());
    assert_eq!(count(JUDGED_OTHERWISE), "0");
    // It would be nothing to agree on what never happened.
    let kinds = "SELECT count(DISTINCT (is_owner, is_touch)) FROM audit.judged WHERE epoch > 0";
    assert_eq!(count(kinds), "4");
}

#[test]
fn only_new_time_counts_as_taken() {
    let Some(postgres) = postgres_with(Durability::None, &audit::SETTINGS) else { return };
    let stage = Stage::set(&postgres);
    let taken = || postgres.execute(DATABASE, "SELECT count(*) FROM audit.writes WHERE taken");
    stage.writes("127.0.1.1", 1, "");
    assert_eq!(taken(), "1");
    for (what, change, expected) in [
        ("kept for longer", "expires_at = expires_at + 1", "1"),
        ("moved", "start_at = start_at + 5, end_at = end_at + 5", "2"),
        ("by something else", "hold_id = gen_random_uuid()", "3"),
    ] {
        stage.of("127.0.1.1", &format!("UPDATE claims SET {change}"));
        assert_eq!(taken(), expected, "{what}");
    }
}

#[test]
fn rows_of_whoever_was_superseded_are_found() {
    let Some(postgres) = postgres_with(Durability::None, &audit::SETTINGS) else { return };
    let stage = Stage::set(&postgres);
    stage.writes("127.0.1.1", 1, "");
    stage.found("nobody's shard", &["127.0.1.1"]);
    stage.takes("127.0.1.1", 10);
    stage.writes("127.0.1.1", 2, "");
    stage.found("the owner's", &["127.0.1.1"]);
    stage.writes("127.0.1.2", 3, TOUCH);
    stage.found("without an owner", &["127.0.1.1"]);
    stage.takes("127.0.1.2", 11);
    stage.writes("127.0.1.2", 4, "");
    stage.found("the new owner's", &["127.0.1.1"]);
    stage.writes("127.0.1.1", 5, "");
    stage.found("the old owner's", &["127.0.1.1", "127.0.1.1"]);
    stage.writes("127.0.2.2", 6, "");
    stage.found("another life of the owner", &["127.0.1.1", "127.0.1.1", "127.0.2.2"]);
    let (old, new) = ("127.0.1.1", "127.0.1.2");
    stage.of(old, "UPDATE writebacks SET attempts = 1, due_at = 5");
    stage.of(new, "UPDATE writebacks SET state = 'written'");
    stage.found("the owner's word of an event", &[old, old, "127.0.2.2"]);
    stage.of(old, "UPDATE writebacks SET external_state = 'moved'");
    stage.found("the old owner's", &[old, old, "127.0.2.2", old]);
}

const TOUCH: &str = "INSERT INTO touched_accounts VALUES ('00000000-0000-4000-8000-000000000002', 0) \
    ON CONFLICT (account_id) DO UPDATE SET touched_at = touched_accounts.touched_at + 1; ";

struct Stage<'p>(&'p Postgres);

impl<'p> Stage<'p> {
    /// An account whose shard is nobody's, and two nodes.
    fn set(postgres: &'p Postgres) -> Self {
        postgres.create_database(DATABASE);
        program(&shared(&postgres.url(DATABASE), "redis://127.0.0.1:1"), &["migrate"]);
        postgres.execute(DATABASE, GROUND);
        audit::install(postgres);
        let stage = Self(postgres);
        stage.joins("127.0.1.1");
        stage.joins("127.0.1.2");
        stage
    }

    fn of(&self, client: &str, statements: &str) {
        self.0.execute(DATABASE, &format!("SET audit.client = '{client}'; {statements}"));
    }

    fn node_id(client: &str) -> String {
        format!("00000000-0000-4000-8000-00000000{}", client.replace("127.0.", "0").replace('.', "0"))
    }

    fn joins(&self, client: &str) {
        let id = Self::node_id(client);
        self.of(client, &format!("INSERT INTO nodes VALUES ('{id}', 'http://a', 0, false, 0)"));
    }

    fn takes(&self, client: &str, epoch: i64) {
        let id = Self::node_id(client);
        self.of(client, &format!("UPDATE shards SET owner = '{id}', epoch = {epoch} WHERE shard = 7"));
    }

    /// Places a hold, in a transaction of its own.
    fn writes(&self, client: &str, number: i64, beside: &str) {
        let (start, end) = (number * 10, number * 10 + 10);
        let claim = format!(
            "{beside}INSERT INTO claims (account_id, claim_id, shard, user_id, home_calendar_id, start_at, end_at, kind, \
             hold_id, buffer_before_minutes, buffer_after_minutes, expires_at) VALUES \
             ('00000000-0000-4000-8000-000000000002', gen_random_uuid(), 7, '00000000-0000-4000-8000-000000000004', \
             '00000000-0000-4000-8000-000000000003', {start}, {end}, 'hold', gen_random_uuid(), 0, 0, 1)"
        );
        self.of(client, &claim);
    }

    fn found(&self, name: &str, writers: &[&str]) {
        audit::judge(self.0);
        let found = audit::superseded(self.0);
        assert_eq!(found.iter().map(|row| row.writer.as_str()).collect::<Vec<_>>(), writers, "{name}");
    }
}
