//! A Svix server on this machine, to try things out with.

use agentcal_fake_kit::{Clock, serve};
use agentcal_fake_svix::FakeSvix;
use clap::Parser;

/// Serves Svix's API, whose state is gone when it ends.
#[derive(Parser)]
struct Arguments {
    /// Port to listen to; 0 means any free one.
    #[arg(long, default_value_t = 8071)]
    port: u16,
    /// The token it knows.
    #[arg(long, default_value = "testsk_agentcal")]
    token: String,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let svix = FakeSvix::new(Clock::system(), &arguments.token);
    let served = serve(svix.router(), arguments.port).await;
    println!("Svix (fake): AGENTCAL_SVIX_URL={} AGENTCAL_SVIX_TOKEN={}", served.base_url(), arguments.token);
    served.forever().await;
}
