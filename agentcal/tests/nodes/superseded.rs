//! Rows under a superseded epoch are found, and nothing else is.

use agentcal_testkit::{Durability, Postgres, postgres_with};

use crate::audit;
use crate::cluster::{DATABASE, program, shared};

/// Of what the program writes, as much as the triggers look at.
const GROUND: &str = "INSERT INTO organizations VALUES ('00000000-0000-4000-8000-000000000001', 'O', 0); \
    INSERT INTO accounts VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000001', 'test', \
    'A', NULL, '{}', 0, 7); \
    INSERT INTO calendars VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000003', NULL, \
    'internal', 'i', 'C', 'UTC', true, 'none', NULL, 0); \
    INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000004', 'U', 'e', \
    'UTC', NULL, '00000000-0000-4000-8000-000000000003', '{}', 0)";

#[test]
fn rows_of_whoever_was_superseded_are_found() {
    let Some(postgres) = postgres_with(Durability::None, &audit::SETTINGS) else { return };
    postgres.create_database(DATABASE);
    program(&shared(&postgres.url(DATABASE), "redis://127.0.0.1:1"), &["migrate"]);
    postgres.execute(DATABASE, GROUND);
    audit::install(&postgres);
    let stage = Stage(&postgres);
    stage.joins("127.0.1.1");
    stage.joins("127.0.1.2");
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
}

const TOUCH: &str = "INSERT INTO touched_accounts VALUES ('00000000-0000-4000-8000-000000000002', 0); ";

struct Stage<'p>(&'p Postgres);

impl Stage<'_> {
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
