//! Ten thousand connected calendars wake, sync, are watched and go to sleep. Both providers count what they are asked, in every
//! stretch of time their limits are for.

use std::path::Path;
use std::time::{Duration, Instant};

use super::stage::Stage;
use super::vendors::Vendors;
use crate::data::FirstSync;
use crate::progress::Progress;
use crate::report::{Row, Target};
use crate::run::wait_until_within;
use crate::summary::Summary;

/// Mailboxes of each of the two, and calendars in each.
const MAILBOXES_EACH: usize = 1_000;
const CALENDARS_EACH: usize = 5;
const CALENDARS: usize = 2 * MAILBOXES_EACH * CALENDARS_EACH;
/// What Google puts up with from one client, a minute; and of that about one mailbox.
const GOOGLE: (f64, f64) = (10_000.0, 600.0);
/// What Microsoft puts up with about one mailbox, in ten minutes; and at once.
const MICROSOFT: (f64, f64) = (10_000.0, 4.0);
const AWAKE: &str = "agentcal_awake_calendars";
/// Longest wait until all are watched, and until all sleep.
const WITHIN: Duration = Duration::from_secs(600);

/// Has them live through it.
pub(crate) fn measure(binary: &Path, progress: &Progress) -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    progress.step(format!("connecting {CALENDARS} calendars"));
    let vendors = Vendors::start()?;
    let mailboxes = vendors.mailboxes(MAILBOXES_EACH, CALENDARS_EACH);
    let stage = Stage::build(binary, folder.path(), vendors, (&mailboxes, FirstSync::AtOnce))?;
    let begun = Instant::now();
    progress.step("waiting until each has synced and is watched");
    let watched = || stage.vendors.google.channel_count() + stage.vendors.graph.subscriptions();
    wait_until_within(WITHIN, "the calendars were not watched in time", || {
        progress.detail(format!("watched: {} of {CALENDARS} calendars", watched()));
        (watched() >= CALENDARS).then_some(())
    })
    .map_err(|error| stage.told(error))?;
    let took = begun.elapsed();
    progress.step("waiting until all of them sleep");
    wait_until_within(WITHIN, "calendars did not go to sleep in time", || {
        let awake = stage.gauge(AWAKE).ok()?;
        progress.detail(format!("awake: {awake} calendars"));
        (awake == 0.0).then_some(())
    })
    .map_err(|error| stage.told(error))?;
    stage.rows(took)
}

impl Stage {
    fn rows(&self, took: Duration) -> Result<Vec<Row>, String> {
        let (google, graph) = (&self.vendors.google, &self.vendors.graph);
        let (at_once, refused_at_once) = graph.under_way();
        let refused = google.user_quota().refused() + google.project_quota().refused();
        let refused = refused + graph.quota().refused() + refused_at_once;
        let one = |value: f64| Summary::of(vec![value]).ok_or("nothing was measured");
        let row = |name, value: f64, unit, most: f64, at_most| {
            let (ceiling, target) = (Some(one(most)?), Some(Target::AtMost(at_most)));
            Ok::<_, String>(Row { name, value: one(value)?, unit, ceiling, target })
        };
        Ok(vec![
            row("connected_10k_refused", refused as f64, "requests", 1.0, 0.0)?,
            row("connected_10k_google_minute", google.project_quota().most() as f64, "requests", GOOGLE.0, 1.0)?,
            row("connected_10k_google_mailbox", google.user_quota().most() as f64, "requests", GOOGLE.1, 1.0)?,
            row("connected_10k_graph_mailbox", graph.quota().most() as f64, "requests", MICROSOFT.0, 1.0)?,
            row("connected_10k_graph_at_once", at_once as f64, "requests", MICROSOFT.1, 1.0)?,
            Row {
                name: "connected_10k_watched",
                value: one(took.as_secs_f64())?,
                unit: "s",
                ceiling: None,
                target: None,
            },
        ])
    }
}
