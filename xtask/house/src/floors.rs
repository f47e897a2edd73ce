//! What may import what: downwards only, and never a sibling.

use crate::Finding;
use crate::metadata::{Metadata, Package};

/// A package, what may be built into it, and what its tests may use besides.
struct Room {
    name: &'static str,
    imports: &'static [&'static str],
    test_imports: &'static [&'static str],
}

const ENGINE: &str = "agentcal-engine";
const VAULT: &str = "agentcal-store-vault";
const SQLITE: &str = "agentcal-store-sqlite";
const POSTGRES: &str = "agentcal-store-postgres";
const REDIS: &str = "agentcal-store-redis";
const MEMORY: &str = "agentcal-store-memory";
const CONFORMANCE: &str = "agentcal-store-conformance";
const EGRESS: &str = "agentcal-provider-egress";
const CALDAV: &str = "agentcal-provider-caldav";
const MICROSOFT: &str = "agentcal-provider-microsoft";
const GOOGLE: &str = "agentcal-provider-google";
const OAUTH: &str = "agentcal-provider-oauth";
const SANDBOX: &str = "agentcal-provider-sandbox";
const SCENARIOS: &str = "agentcal-provider-conformance";
const MAIL: &str = "agentcal-delivery-mail";
const WEBHOOKS: &str = "agentcal-delivery-webhooks";
const ACTORS: &str = "agentcal-actors";
const PEERS: &str = "agentcal-peers";
const API: &str = "agentcal-api";
const WEB: &str = "agentcal-web";
const HISTORY: &str = "agentcal-history";
const SIM_STORE: &str = "agentcal-sim-store";
const TESTKIT: &str = "agentcal-testkit";
const FAKE_KIT: &str = "agentcal-fake-kit";
const FAKE_MICROSOFT: &str = "agentcal-fake-microsoft";
const FAKE_GOOGLE: &str = "agentcal-fake-google";
const FAKE_SVIX: &str = "agentcal-fake-svix";

/// The house, from the ground up. A new package begins with a line here.
const HOUSE: &[Room] = &[
    Room { name: ENGINE, imports: &[], test_imports: &[] },
    Room { name: VAULT, imports: &[ENGINE], test_imports: &[] },
    Room { name: SQLITE, imports: &[ENGINE, VAULT], test_imports: &[CONFORMANCE] },
    Room { name: POSTGRES, imports: &[ENGINE, VAULT], test_imports: &[CONFORMANCE, TESTKIT] },
    Room { name: MEMORY, imports: &[ENGINE], test_imports: &[CONFORMANCE] },
    Room { name: REDIS, imports: &[ENGINE], test_imports: &[CONFORMANCE, TESTKIT] },
    Room { name: CONFORMANCE, imports: &[ENGINE], test_imports: &[] },
    Room { name: EGRESS, imports: &[ENGINE], test_imports: &[TESTKIT] },
    Room { name: CALDAV, imports: &[ENGINE, EGRESS], test_imports: &[SCENARIOS, TESTKIT] },
    Room { name: MICROSOFT, imports: &[ENGINE, EGRESS], test_imports: &[SCENARIOS, FAKE_KIT, FAKE_MICROSOFT] },
    Room { name: GOOGLE, imports: &[ENGINE, EGRESS], test_imports: &[SCENARIOS, FAKE_KIT, FAKE_GOOGLE, TESTKIT] },
    Room { name: OAUTH, imports: &[ENGINE, EGRESS], test_imports: &[FAKE_KIT, FAKE_GOOGLE, FAKE_MICROSOFT] },
    Room { name: SANDBOX, imports: &[ENGINE], test_imports: &[SCENARIOS, MEMORY] },
    Room { name: SCENARIOS, imports: &[ENGINE], test_imports: &[] },
    Room { name: MAIL, imports: &[ENGINE, EGRESS], test_imports: &[TESTKIT] },
    Room { name: WEBHOOKS, imports: &[ENGINE, EGRESS], test_imports: &[FAKE_KIT, FAKE_SVIX, TESTKIT] },
    Room { name: ACTORS, imports: &[ENGINE], test_imports: &[SQLITE, MEMORY, VAULT, SANDBOX, TESTKIT] },
    Room { name: PEERS, imports: &[ENGINE, ACTORS], test_imports: &[TESTKIT] },
    Room { name: API, imports: &[ENGINE, ACTORS], test_imports: &[SQLITE, MEMORY, VAULT, SANDBOX, TESTKIT] },
    Room { name: WEB, imports: &[ENGINE, ACTORS], test_imports: &[SQLITE, MEMORY, VAULT, SANDBOX, TESTKIT] },
    Room {
        name: "agentcal",
        imports: &[
            ENGINE, VAULT, SQLITE, POSTGRES, MEMORY, REDIS, EGRESS, CALDAV, GOOGLE, MICROSOFT, OAUTH, SANDBOX, MAIL,
            WEBHOOKS, ACTORS, PEERS, API, WEB,
        ],
        test_imports: &[TESTKIT, HISTORY, FAKE_KIT, FAKE_GOOGLE, FAKE_MICROSOFT, FAKE_SVIX],
    },
    // The instruments. Nothing that ships imports them.
    Room { name: HISTORY, imports: &[ENGINE], test_imports: &[TESTKIT] },
    Room { name: SIM_STORE, imports: &[ENGINE, MEMORY], test_imports: &[CONFORMANCE, ACTORS] },
    Room {
        name: "agentcal-sim",
        imports: &[ENGINE, ACTORS, PEERS, API, WEB, MEMORY, SIM_STORE, HISTORY],
        test_imports: &[TESTKIT],
    },
    Room {
        name: "agentcal-soak",
        imports: &[
            ENGINE,
            ACTORS,
            API,
            GOOGLE,
            MICROSOFT,
            OAUTH,
            MEMORY,
            SIM_STORE,
            FAKE_KIT,
            FAKE_GOOGLE,
            FAKE_MICROSOFT,
        ],
        test_imports: &[],
    },
    Room { name: "agentcal-model", imports: &[], test_imports: &[] },
    Room {
        name: "agentcal-load",
        imports: &[
            ENGINE,
            VAULT,
            SQLITE,
            POSTGRES,
            MEMORY,
            SANDBOX,
            ACTORS,
            API,
            SIM_STORE,
            TESTKIT,
            FAKE_KIT,
            FAKE_GOOGLE,
            FAKE_MICROSOFT,
        ],
        test_imports: &[],
    },
    Room {
        name: "agentcal-counts",
        imports: &[ENGINE, VAULT, MEMORY, SANDBOX, ACTORS, API, SIM_STORE],
        test_imports: &[TESTKIT],
    },
    Room { name: TESTKIT, imports: &[], test_imports: &[] },
    Room { name: FAKE_KIT, imports: &[], test_imports: &[] },
    Room { name: FAKE_MICROSOFT, imports: &[FAKE_KIT], test_imports: &[TESTKIT] },
    Room { name: FAKE_GOOGLE, imports: &[FAKE_KIT], test_imports: &[TESTKIT] },
    Room { name: FAKE_SVIX, imports: &[FAKE_KIT], test_imports: &[TESTKIT] },
    Room { name: "agentcal-house", imports: &[], test_imports: &[] },
    Room { name: "xtask", imports: &[], test_imports: &[] },
];

