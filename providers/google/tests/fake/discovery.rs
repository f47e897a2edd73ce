//! Which calendars there are.

use agentcal_engine::ports::{Credentials, Provider, ProviderError, RemoteCalendar};
use agentcal_fake_kit::{Fault, Rule, When};
use chrono_tz::Tz;

use crate::support::{SARAH, Stage, TZ};

const HOLIDAYS: &str = "en.german#holiday@group.v.calendar.google.com";

#[tokio::test]
async fn calendars_are_listed_page_by_page() {
    let stage = Stage::new().await;
    stage.google.add_calendar(SARAH, "team@group.calendar.google.com", Tz::America__New_York, "writer");
    stage.google.add_calendar(SARAH, HOLIDAYS, TZ, "reader");
    stage.google.add_calendar(SARAH, "boss@example.com", TZ, "freeBusyReader");
    let calendar = |id: &str, timezone, writable| RemoteCalendar {
        provider_calendar_id: id.to_owned(),
        name: id.to_owned(),
        timezone: Some(timezone),
        writable,
    };
    let expected = [
        calendar(SARAH, TZ, true),
        calendar("team@group.calendar.google.com", Tz::America__New_York, true),
        calendar(HOLIDAYS, TZ, false),
        calendar("boss@example.com", TZ, false),
    ];
    for len in [250, 3, 1] {
        stage.google.set_page_len_max(len);
        let found = stage.provider.discover(&stage.calendar.credentials).await.unwrap();
        assert_eq!(found.calendars, expected, "{len}");
        assert_eq!(found.display_name, SARAH);
        assert_eq!(found.owner_addresses, [SARAH]);
    }
}

#[tokio::test]
async fn a_zone_nobody_knows_and_an_entry_nobody_can_read_hide_nothing_else() {
    let stage = Stage::new().await;
    stage.google.add_calendar(SARAH, "team@group.calendar.google.com", Tz::America__New_York, "writer");
    for (from, to, zones) in
        [("America/New_York", "Mars/Olympus", vec![Some(TZ), None]), (r#""writer""#, "7", vec![Some(TZ)])]
    {
        stage.google.faults().clear();
        stage.google.faults().add(Rule::new(
            "GET",
            "/calendarList",
            When::Always,
            Fault::Replace(from.into(), to.into()),
        ));
        let found = stage.provider.discover(&stage.calendar.credentials).await.unwrap();
        let found: Vec<_> = found.calendars.into_iter().map(|calendar| calendar.timezone).collect();
        assert_eq!(found, zones, "{from}");
    }
}

#[tokio::test]
async fn credentials_of_another_provider_are_refused() {
    let stage = Stage::new().await;
    let error = stage.provider.discover(&Credentials::Sandbox { seed: 1 }).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused(_)), "{error}");
}
