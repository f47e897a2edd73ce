//! The ceiling of commits: pgbench makes the call that the program makes, on the same server, over rows written the same.

use std::fs;
use std::time::Duration;

use agentcal_store_postgres::BOOK_CALL;
use tempfile::TempDir;

use crate::cluster::Cluster;

/// Where its bookings begin: far from any the program makes, each round and each client at times of its own.
const FIRST_START_US: i64 = 4_102_444_800_000_000;
const ROUND_US: i64 = 50 * 365 * 86_400_000_000;
const LENGTH_US: i64 = 30 * 60_000_000;

/// What is told of a booking, as long as the program tells it.
const EVENT: &str = r#"{"booking":{"booking":{"id":"book_01kaj2wz5rfv8t6xg3m9c1nq4d","account_id":"acct_01kaj2wz5rfv8t6xg3m9c1nq4d","event_type_id":"evt_01kaj2wz5rfv8t6xg3m9c1nq4d","title":"Consultation","location":null,"range":{"start":4102444800000000,"end":4102446600000000},"status":"confirmed","timezone":"Europe/Berlin","attendee":{"name":"Ada Lovelace","email":null,"phone":null,"timezone":null},"metadata":{},"hosts":[{"user_id":"user_01kaj2wz5rfv8t6xg3m9c1nq4d","calendar_id":"cal_01kaj2wz5rfv8t6xg3m9c1nq4d","provider_event_id":null,"writeback":{"state":"pending","attempts":0,"last_error":null},"external_state":"in_sync"}],"sequence":0,"attendee_reschedules":0,"cancel_reason":null,"created_at":1790000000000000},"previous_range":null}}"#;

/// Whose time is booked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    /// Everybody's in turn, so that clients are never with the same person.
    Everybodys { clients: u32 },
    /// One person's, by one client.
    Ones,
}

/// Who is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// People with a calendar in the sandbox, which bookings are written to: a row says so.
    InSandbox,
    /// People without.
    AtHome,
}

/// A copy of the data set that nobody else works on, and the call for some of the people in it.
pub(crate) struct Pgbench<'a> {
    cluster: &'a Cluster,
    folder: TempDir,
    who: Who,
    people: Vec<Columns>,
    record: String,
}

/// What of the call differs from person to person, in the order of [`QUERY`].
type Columns = [String; 7];

const QUERY: &str = "SELECT u.account_id, a.organization_id, a.shard, r.revision, e.event_type_id, u.user_id, u.home_calendar_id \
     FROM users AS u JOIN accounts AS a USING (account_id) JOIN event_types AS e USING (account_id) \
     JOIN revisions AS r ON r.account_id = u.account_id AND r.kind = 0 WHERE u.calendar_id IS";

