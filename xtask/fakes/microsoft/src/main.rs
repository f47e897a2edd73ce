//! Runs the fake by itself: `agentcal-fake-microsoft [port] [address..]`.

use agentcal_fake_kit::Clock;
use agentcal_fake_microsoft::FakeGraph;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let mut addresses: Vec<String> = arguments.collect();
    if addresses.is_empty() {
        addresses.push("sarah@example.com".to_owned());
    }
    let fake = FakeGraph::start(Clock::system(), port).await;
    println!("Microsoft Graph: {}", fake.graph_url());
    println!("Identity: {}/common/oauth2/v2.0/authorize and /token", fake.base_url());
    for address in addresses {
        let calendar = fake.add_mailbox(&address, "W. Europe Standard Time");
        println!("{address}: calendar {calendar}, access token {}", fake.token(&address, "dev"));
    }
    fake.forever().await;
}
