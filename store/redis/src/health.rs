//! How the server does, for people.

use std::time::Duration;

use agentcal_engine::ports::CacheError;
use agentcal_engine::time::Timestamp;
use fred::types::Value;
use fred::types::scripts::Script;
use tokio::time::Instant;

use crate::link::Link;

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Its version, as it writes it.
    pub version: String,
    /// Time of one round trip.
    pub round_trip: Duration,
    /// What it does when its memory is full.
    pub maxmemory_policy: String,
    /// What in its settings hurts, one line each. Empty when all is well.
    pub remarks: Vec<String>,
}

pub(crate) async fn ask(link: &Link, stamping: &Script) -> Result<Health, CacheError> {
    let began = Instant::now();
    link.read_anywhere("PING", Vec::new()).await?;
    let round_trip = began.elapsed();
    let server = text(link.read_anywhere("INFO", vec![Value::from("server")]).await?);
    let memory = text(link.read_anywhere("INFO", vec![Value::from("memory")]).await?);
    let version = field(&server, "redis_version").unwrap_or("unknown").to_owned();
    let maxmemory_policy = field(&memory, "maxmemory_policy").unwrap_or("unknown").to_owned();
    let mut remarks: Vec<String> = policy_remark(&maxmemory_policy).into_iter().collect();
    if let Err(CacheError::Unavailable(error)) =
        link.perform("health", stamping, "agentcal:health".to_owned(), Vec::new()).await
    {
        remarks.push(format!("facts cannot be published: {error}"));
    }
    Ok(Health { version, round_trip, maxmemory_policy, remarks })
}

/// The clock of whichever server answers.
pub(crate) async fn clock(link: &Link) -> Result<Timestamp, CacheError> {
    let answer = link.read_anywhere("TIME", Vec::new()).await?;
    parse_clock(answer).ok_or_else(|| CacheError::Unavailable("its clock cannot be read".to_owned()))
}

/// Seconds, and the microseconds of the present one.
fn parse_clock(answer: Value) -> Option<Timestamp> {
    let Value::Array(parts) = answer else { return None };
    let mut numbers = parts.into_iter().map(|part| part.into_string()?.parse::<i64>().ok());
    let (seconds, micros) = (numbers.next()??, numbers.next()??);
    Some(Timestamp::from_seconds(seconds).plus_micros(micros))
}

/// Everything kept here has an end of its own, so keys with one are the right ones to go first.
fn policy_remark(policy: &str) -> Option<String> {
    let is_fine = policy == "noeviction" || policy == "unknown" || policy.starts_with("volatile-");
    let remark =
        || format!("maxmemory-policy is {policy}: it may evict any key at any time; set volatile-lru or noeviction");
    (!is_fine).then(remark)
}

fn text(value: Value) -> String {
    value.into_string().unwrap_or_default()
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_that_evict_anything_are_named() {
        let check = |policy: &str, expected: bool| assert_eq!(policy_remark(policy).is_some(), expected, "{policy}");
        check("noeviction", false);
        check("volatile-lru", false);
        check("volatile-ttl", false);
        check("allkeys-lru", true);
        check("allkeys-random", true);
    }

    #[test]
    fn a_clock_is_seconds_and_micros() {
        let check = |parts: &[&str], expected: Option<i64>| {
            let answer = Value::Array(parts.iter().map(|&part| Value::from(part)).collect());
            assert_eq!(parse_clock(answer).map(Timestamp::as_micros), expected, "{parts:?}");
        };
        check(&["1796083200", "250000"], Some(1_796_083_200_250_000));
        check(&["1796083200"], None);
        check(&["soon", "1"], None);
        assert_eq!(parse_clock(Value::Null), None);
    }

    #[test]
    fn fields_of_info_are_read() {
        let info = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n";
        assert_eq!(field(info, "redis_version"), Some("7.0.15"));
        assert_eq!(field(info, "redis"), None);
    }
}