impl<'a> Pgbench<'a> {
    /// Reads whom it books. `record`: a decision record as the program writes them.
    pub(crate) fn new(cluster: &'a Cluster, who: Who, record: String) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let calendar = match who {
            Who::InSandbox => "NOT NULL",
            Who::AtHome => "NULL",
        };
        let rows = cluster.ask_ceiling(&format!("{QUERY} {calendar} ORDER BY u.user_id"));
        let columns = |row: &str| row.split('|').map(str::to_owned).collect::<Vec<_>>().try_into().ok();
        let people: Option<Vec<Columns>> = rows.lines().map(columns).collect();
        Ok(Self {
            cluster,
            folder,
            who,
            people: people.ok_or("the data set reads otherwise than it was written")?,
            record,
        })
    }

    /// Transactions a second. Every one of them made a booking, or this is an error.
    pub(crate) fn run(&self, whose: Whose, round: u32, span: Duration) -> Result<f64, String> {
        let script = self.folder.path().join("book.sql");
        let (clients, threads) = match whose {
            Whose::Everybodys { clients } => (clients, 2),
            Whose::Ones => (1, 1),
        };
        let first = FIRST_START_US + i64::from(round) * ROUND_US;
        fs::write(&script, self.script(whose, first)?).map_err(|error| format!("{}: {error}", script.display()))?;
        let before = self.bookings()?;
        let mut command = self.cluster.postgres().program("pgbench");
        command.args(["--no-vacuum", "--protocol=prepared", "--define=i=0"]);
        command.arg(format!("--client={clients}")).arg(format!("--jobs={threads}"));
        command.arg(format!("--time={}", span.as_secs().max(1))).arg("--file").arg(&script);
        let output = command.arg(self.cluster.ceiling_url()).output();
        let output = output.map_err(|error| format!("pgbench does not start: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let odd = || format!("pgbench said something else than expected: {said}");
        let done = figure(&said, "number of transactions actually processed: ").ok_or_else(odd)?;
        if self.bookings()? - before != done as u64 {
            return Err("not every transaction of pgbench made a booking".to_owned());
        }
        figure(&said, "tps = ").ok_or_else(odd)
    }

    fn bookings(&self) -> Result<u64, String> {
        let count = self.cluster.ask_ceiling("SELECT count(*) FROM bookings");
        count.parse().map_err(|error| format!("bookings could not be counted: {count}: {error}"))
    }

    /// One call with ids of chance, of the person whose turn it is.
    fn script(&self, whose: Whose, first: i64) -> Result<String, String> {
        let people = self.people.len();
        let turn = match whose {
            Whose::Everybodys { clients } => format!(
                "\\set n :i * {clients} + :client_id\n\\set person :n % {people} + 1\n\\set start {first} + :n / {people} * {LENGTH_US}\n"
            ),
            Whose::Ones => format!("\\set person 1\n\\set start {first} + :i * {LENGTH_US}\n"),
        };
        let end = format!("\\set end :start + {LENGTH_US}\n\\set i :i + 1\n");
        Ok(format!("{turn}{end}{};\n", call(BOOK_CALL, |name| self.argument(name))?))
    }

    /// What stands for a parameter. The program compares the calendar's revision, which a script cannot know; everything
    /// else is done as the program has it done.
    fn argument(&self, name: &str) -> Option<String> {
        let [accounts, organizations, shards, revisions, event_types, users, calendars] =
            std::array::from_fn(|column| self.of_person(column));
        Some(match name {
            "plan_account" => format!("{accounts}::uuid"),
            "plan_organization" => format!("{organizations}::uuid"),
            "plan_mode" => "'live'".to_owned(),
            "plan_commit" | "plan_booking" | "plan_decision" => "gen_random_uuid()".to_owned(),
            "plan_shared" => "false".to_owned(),
            "plan_shard" => format!("{shards}::integer"),
            "plan_epoch" | "plan_sequence" => "0".to_owned(),
            "plan_kinds" => "'{0,1,2}'".to_owned(),
            "plan_ids" => format!("ARRAY[{accounts}, {calendars}, {users}]::uuid[]"),
            "plan_revisions" => format!("ARRAY[{revisions}, NULL, NULL]::bigint[]"),
            "plan_raises" => "'{f,t,t}'".to_owned(),
            "plan_event_type" => format!("{event_types}::uuid"),
            "plan_title" => "'Consultation'".to_owned(),
            "plan_start" => ":start".to_owned(),
            "plan_end" => ":end".to_owned(),
            "plan_status" => "'confirmed'".to_owned(),
            "plan_timezone" => "'Europe/Berlin'".to_owned(),
            "plan_attendee_name" => "'Ada Lovelace'".to_owned(),
            "plan_metadata" => "'{}'".to_owned(),
            "plan_created_at" | "plan_decided_at" => "1790000000000000".to_owned(),
            "plan_hosts" | "plan_claim_users" => format!("ARRAY[{users}]::uuid[]"),
            "plan_writebacks" if self.who == Who::AtHome => "'{}'".to_owned(),
            "plan_host_calendars" | "plan_claim_homes" | "plan_writebacks" => format!("ARRAY[{calendars}]::uuid[]"),
            "plan_claims" => "ARRAY[gen_random_uuid()]".to_owned(),
            "plan_claim_buffers_before" | "plan_claim_buffers_after" => "'{0}'".to_owned(),
            // A colon before a word would be a variable.
            "plan_decision_record" => format!("'{}'", self.record.replace('\'', "''").replace(':', ": ")),
            "plan_event" => format!("'{}'", EVENT.replace(':', ": ")),
            "plan_answer_counts_us" => "86400000000".to_owned(),
            "plan_clock"
            | "plan_expired_until"
            | "plan_location"
            | "plan_attendee_email"
            | "plan_attendee_email_key"
            | "plan_attendee_phone"
            | "plan_attendee_phone_key"
            | "plan_attendee_timezone"
            | "plan_cancel_reason"
            | "plan_hold"
            | "plan_hold_claims"
            | "plan_decision_hold"
            | "plan_answer_scope"
            | "plan_answer_fingerprint"
            | "plan_answer" => "NULL".to_owned(),
            _ => return None,
        })
    }

    /// A column of the person whose turn it is.
    fn of_person(&self, column: usize) -> String {
        let values: Vec<&str> = self.people.iter().map(|columns| columns[column].as_str()).collect();
        format!("('{{{}}}'::text[])[:person]", values.join(","))
    }
}

/// The call with its parameters filled in by name.
fn call(text: &str, argument: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (head, list) = text.split_once('(').ok_or("the call has no parameters")?;
    let list = list.strip_suffix(')').ok_or("the call does not end with its parameters")?;
    let filled = list.split(", ").map(|parameter| {
        let name = parameter.split_once(" => ").map(|(name, _)| name.trim()).ok_or("a parameter has no name")?;
        let value = argument(name).ok_or_else(|| format!("nothing is known to stand for {name}"))?;
        Ok::<_, String>(format!("{name} => {value}"))
    });
    Ok(format!("{head}({})", filled.collect::<Result<Vec<_>, _>>()?.join(", ")))
}

/// The number after some words.
fn figure(said: &str, words: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.strip_prefix(words))?;
    line.split([' ', '/']).next()?.parse().ok()
}

#[test]
fn parameters_are_filled_in_by_name() {
    let known = |name: &str| (name != "c").then(|| name.to_uppercase());
    assert_eq!(call("SELECT f(a => $1, b => $2)", known), Ok("SELECT f(a => A, b => B)".to_owned()));
    assert!(call("SELECT f(c => $1)", known).is_err());
}

#[test]
fn figures_are_found() {
    let said = "pgbench (15.9)\nnumber of transactions actually processed: 4711/4711\ntps = 941.5 (without ..)\n";
    assert_eq!(figure(said, "number of transactions actually processed: "), Some(4711.0));
    assert_eq!(figure(said, "tps = "), Some(941.5));
    assert_eq!(figure(said, "latency"), None);
}
