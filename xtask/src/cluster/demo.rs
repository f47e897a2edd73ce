//! Something to book: an account, three people with lifelike calendars and half an hour of theirs, made as any customer
//! would make it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::state::{State, write_private};
use super::{launch, process};
use crate::run::{Failure, asked};
use crate::workspace::Workspace;

const OFFERED_WITHIN: Duration = Duration::from_secs(60);

/// Name, address, zone, and the hours of a working day.
const PEOPLE: [(&str, &str, &str, &str, &str); 3] = [
    ("Anna Becker", "anna@example.com", "Europe/Berlin", "08:00", "19:00"),
    ("Noah Carter", "noah@example.com", "America/New_York", "07:00", "18:00"),
    ("Priya Nair", "priya@example.com", "Asia/Kolkata", "12:00", "23:00"),
];

/// Where it says how to ask the cluster.
pub(super) fn file(workspace: &Workspace) -> PathBuf {
    workspace.target.join("cluster.json")
}

/// Makes it all through the first node, and returns when every node offers time.
pub(super) fn load(workspace: &Workspace, state: &State) -> Result<(), Failure> {
    let organization = printed(launch::agentcal(state).args(["org", "create", "--name", "Demo organization"]))?;
    let mut key = launch::agentcal(state);
    let secret_key = printed(key.args(["key", "create", "--organization", &organization, "--mode", "test"]))?;
    let client = Client { address: state.nodes[0].address, secret_key: &secret_key };
    let account =
        client.write("POST", "/v1/accounts", &json!({"name": "Demo account", "timezone": "Europe/Berlin"}))?;
    let account_id = id_of(&account)?;
    let base = format!("/v1/accounts/{account_id}");
    let user_ids = PEOPLE.iter().map(|person| make_person(&client, &base, person)).collect::<Result<Vec<_>, _>>()?;
    let event_type = json!({
        "name": "Intro call", "slug": "intro-call", "duration_minutes": 30, "user_ids": user_ids,
        "scheduling_mode": "individual", "public": true,
    });
    let event_type_id = id_of(&client.write("POST", &format!("{base}/event-types"), &event_type)?)?;
    let path = offers(&base, &event_type_id)?;
    for node in &state.nodes {
        until_offered(&Client { address: node.address, secret_key: &secret_key }, &path)?;
    }
    let nodes: Vec<String> = state.nodes.iter().map(super::state::Node::url).collect();
    let told = json!({
        "nodes": nodes, "secret_key": secret_key, "account_id": account_id, "user_ids": user_ids,
        "event_type_id": event_type_id,
    });
    write_private(&file(workspace), &told)
}

fn make_person(
    client: &Client<'_>,
    base: &str,
    &(name, email, timezone, from, to): &(&str, &str, &str, &str, &str),
) -> Result<String, Failure> {
    let connection = client.write("POST", &format!("{base}/connections"), &json!({"provider": "sandbox"}))?;
    let calendars = connection["calendars"].as_array().into_iter().flatten();
    let own = calendars.filter(|calendar| calendar["writable"] == true).find_map(|calendar| calendar["id"].as_str());
    let own = own.ok_or_else(|| Failure("a sandbox connection has no calendar to write to".into()))?;
    let user = json!({"name": name, "email": email, "timezone": timezone, "calendar_id": own});
    let user_id = id_of(&client.write("POST", &format!("{base}/users"), &user)?)?;
    let rules = working_days(timezone, from, to);
    client.write("PUT", &format!("{base}/users/{user_id}/availability-rules"), &rules)?;
    Ok(user_id)
}

fn until_offered(client: &Client<'_>, path: &str) -> Result<(), Failure> {
    let offered = process::wait_for(OFFERED_WITHIN, || {
        let answer = client.get(path)?;
        let has_slots = answer.body["slots"].as_array().is_some_and(|slots| !slots.is_empty());
        (answer.status == 200 && has_slots).then_some(())
    });
    offered.ok_or_else(|| Failure(format!("{} offers no time", client.address)))
}

/// The question for the next week.
fn offers(base: &str, event_type_id: &str) -> Result<String, Failure> {
    let day = |offset: &str| {
        let printed = asked(Command::new("date").args(["-u", "-d", offset, "+%F"]));
        printed.map(|day| day.trim().to_owned()).ok_or_else(|| Failure("`date` prints no date".into()))
    };
    let (from, to) = (day("today")?, day("7 days")?);
    Ok(format!("{base}/availability?event_type_id={event_type_id}&start_date={from}&end_date={to}&limit=1"))
}

/// Runs the program and returns what it printed.
fn printed(command: &mut Command) -> Result<String, Failure> {
    let text = asked(command).ok_or_else(|| Failure("the program makes no organization or key".into()))?;
    Ok(text.trim().to_owned())
}

fn id_of(value: &Value) -> Result<String, Failure> {
    value["id"].as_str().map(str::to_owned).ok_or_else(|| Failure(format!("an answer has no id: {value}")))
}

fn working_days(timezone: &str, from: &str, to: &str) -> Value {
    let day = |day_of_week: u32| json!({"day_of_week": day_of_week, "start_time": from, "end_time": to});
    json!({"timezone": timezone, "rules": (1..=5).map(day).collect::<Vec<_>>()})
}
