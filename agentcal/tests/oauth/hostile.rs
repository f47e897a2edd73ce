//! Providers that say what they never should. What cannot be understood blocks, what makes no sense is not believed; both are
//! counted and logged without a word of what was there, and everybody else's calendars go on.

use agentcal_engine::model::ProviderKind;
use agentcal_fake_kit::{Fault, Rule, When};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::private::{GUEST, GUEST_NAME, PLACE, TEXT, TITLE, plant};
use crate::stage::{SARAH, Stage, text};
use crate::watching::watched;
use crate::{free, is_offered, noon, own_calendar, person};

const TEAM: &str = "team@example.com";
const REQUESTS: &str = "agentcal_provider_requests_total";
const ODDITIES: &str = "agentcal_provider_oddities_total";

/// Two providers: what comes from one is garbled, what comes from the other is not.
struct Play {
    stage: Stage,
    garbled: ProviderKind,
    /// Whose calendar is garbled.
    victim: String,
    /// Whose calendars are not: at the other provider, and at Google another one of the same connection.
    bystanders: Vec<(String, Aside)>,
}

/// A calendar that is not garbled.
#[derive(Clone, Copy)]
enum Aside {
    Sarahs(ProviderKind),
    Team,
}

fn name(kind: ProviderKind) -> &'static str {
    if kind == ProviderKind::Google { "google" } else { "microsoft" }
}

impl Play {
    fn of(garbled: ProviderKind) -> Self {
        let stage = Stage::with(&[("AGENTCAL_LOG", "debug".to_owned())]);
        let other = if garbled == ProviderKind::Google { ProviderKind::Microsoft } else { ProviderKind::Google };
        let [here, there] = [garbled, other].map(|kind| watched(&stage, &stage.connect(name(kind))));
        let victim = person(&stage, own_calendar(&here));
        let mut bystanders = vec![(person(&stage, own_calendar(&there)), Aside::Sarahs(other))];
        if garbled == ProviderKind::Google {
            let calendars = here["calendars"].as_array().expect("a list");
            let team = calendars.iter().find(|calendar| calendar["name"] == TEAM).expect("it is in the list");
            bystanders.push((person(&stage, text(team, "id")), Aside::Team));
        }
        Self { stage, garbled, victim, bystanders }
    }

    /// What Sarah's own calendar answers is garbled from now on.
    fn garble(&self, fault: Fault) {
        let (faults, path) = match self.garbled {
            ProviderKind::Google => (self.stage.google.faults(), SARAH),
            _ => (self.stage.graph.faults(), "calendarView"),
        };
        faults.add(Rule::new("GET", path, When::Always, fault));
    }

    fn clear(&self) {
        self.stage.google.faults().clear();
        self.stage.graph.faults().clear();
    }

    /// Somebody else's secret meeting in Sarah's calendar; its provider rings.
    fn meet(&self, at: DateTime<Utc>) {
        let _rung_from = self.stage.runtime.enter();
        plant(&self.stage, self.garbled, at);
    }

    /// Sarah has nothing to do any more.
    fn cancel_all(&self) {
        let _rung_from = self.stage.runtime.enter();
        if self.garbled == ProviderKind::Google {
            for event in self.stage.google.events(SARAH) {
                self.stage.google.delete(SARAH, text(&event, "id"));
            }
            return;
        }
        let (_, events) = self.stage.graph.act(SARAH, "GET", "/me/events", Value::Null);
        for event in events["value"].as_array().expect("a list") {
            let path = format!("/me/events/{}", text(event, "id"));
            self.stage.graph.act(SARAH, "DELETE", &path, Value::Null);
        }
    }

    /// Whatever happens to Sarah, what changes for others is seen.
    fn others_go_on(&self, what: &str, at: DateTime<Utc>) {
        for (user, aside) in &self.bystanders {
            assert!(is_offered(&self.stage, user, at), "{what}");
            {
                let _rung_from = self.stage.runtime.enter();
                match *aside {
                    Aside::Sarahs(kind) => self.stage.someone_is_busy(kind, at),
                    Aside::Team => {
                        let end = at + TimeDelta::hours(1);
                        let event =
                            json!({"start": {"dateTime": at.to_rfc3339()}, "end": {"dateTime": end.to_rfc3339()}});
                        self.stage.google.insert(TEAM, event);
                    }
                }
            }
            let seen = || (!is_offered(&self.stage, user, at)).then_some(());
            self.stage.until(&format!("{what}: others to go on"), seen);
        }
    }

    fn failed(&self) -> u64 {
        let of = |status| self.stage.counted(REQUESTS, &[("provider", name(self.garbled)), ("status", status)]);
        of("refused") + of("unavailable")
    }

    fn odd(&self) -> u64 {
        self.stage.counted(ODDITIES, &[("provider", name(self.garbled)), ("kind", "unreadable")])
    }
}

fn misspoken(garbled: ProviderKind) {
    let play = Play::of(garbled);
    let stage = &play.stage;
    let day = |number: i64| noon(stage) + TimeDelta::days(number);

    let odd = play.odd();
    play.garble(Fault::Replace(day(0).format("%Y-%m-%dT%H:%M:%S").to_string(), "soon".to_owned()));
    play.meet(day(0));
    stage.until("an event that cannot be read to block", || free(stage, &play.victim, day(3)).is_empty().then_some(()));
    assert!(play.odd() > odd, "it is counted");
    play.others_go_on("an event that cannot be read", day(0));
    play.clear();
    play.cancel_all();
    stage.until("its end to free the calendar", || is_offered(stage, &play.victim, day(0)).then_some(()));

    let page = |body: String| Fault::Status {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body,
    };
    let faults = [
        ("a web page", page(format!("<html><title>{TITLE}</title></html>"))),
        ("half an answer", Fault::Cut { bytes: 60 }),
        ("an answer without end", page(TITLE.repeat(1_200_000))),
    ];
    for (number, (what, fault)) in (1..).zip(faults) {
        let failed = play.failed();
        play.garble(fault);
        play.meet(day(number));
        stage.until(&format!("{what}: to be counted"), || (play.failed() > failed).then_some(()));
        play.others_go_on(what, day(number));
        assert!(is_offered(stage, &play.victim, day(number + 10)), "{what}: what was known is known");
        play.clear();
        let seen = || (!is_offered(stage, &play.victim, day(number))).then_some(());
        stage.until(&format!("{what}: the next answer to be believed"), seen);
    }

    let (said, metrics) = (stage.said(), stage.metrics());
    for word in [TITLE, TEXT, PLACE, GUEST, GUEST_NAME] {
        assert!(!said.contains(word) && !metrics.contains(word), "`{word}` was told");
    }
    for line in ["events cannot be read and block", "a sync failed"] {
        assert!(said.contains(line), "what went wrong is logged: {line}");
    }
}

#[test]
fn what_google_misspeaks_blocks_or_is_not_believed() {
    misspoken(ProviderKind::Google);
}

#[test]
fn what_microsoft_misspeaks_blocks_or_is_not_believed() {
    misspoken(ProviderKind::Microsoft);
}
