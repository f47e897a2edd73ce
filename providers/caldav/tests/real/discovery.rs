//! Finding calendars.

use agentcal_engine::ports::{Credentials, Provider, ProviderError};
use agentcal_testkit::{PASSWORD, READ_ONLY_PREFIX, ServerKind, USERNAME};
use chrono_tz::Tz;

use crate::support::{Bench, FILLER, basic, on_both_servers};

on_both_servers!(finds_calendars_from_root_principal_and_well_known, finds_a_zone);

async fn finds_calendars_from_root_principal_and_well_known(bench: &Bench) {
    let root = bench.server.url();
    for server_url in [
        root.clone(),
        root.trim_end_matches('/').to_owned(),
        format!("{root}{USERNAME}/"),
        bench.collection.to_string(),
    ] {
        let found = bench.provider.discover(&basic(&server_url, USERNAME, PASSWORD)).await.unwrap();
        let work = found.calendars.iter().find(|calendar| calendar.provider_calendar_id == bench.collection.as_str());
        let work = work.unwrap_or_else(|| panic!("{server_url}: {found:?}"));
        assert_eq!((work.name.as_str(), work.writable), ("Work", true), "{server_url}");
        assert_eq!(found.display_name, USERNAME);
        assert_eq!(found.owner_addresses, Vec::<String>::new(), "the user name is no address");
    }
}

async fn finds_a_zone(bench: &Bench) {
    let zone = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//t//EN\r\nBEGIN:VTIMEZONE\r\nTZID:Asia/Kolkata\r\nBEGIN:STANDARD\r\n\
        DTSTART:19700101T000000\r\nTZOFFSETFROM:+0530\r\nTZOFFSETTO:+0530\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nEND:VCALENDAR\r\n";
    let body = format!(
        "<D:propertyupdate xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\"><D:set><D:prop>\
         <C:calendar-timezone>{zone}</C:calendar-timezone></D:prop></D:set></D:propertyupdate>"
    );
    let headers = [("content-type", "application/xml; charset=utf-8")];
    let answer = bench.raw(USERNAME, "PROPPATCH", bench.collection.clone(), &headers, &body).await;
    assert!(answer.status.is_success(), "{}", answer.status);
    let found = bench.provider.discover(&bench.credentials()).await.unwrap();
    let work = found.calendars.iter().find(|calendar| calendar.name == "Work").unwrap();
    assert_eq!(work.timezone, Some(Tz::Asia__Kolkata));
}

#[tokio::test]
async fn a_calendar_that_may_only_be_read_is_not_writable() {
    let Some(bench) = Bench::new(ServerKind::Radicale).await else { return };
    let url = format!("{}{READ_ONLY_PREFIX}-holidays/", bench.server.home_url()).parse().unwrap();
    let answer = bench.raw(FILLER, "MKCALENDAR", url, &[], "").await;
    assert!(answer.status.is_success(), "{}", answer.status);
    let found = bench.provider.discover(&bench.credentials()).await.unwrap();
    let writable: Vec<(bool, bool)> = found
        .calendars
        .iter()
        .map(|calendar| (calendar.provider_calendar_id.contains(READ_ONLY_PREFIX), calendar.writable))
        .collect();
    assert!(writable.contains(&(true, false)) && writable.contains(&(false, true)), "{writable:?}");
}

#[tokio::test]
async fn wrong_password_is_unauthorized() {
    let Some(bench) = Bench::new(ServerKind::Radicale).await else { return };
    let check = async |credentials: Credentials| {
        let answer = bench.provider.discover(&credentials).await;
        assert!(matches!(answer, Err(ProviderError::Unauthorized(_))), "{answer:?}");
    };
    check(basic(&bench.server.url(), USERNAME, "wrong")).await;
    check(basic(&bench.server.url(), "nobody", PASSWORD)).await;
    check(basic(&bench.server.url(), "a:b", PASSWORD)).await;
    check(Credentials::CaldavBearer { server_url: bench.server.url(), token: "wrong".to_owned() }).await;
}
