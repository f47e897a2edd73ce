//! A provider that does as its `server_url` says.

use std::sync::Mutex;
use std::time::Duration;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::limits::LimitKind;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    CalendarRef, Credentials, Discovery, Doorbell, EventDelete, EventWrite, Oddities, Provider, ProviderError,
    RemoteCalendar, ResourceChange, SyncCursor, SyncNext, SyncPage, SyncRequest, WatchHandle, Watched, WriteOutcome,
    WrittenEvent,
};
use agentcal_engine::time::TimeRange;
use async_trait::async_trait;

/// How syncs go.
#[derive(Clone, Debug, Default)]
pub(crate) enum Behaviour {
    /// Nothing is busy.
    #[default]
    Free,
    /// These times are busy.
    Busy(Vec<TimeRange>),
    /// Nothing can be had.
    Failing,
    /// Nothing can be had, and that takes longer than anybody waits.
    Slow,
    /// Never answers.
    Hanging,
}

/// Calendars of the kind CalDAV: `mine` can be written to, `theirs` cannot.
#[derive(Default)]
pub(crate) struct ScriptedProvider {
    behaviour: Mutex<Behaviour>,
}

impl ScriptedProvider {
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().expect("nobody panics holding it") = behaviour;
    }
}

#[async_trait]
impl Provider for ScriptedProvider {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Caldav
    }

    async fn discover(&self, credentials: &Credentials) -> Result<Discovery, ProviderError> {
        let (server_url, display_name) = match credentials {
            Credentials::CaldavBasic { server_url, username, .. } => (server_url, username.as_str()),
            Credentials::CaldavBearer { server_url, .. } => (server_url, "bearer"),
            Credentials::Sandbox { .. } | Credentials::Oauth(_) => {
                return Err(ProviderError::Refused("not a sandbox".to_owned()));
            }
        };
        match server_url.as_str() {
            "https://dav.example" => Ok(discovery(display_name)),
            "https://many.example" => {
                let mut many = discovery(display_name);
                many.calendars = (0..251).map(|index| calendar(&format!("c{index}"), true)).collect();
                Ok(many)
            }
            "https://wrong-password.example" => Err(ProviderError::Unauthorized("401".to_owned())),
            "https://down.example" => Err(ProviderError::Unavailable("connection refused".to_owned())),
            "https://slow-down.example" => {
                Err(ProviderError::RateLimited { retry_after: Some(Duration::from_secs(7)), of: LimitKind::Client })
            }
            "http://10.0.0.1" => Err(ProviderError::AddressNotAllowed("10.0.0.1 is private".to_owned())),
            "https://panics.example" => panic!("scripted"),
            "https://silent.example" => std::future::pending().await,
            _ => Err(ProviderError::Refused("no CalDAV here".to_owned())),
        }
    }

    async fn watch(
        &self,
        _: &CalendarRef,
        _: Option<&Doorbell>,
        _: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        Ok(Watched::POLLING)
    }

    async fn sync(&self, calendar: &CalendarRef, _request: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let behaviour = self.behaviour.lock().expect("nobody panics holding it").clone();
        let busy = match behaviour {
            Behaviour::Free => Vec::new(),
            Behaviour::Busy(ranges) => ranges,
            Behaviour::Failing => return Err(ProviderError::Unavailable("scripted".to_owned())),
            Behaviour::Hanging => std::future::pending().await,
            Behaviour::Slow => {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                return Err(ProviderError::Unavailable("scripted".to_owned()));
            }
        };
        let busy = if calendar.provider_calendar_id == "mine" { busy } else { Vec::new() };
        let change = |(index, range): (usize, TimeRange)| ResourceChange {
            provider_event_id: format!("event-{index}"),
            instances: vec![ExternalInstance { range, booking_id: None, blocks: true }],
        };
        let changes = busy.into_iter().enumerate().map(change).collect();
        Ok(SyncPage {
            changes,
            next: SyncNext::Done { cursor: SyncCursor("1".to_owned()) },
            oddities: Oddities::default(),
        })
    }

    async fn write_event(&self, _calendar: &CalendarRef, write: &EventWrite) -> Result<WriteOutcome, ProviderError> {
        let provider_event_id = format!("{}.ics", write.booking_id);
        Ok(WriteOutcome::Written(WrittenEvent { provider_event_id, etag: None }))
    }

    async fn delete_event(&self, _calendar: &CalendarRef, _delete: &EventDelete) -> Result<(), ProviderError> {
        Ok(())
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        (Duration::from_secs(10), Duration::from_secs(60))
    }
}

fn discovery(display_name: &str) -> Discovery {
    Discovery {
        display_name: display_name.to_owned(),
        owner_addresses: vec!["sarah@example.com".to_owned()],
        calendars: vec![calendar("mine", true), calendar("theirs", false)],
    }
}

fn calendar(name: &str, writable: bool) -> RemoteCalendar {
    RemoteCalendar {
        provider_calendar_id: name.to_owned(),
        name: name.to_owned(),
        timezone: Some(chrono_tz::Europe::Berlin),
        writable,
    }
}
