//! What is counted.

use std::time::Duration;

use agentcal_engine::limits::LimitKind;

/// Commands, by command and outcome (`ok`, `error`, `refused` without being sent).
pub const COMMANDS: &str = "agentcal_redis_commands_total";
/// Time until an answer or a time-out, by command, in seconds.
pub const LATENCY: &str = "agentcal_redis_command_seconds";
/// Connections that stand again.
pub const RECONNECTS: &str = "agentcal_redis_reconnects_total";
/// Values found that are not what their key says: damaged, or of another release.
pub const UNREADABLE: &str = "agentcal_redis_unreadable_values_total";
/// Facts that their owner's beat does not speak for, since the server started anew, or took another's place, after it took them.
pub const OUTLIVED: &str = "agentcal_redis_outlived_facts_total";

/// Limits judged by this node's fair share, because Redis did not answer. Label `kind`.
pub const LIMITED_ALONE: &str = "agentcal_limits_alone_total";

/// Tells the installed recorder what each metric is. Call once, after installing it.
pub fn describe() {
    metrics::describe_counter!(COMMANDS, metrics::Unit::Count, "Redis commands, by command and outcome");
    metrics::describe_histogram!(LATENCY, metrics::Unit::Seconds, "Time Redis took to answer, by command");
    metrics::describe_counter!(RECONNECTS, metrics::Unit::Count, "Connections to Redis that stand again");
    metrics::describe_counter!(UNREADABLE, metrics::Unit::Count, "Cached values that could not be read");
    let help = "Cached facts from before the server's last start or promotion, which are not believed";
    metrics::describe_counter!(OUTLIVED, metrics::Unit::Count, help);
    let help = "Limits judged by the node's fair share, without Redis, by kind";
    metrics::describe_counter!(LIMITED_ALONE, metrics::Unit::Count, help);
}

/// Names of all histograms with the upper bounds of their buckets, in seconds: a server next door answers in tenths of a
/// millisecond, and one that does not within [`crate::RedisConfig::command_timeout`] is given up.
pub fn histograms() -> [(&'static str, &'static [f64]); 1] {
    [(LATENCY, &[0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0])]
}

pub(crate) fn answered(command: &'static str, is_ok: bool, latency: Duration) {
    let outcome = if is_ok { "ok" } else { "error" };
    metrics::counter!(COMMANDS, "command" => command, "outcome" => outcome).increment(1);
    metrics::histogram!(LATENCY, "command" => command).record(latency.as_secs_f64());
}

pub(crate) fn refused(command: &'static str) {
    metrics::counter!(COMMANDS, "command" => command, "outcome" => "refused").increment(1);
}

pub(crate) fn reconnected() {
    metrics::counter!(RECONNECTS).increment(1);
}

pub(crate) fn unreadable() {
    metrics::counter!(UNREADABLE).increment(1);
}

pub(crate) fn outlived() {
    metrics::counter!(OUTLIVED).increment(1);
}

pub(crate) fn limited_alone(kind: LimitKind) {
    metrics::counter!(LIMITED_ALONE, "kind" => kind.as_str()).increment(1);
}
