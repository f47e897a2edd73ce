//! The recorder behind `/metrics`.

use std::time::Duration;

use agentcal_actors::metrics::{FRESHNESS_AGE, describe, histograms};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of histograms, in seconds, unless they have their own: from a warm question to a provider
/// that is given up.
const BUCKETS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];
/// The same of the age of facts: from a calendar whose provider rings to one nobody has read for a day. Watched ones count as
/// stale after seven hours, and an alert needs a bound beyond that: no quantile is told above the last.
const AGE_BUCKETS: [f64; 16] = [
    1.0, 5.0, 15.0, 60.0, 120.0, 300.0, 900.0, 1_800.0, 3_600.0, 9_000.0, 14_400.0, 21_600.0, 25_200.0, 28_800.0,
    43_200.0, 86_400.0,
];
/// Between two times of putting recorded values into buckets, so that they do not pile up when nobody asks.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Records metrics from now on.
pub(crate) fn start() -> Result<PrometheusHandle, BuildError> {
    let handle = builder()?.install_recorder()?;
    describe();
    agentcal_store_redis::metrics::describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            interval.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// Every histogram has buckets: without them it would be told as quantiles, which cannot be added over nodes.
fn builder() -> Result<PrometheusBuilder, BuildError> {
    buckets().try_fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
    })
}

/// Names of all histograms, and the upper bounds of their buckets.
fn buckets() -> impl Iterator<Item = (&'static str, &'static [f64])> {
    let own = |name| if name == FRESHNESS_AGE { &AGE_BUCKETS[..] } else { &BUCKETS[..] };
    histograms().map(move |name| (name, own(name))).chain(agentcal_store_redis::metrics::histograms())
}

#[cfg(test)]
mod tests {
    use agentcal_actors::SchedulerSettings;
    use agentcal_engine::calendar::sync::Pace;

    use super::*;

    const RULES: &str = include_str!("../../deploy/agentcal.rules.yml");

    /// Metrics that rules take a quantile of, and what it is to exceed.
    fn thresholds() -> Vec<(&'static str, f64)> {
        let quantiles = RULES.lines().filter(|line| line.contains("histogram_quantile("));
        let parts = quantiles.map(|line| {
            let (name, _) = line.split_once("rate(")?.1.split_once("_bucket")?;
            Some((name, line.rsplit_once("> ")?.1.parse().ok()?))
        });
        parts.map(|parts| parts.expect("a rule of the shape `.. rate(<name>_bucket[..]) .. > <seconds>`")).collect()
    }

    /// A quantile is told no higher than the last bound, and between two of them it is a guess.
    #[test]
    fn every_alert_can_fire() {
        let thresholds = thresholds();
        assert_eq!(thresholds.len(), RULES.matches("histogram_quantile(").count());
        assert!(!thresholds.is_empty());
        for (metric, threshold) in thresholds {
            let (_, bounds) = buckets().find(|(name, _)| *name == metric).expect("a histogram there is");
            assert!(bounds.contains(&threshold), "{metric}: {threshold} is none of {bounds:?}");
            assert!(
                bounds.last().is_some_and(|last| *last > threshold),
                "{metric} is never told to exceed {threshold}"
            );
        }
    }

    /// Nobody is called for a watched calendar whose next sweep has not come.
    #[test]
    fn what_is_not_stale_yet_is_no_alert() {
        let SchedulerSettings { watched_sweep_interval: swept, watched_asked_interval: asked, .. } = Default::default();
        let pace = Pace { fast: UPKEEP_INTERVAL, slow: UPKEEP_INTERVAL, swept, asked };
        let (_, threshold) = thresholds().into_iter().find(|(name, _)| *name == FRESHNESS_AGE).expect("a rule");
        assert!(threshold > pace.stale_after().watched.as_secs_f64(), "{threshold}");
    }
}
