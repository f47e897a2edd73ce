//! The recorder behind `/metrics`.

use std::time::Duration;

use agentcal_actors::metrics::{describe, histograms};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of every histogram, in seconds: from a warm question to a calendar nobody refreshes.
const BUCKETS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];
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
    let histograms = histograms().map(|name| (name, &BUCKETS[..])).chain(agentcal_store_redis::metrics::histograms());
    histograms.into_iter().try_fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
    })
}
