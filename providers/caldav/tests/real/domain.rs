//! From a mail address to calendars, through DNS (RFC 6764).

use agentcal_engine::ports::{Provider, ProviderError};
use agentcal_provider_caldav::{CaldavOptions, CaldavProvider};
use agentcal_testkit::{PASSWORD, ServerKind, USERNAME};
use hickory_server::proto::rr::rdata::{A, SRV, TXT};
use hickory_server::proto::rr::{RData, RecordType};

use crate::dns_server::DnsServer;
use crate::support::{Bench, basic, on_both_servers, sync, window};

on_both_servers!(a_mail_domain_leads_to_calendars);

async fn a_mail_domain_leads_to_calendars(bench: &Bench) {
    let port = bench.server.address().port();
    let dns = DnsServer::new(move |name, kind, _| match (name, kind) {
        ("_caldav._tcp.people.example.", RecordType::SRV) => vec![srv(port, "dav.people.example.")],
        ("_caldav._tcp.people.example.", RecordType::TXT) => vec![RData::TXT(TXT::new(vec!["path=/".to_owned()]))],
        ("_caldav._tcp.plain.example.", RecordType::SRV) => vec![srv(port, "plain.example.")],
        ("_caldavs._tcp.moved.example.", RecordType::SRV) => vec![srv(443, "dav.elsewhere.example.")],
        ("dav.people.example." | "plain.example.", RecordType::A) => vec![RData::A(A([127, 0, 0, 1].into()))],
        _ => vec![],
    })
    .await;
    let options = CaldavOptions { dns: Some(dns.address), ..CaldavOptions::development() };
    let provider = CaldavProvider::new(options).unwrap();
    for server_url in ["alice@people.example", "people.example", "plain.example"] {
        let credentials = basic(server_url, USERNAME, PASSWORD);
        let found = provider.discover(&credentials).await.unwrap();
        let team = found.calendars.iter().find(|calendar| calendar.name == "Work").unwrap();
        let calendar = crate::support::calendar(&team.provider_calendar_id, credentials);
        let synced = sync(&provider, &calendar, agentcal_engine::ports::SyncMode::Full, window()).await.unwrap();
        assert_eq!(synced.changes.len(), 0, "{server_url}");
    }
    let moved = provider.discover(&basic("alice@moved.example", USERNAME, PASSWORD)).await;
    let Err(ProviderError::Refused(reason)) = moved else { panic!("{moved:?}") };
    assert!(reason.contains("https://dav.elsewhere.example"), "{reason}");
    let nowhere = provider.discover(&basic("alice@nowhere.example", USERNAME, PASSWORD)).await;
    assert!(matches!(nowhere, Err(ProviderError::Unavailable(_))), "{nowhere:?}");
    let no_address = provider.discover(&basic("not an address", USERNAME, PASSWORD)).await;
    assert!(matches!(no_address, Err(ProviderError::Refused(_))), "{no_address:?}");
}

fn srv(port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(0, 0, port, target.parse().unwrap()))
}

#[tokio::test]
async fn the_user_name_is_an_address_where_the_principal_names_none() {
    let Some(bench) = Bench::new(ServerKind::Xandikos).await else { return };
    let found = bench.provider.discover(&basic(&bench.server.url(), "Alice@Example.com", PASSWORD)).await.unwrap();
    assert_eq!(found.owner_addresses, ["alice@example.com"]);
}
