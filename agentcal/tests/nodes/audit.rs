//! Who wrote what, and who owned it then, as the database itself saw it.
//!
//! Triggers write down every change of a shard's owner, which node has which lease, and every transaction that claims time,
//! saves a sync or notes what became of an event, with the address it came from: one for each life of a node. Afterwards the
//! database's own times of commits say in which order it all came true. A transaction is a commit of the owner unless it also
//! names its account as touched, which commits without an owner do.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use agentcal_engine::ids::{BookingId, HoldId};
use agentcal_engine::model::ClaimOwner;
use agentcal_engine::ports::BEAT_TTL;
use agentcal_engine::time::{SECOND_US, TimeRange, Timestamp};
use agentcal_history::{Late, LateCause, Superseded};
use agentcal_testkit::Postgres;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::cluster::{DATABASE, node_at};
use crate::nemesis::{Act, Misfortune};

/// Without it the database forgets when what was committed.
pub(crate) const SETTINGS: [(&str, &str); 1] = [("track_commit_timestamp", "on")];

const INSTALL: &str = include_str!("audit.sql");

/// What is added to the time in which a node could not write the cache: what it had begun before may end after.
const TROUBLE_MARGIN_US: i64 = 3 * SECOND_US;
/// How a node says that it could not write the cache.
const CACHE_TROUBLE: &str = "the fact cache is unavailable";

/// Commits of owners by who was not, and how many transactions were looked at.
const SUPERSEDED: &str =
    "SELECT what, client AS writer, epoch, at FROM audit.judged WHERE NOT is_owner AND NOT is_touch ORDER BY at";
/// Who took what time, and how.
const TAKEN: &str = "SELECT DISTINCT w.hold_id, w.booking_id, w.start_at, w.end_at, j.client, j.is_touch, j.at \
    FROM audit.writes w JOIN audit.judged j USING (xid) WHERE w.start_at IS NOT NULL AND w.taken";

#[derive(Deserialize)]
struct SupersededRow {
    what: String,
    writer: String,
    epoch: i64,
    at: i64,
}

#[derive(Deserialize)]
struct TakenRow {
    hold_id: Option<Uuid>,
    booking_id: Option<Uuid>,
    start_at: i64,
    end_at: i64,
    client: String,
    is_touch: bool,
    at: i64,
}

/// How many transactions of each kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Commits {
    /// Of owners.
    pub(crate) owned: i64,
    /// Without an owner.
    pub(crate) ownerless: i64,
    /// Changes of a shard's owner.
    pub(crate) moves: i64,
}

/// Has the database write down who writes. It must have its tables, and nothing in them.
pub(crate) fn install(postgres: &Postgres) {
    postgres.execute(DATABASE, INSTALL);
}

/// Reads everything into one table, to be asked afterwards. A server that was ended as in a power cut has forgotten how
/// much there is.
pub(crate) fn judge(postgres: &Postgres) {
    const ALL: &str = "audit.writes, audit.owners, audit.touches, audit.leases";
    postgres.execute(DATABASE, &format!("ANALYZE {ALL}; REFRESH MATERIALIZED VIEW audit.judged; ANALYZE audit.judged"));
}

pub(crate) fn commits(postgres: &Postgres) -> Commits {
    let count = |select: &str| postgres.execute(DATABASE, select).parse().expect("a count");
    Commits {
        owned: count("SELECT count(*) FROM audit.judged WHERE NOT is_touch"),
        ownerless: count("SELECT count(*) FROM audit.judged WHERE is_touch"),
        moves: count("SELECT count(*) FROM audit.owners"),
    }
}

/// Rows of nodes that had no right to write them any more.
pub(crate) fn superseded(postgres: &Postgres) -> Vec<Superseded> {
    let rows: Vec<SupersededRow> = rows(postgres, SUPERSEDED);
    let superseded = rows.into_iter().map(|row| {
        let SupersededRow { what, writer, epoch, at } = row;
        Superseded { what, writer, epoch, at: Timestamp::from_micros(at) }
    });
    superseded.collect()
}

/// A time in which a node may have been unable to write the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    node: usize,
    from: Timestamp,
    until: Timestamp,
}

/// When nodes were cut off from the cache, and what they said of it by themselves: on a busy machine it may be slow by
/// chance. No other misfortune excuses an owner.
pub(crate) fn troubles(acts: &[Act], logs: &[String]) -> Vec<Trouble> {
    let of_act = |act: &Act| {
        let (from, until) = (act.at, act.until);
        act.nodes.iter().map(|&node| Trouble { node, from, until }).collect::<Vec<_>>()
    };
    let cuts = acts.iter().filter(|act| act.what == Misfortune::CacheCut);
    let mut troubles: Vec<Trouble> = cuts.flat_map(of_act).collect();
    for (node, log) in logs.iter().enumerate() {
        for line in log.lines().filter(|line| line.contains(CACHE_TROUBLE)) {
            let said = line.split_whitespace().next().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
            let at = Timestamp::from_micros(said.expect("a line of a log begins with its time").timestamp_micros());
            // What the cache did not take is tried again in rounds, and a beat that could not be ended runs out by itself.
            troubles.push(Trouble { node, from: at, until: at + BEAT_TTL });
        }
    }
    troubles
}

/// What readers may see late, and why.
pub(crate) fn late(postgres: &Postgres, troubles: &[Trouble]) -> Vec<Late> {
    let mut late: BTreeSet<Late> = BTreeSet::new();
    for row in rows::<TakenRow>(postgres, TAKEN) {
        let owner = match (row.hold_id, row.booking_id) {
            (Some(hold_id), None) => ClaimOwner::Hold(HoldId::from_uuid(hold_id)),
            (None, Some(booking_id)) => ClaimOwner::Booking(BookingId::from_uuid(booking_id)),
            both => panic!("a claim belongs to {both:?}"),
        };
        let instant = Timestamp::from_micros;
        let range = TimeRange::new(instant(row.start_at), instant(row.end_at)).expect("ends after its start");
        let client: Ipv4Addr = row.client.parse().expect("an address");
        if row.is_touch {
            late.insert(Late { owner, range, cause: LateCause::Ownerless });
        } else if was_in_trouble(troubles, node_at(client), instant(row.at)) {
            late.insert(Late { owner, range, cause: LateCause::Uncached });
        }
    }
    late.into_iter().collect()
}

fn was_in_trouble(troubles: &[Trouble], node: usize, at: Timestamp) -> bool {
    let mut of_node = troubles.iter().filter(|trouble| trouble.node == node);
    of_node.any(|trouble| {
        let (from, until) =
            (trouble.from.plus_micros(-TROUBLE_MARGIN_US), trouble.until.plus_micros(TROUBLE_MARGIN_US));
        from <= at && at <= until
    })
}

fn rows<T: DeserializeOwned>(postgres: &Postgres, select: &str) -> Vec<T> {
    let said = postgres.execute(DATABASE, &format!("SELECT coalesce(json_agg(t), '[]') FROM ({select}) t"));
    serde_json::from_str(&said).expect("rows that can be read")
}
