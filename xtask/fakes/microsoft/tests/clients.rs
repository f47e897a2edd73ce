//! Clients that nobody here wrote take the fake for Microsoft Graph.

use std::path::Path;

use agentcal_fake_kit::Clock;
use agentcal_fake_microsoft::FakeGraph;
use agentcal_testkit::python;

async fn drive(client: &'static str) {
    let fake = FakeGraph::start(Clock::system(), 0).await;
    fake.add_mailbox("sarah@example.com", "W. Europe Standard Time");
    let (base_url, token) = (format!("{}/", fake.base_url()), fake.token("sarah@example.com", "app"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients.py");
    let printed = tokio::task::spawn_blocking(move || python(&script, &[client, &base_url, &token])).await;
    match printed.expect("the script was waited for") {
        Some(printed) => {
            assert_eq!(printed, "as expected\n");
            assert!(fake.calls().total() > 15, "{client} asked the fake");
        }
        None => assert_eq!(fake.calls().total(), 0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn microsofts_own_client_is_at_home() {
    drive("msgraph").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o365_is_at_home() {
    drive("o365").await;
}
