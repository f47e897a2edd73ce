//! A Google Calendar on this machine, to try things out with.

use agentcal_fake_google::{ALL_SCOPES, FakeGoogle};
use agentcal_fake_kit::{Clock, serve};
use chrono_tz::Tz;
use clap::Parser;

/// Serves a Google Calendar with its OAuth endpoints, whose state is gone when it ends.
#[derive(Parser)]
struct Arguments {
    /// Port to listen to; 0 means any free one.
    #[arg(long, default_value_t = 8090)]
    port: u16,
    /// Users there are, each with a primary calendar.
    #[arg(long = "user", default_values_t = ["sarah@example.com".to_owned(), "tom@example.com".to_owned()])]
    users: Vec<String>,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let google = FakeGoogle::new(Clock::system());
    for user in &arguments.users {
        google.add_user(user, Tz::Europe__Berlin);
    }
    let served = serve(google.router(), arguments.port).await;
    println!("Google Calendar (fake): {}", served.base_url());
    println!("  API    {}/calendar/v3/", served.base_url());
    println!("  OAuth  {0}/o/oauth2/v2/auth, {0}/token, {0}/revoke", served.base_url());
    for user in &arguments.users {
        let token = google.token_with(user, "any", &ALL_SCOPES);
        println!("  user   {user}, access token {token}");
    }
    served.forever().await;
}