/// What the engine may not be built from, at any depth: whatever waits, listens or stores.
const IMPURE: [&str; 13] = [
    "tokio",
    "mio",
    "socket2",
    "async-std",
    "smol",
    "hyper",
    "reqwest",
    "axum",
    "rustls",
    "sqlx",
    "rusqlite",
    "ractor",
    "fred",
];

/// What the engine may not name itself. Deeper down it is the seed of a hash map in somebody's parser.
const CHANCE: [&str; 4] = ["rand", "rand_chacha", "getrandom", "fastrand"];

/// Imports that run upwards, sideways or out of the table.
pub fn forbidden_edges(metadata: &Metadata) -> Vec<Finding> {
    metadata.members().flat_map(|member| forbidden_of(metadata, member)).collect()
}

fn forbidden_of(metadata: &Metadata, member: &Package) -> Vec<Finding> {
    let Some(room) = HOUSE.iter().find(|room| room.name == member.name) else { return Vec::new() };
    let (shipped, dev) = metadata.imports(member);
    let shipped = shipped.into_iter().filter(|name| !room.imports.contains(name));
    // A package that imports itself for its tests switches on a feature for them.
    let may_test_with = |name: &&str| *name == room.name || [room.imports, room.test_imports].concat().contains(name);
    let dev = dev.into_iter().filter(|name| !may_test_with(name));
    let shipped = shipped.map(|name| Finding::of(room.name, format!("may not import {name}")));
    let dev = dev.map(|name| Finding::of(room.name, format!("may not import {name}, not even for tests")));
    shipped.chain(dev).collect()
}

/// Members the table does not know, and rooms that stand empty.
pub fn missing_from_table(metadata: &Metadata) -> Vec<Finding> {
    let members: Vec<&str> = metadata.members().map(|member| member.name.as_str()).collect();
    let unknown = members.iter().filter(|name| !HOUSE.iter().any(|room| room.name == **name));
    let empty = HOUSE.iter().filter(|room| !members.contains(&room.name));
    let unknown = unknown.map(|name| Finding::of(name, "is not in the table of floors"));
    let empty = empty.map(|room| Finding::of(room.name, "is in the table of floors and not in the workspace"));
    unknown.chain(empty).collect()
}

/// What the engine is built from and must not be.
pub fn impurities(metadata: &Metadata) -> Vec<Finding> {
    let (direct, built_from) = (metadata.direct(ENGINE), metadata.built_from(ENGINE));
    let impure = IMPURE.iter().filter(|name| built_from.contains(*name));
    let by_chance = CHANCE.iter().filter(|name| direct.contains(*name));
    impure.chain(by_chance).map(|name| Finding::of(ENGINE, format!("is built from {name}"))).collect()
}
