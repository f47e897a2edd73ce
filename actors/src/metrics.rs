//! Every metric the product has: name, kind, unit and help. Nothing else in the house spells a metric's name.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Time to answer an availability question, in seconds. Label `outcome`: `complete`, `stale`, `partial`, `unavailable`.
pub const AVAILABILITY_LATENCY: &str = "agentcal_availability_latency_seconds";
/// Age of the oldest facts an availability answer rests on, in seconds.
pub const FRESHNESS_AGE: &str = "agentcal_freshness_age_seconds";
/// HTTP requests answered. Labels `route`, `method`, `status`.
pub const HTTP_REQUESTS: &str = "agentcal_http_requests_total";
/// Time to answer an HTTP request, in seconds. Labels `route`, `method`.
pub const HTTP_LATENCY: &str = "agentcal_http_latency_seconds";
/// Commits by `kind` (`book`, `reschedule`, `cancel`) and `outcome`.
pub const COMMITS: &str = "agentcal_commits_total";
/// Looks for facts of shards that are another node's. Labels `source` (`cache`, `owner`, `store`), `outcome`.
pub const FACTS_ELSEWHERE: &str = "agentcal_facts_elsewhere_total";
/// Commits made, or refused, without the owner of their shard.
pub const OWNERLESS_COMMITS: &str = "agentcal_ownerless_commits_total";
/// Time from a commit's arrival to its answer, in seconds.
pub const COMMIT_LATENCY: &str = "agentcal_commit_latency_seconds";
/// Decisions a commit took beyond its first. Label `cause`: `stale`, `overlap`.
pub const COMMIT_RETRIES: &str = "agentcal_commit_retries_total";
/// Time from the notice of a change (bell or due poll) to its publication, in seconds.
pub const SYNC_LAG: &str = "agentcal_sync_lag_seconds";
/// Syncs by `kind` (`full`, `incremental`) and `outcome` (`changed`, `unchanged`, `failed`).
pub const SYNCS: &str = "agentcal_syncs_total";
/// Syncs under way.
pub const SYNCS_IN_FLIGHT: &str = "agentcal_syncs_in_flight";
/// Commits that wait in calendars' queues.
pub const QUEUE_DEPTH: &str = "agentcal_queue_depth";
/// Calendars awake in this process.
pub const AWAKE_CALENDARS: &str = "agentcal_awake_calendars";
/// Calendars woken. Label `cause`: `question`, `sweep`, `restart`.
pub const WAKES: &str = "agentcal_wakes_total";
/// Actors restarted after a crash.
pub const ACTOR_RESTARTS: &str = "agentcal_actor_restarts_total";
/// Tries to write a booking to a calendar. Label `outcome`: `written`, `deleted`, `retry`, `failed`.
pub const WRITEBACK_ATTEMPTS: &str = "agentcal_writeback_attempts_total";
/// Tries to tell an endpoint of an event. Label `outcome`: `delivered`, `retry`, `given_up`.
pub const WEBHOOK_ATTEMPTS: &str = "agentcal_webhook_attempts_total";
/// Time an endpoint took to answer, or not to, in seconds.
pub const WEBHOOK_LATENCY: &str = "agentcal_webhook_latency_seconds";
/// Time for which the delivery that waits longest has been due, in seconds.
pub const WEBHOOKS_OVERDUE: &str = "agentcal_webhooks_overdue_seconds";
/// Endpoints that are not spoken to any more. Labels `reason` (`gone`, `failing`), `notice` (`made`, `none`).
pub const WEBHOOKS_ENDED: &str = "agentcal_webhooks_ended_total";
/// Tries to tell a service that delivers webhooks in our place. Labels `what` (`endpoint`, `event`), `outcome` (`told`, `retry`,
/// `given_up`).
pub const RELAY_ATTEMPTS: &str = "agentcal_webhook_relay_attempts_total";
/// Time for which the event has been due that waits longest to be told to that service, in seconds.
pub const RELAY_OVERDUE: &str = "agentcal_webhook_relay_overdue_seconds";
/// Tries to send a mail. Label `outcome`: `delivered`, `refused`, `later`, `unusable`, `unneeded`, `unaddressed`, `failed`.
pub const MAIL_ATTEMPTS: &str = "agentcal_mail_attempts_total";
/// Time for which the job that waits longest has been due, in seconds. Label `kind`: `mail`, `notice`,
/// `reminder`, `completed`, `writeback`.
pub const JOBS_OVERDUE: &str = "agentcal_jobs_overdue_seconds";
/// Requests to providers. Labels `provider`, `operation`, `status`.
pub const PROVIDER_REQUESTS: &str = "agentcal_provider_requests_total";
/// What answers of providers said that was put up with. Labels `provider`, `kind` (`unreadable`: events that could not be
/// understood and block; `oversized`: answers longer than is read, asked for again in parts).
pub const PROVIDER_ODDITIES: &str = "agentcal_provider_oddities_total";
/// Access tokens asked for, by provider and outcome.
pub const TOKEN_REFRESHES: &str = "agentcal_token_refreshes_total";
/// Notifications from providers. Labels `provider`, `outcome` (`rang`, `began`, `renewal`, `ended`,
/// `handshake`, `forged`, `malformed`).
pub const NOTIFICATIONS: &str = "agentcal_notifications_total";
/// Answers of providers asked to watch a calendar. Labels `provider`, `outcome` (`watched`, `polled`, `failed`).
pub const WATCHES: &str = "agentcal_watches_total";
/// Ranges looked at in the last moment before a commit that lacked fresh facts. Labels `provider`, `outcome` (`answered`,
/// `cannot_say`, `failed`, `held_back`).
pub const SPOT_CHECKS: &str = "agentcal_spot_checks_total";
/// Time a provider took, in seconds. Labels `provider`, `operation`.
pub const PROVIDER_LATENCY: &str = "agentcal_provider_latency_seconds";
/// Turns to ask, and requests with keys, by what their limits made of them. Labels `kind` (`api_key`, `client`, `mailbox`),
/// `outcome` (`allowed`, `waited`, `refused`).
pub const LIMITS: &str = "agentcal_limits_total";
/// Time requests to providers waited for their turn, in seconds. Label `provider`.
pub const TURN_WAIT: &str = "agentcal_provider_turn_wait_seconds";
/// Bookings whose event was moved, deleted or met by a conflict at the provider. Label `state`.
pub const EXTERNAL_CHANGES: &str = "agentcal_external_changes_total";
/// Offset of the store's clock from this node's, in seconds.
pub const STORE_CLOCK_OFFSET: &str = "agentcal_store_clock_offset_seconds";
/// Requests to other nodes. Labels `kind`, `outcome` (`answered`, `not_owner`, `too_many`, `silent`, `lost`, `given_up`).
pub const PEER_REQUESTS: &str = "agentcal_peer_requests_total";
/// Time from a request to another node to its answer, in seconds. Label `kind`.
pub const PEER_LATENCY: &str = "agentcal_peer_latency_seconds";
/// Requests of other nodes answered. Labels `kind`, `status`.
pub const PEER_SERVED: &str = "agentcal_peer_served_total";

const COUNTERS: &[(&str, &str)] = &[
    (HTTP_REQUESTS, "HTTP requests answered, by route, method and status"),
    (COMMITS, "Booking commits, by kind and outcome"),
    (FACTS_ELSEWHERE, "Looks for facts of other nodes' shards, by source and outcome"),
    (OWNERLESS_COMMITS, "Booking commits settled without the owner of their shard"),
    (COMMIT_RETRIES, "Decisions taken again because something changed under a commit, by cause"),
    (SYNCS, "Calendar syncs, by kind and outcome"),
    (WAKES, "Calendars woken, by cause"),
    (ACTOR_RESTARTS, "Calendar actors restarted after a crash"),
    (WRITEBACK_ATTEMPTS, "Tries to write a booking to a calendar, by outcome"),
    (WEBHOOK_ATTEMPTS, "Tries to tell an endpoint of an event, by outcome"),
    (RELAY_ATTEMPTS, "Tries to tell a service that delivers webhooks in our place, by what it is told and outcome"),
    (WEBHOOKS_ENDED, "Endpoints that are not spoken to any more, by reason and by whether their organization is told"),
    (MAIL_ATTEMPTS, "Tries to send a mail, by outcome"),
    (PROVIDER_REQUESTS, "Requests to calendar providers, by provider, operation and status"),
    (PROVIDER_ODDITIES, "Events that could not be understood, and answers too long to be read, by provider and kind"),
    (TOKEN_REFRESHES, "Access tokens asked for, by provider and outcome"),
    (NOTIFICATIONS, "Notifications from calendar providers, by provider and outcome"),
    (WATCHES, "Answers of calendar providers asked to watch a calendar, by provider and outcome"),
    (SPOT_CHECKS, "Ranges looked at before a commit that lacked fresh facts, by provider and outcome"),
    (LIMITS, "Requests with keys, and turns to ask providers, by kind of limit and outcome"),
    (EXTERNAL_CHANGES, "Bookings found moved, deleted or in conflict at the provider, by state"),
    (PEER_REQUESTS, "Requests to other nodes, by kind and outcome"),
    (PEER_SERVED, "Requests of other nodes answered, by kind and status"),
];

const GAUGES: &[(&str, Unit, &str)] = &[
    (SYNCS_IN_FLIGHT, Unit::Count, "Calendar syncs under way"),
    (QUEUE_DEPTH, Unit::Count, "Booking commits waiting in calendars' queues"),
    (AWAKE_CALENDARS, Unit::Count, "Calendars awake in this process"),
    (JOBS_OVERDUE, Unit::Seconds, "Time for which the oldest due job has waited, by kind"),
    (RELAY_OVERDUE, Unit::Seconds, "Time for which the oldest event has waited for the service that delivers webhooks"),
    (WEBHOOKS_OVERDUE, Unit::Seconds, "Time for which the oldest due delivery to an endpoint has waited"),
    (STORE_CLOCK_OFFSET, Unit::Seconds, "Offset of the store's clock from this node's"),
];

const HISTOGRAMS: &[(&str, &str)] = &[
    (AVAILABILITY_LATENCY, "Time to answer an availability question, by outcome"),
    (FRESHNESS_AGE, "Age of the oldest facts an availability answer rests on"),
    (HTTP_LATENCY, "Time to answer an HTTP request, by route and method"),
    (COMMIT_LATENCY, "Time from a booking commit's arrival to its answer"),
    (SYNC_LAG, "Time from the notice of a change to its publication"),
    (PROVIDER_LATENCY, "Time a calendar provider took to answer, by provider and operation"),
    (TURN_WAIT, "Time requests to calendar providers waited for their turn, by provider"),
    (WEBHOOK_LATENCY, "Time an endpoint took to answer a message"),
    (PEER_LATENCY, "Time another node took to answer, by kind"),
];

/// Tells the installed recorder what each metric is. Call once, after installing it.
pub fn describe() {
    for &(name, help) in COUNTERS {
        describe_counter!(name, Unit::Count, help);
    }
    for &(name, unit, help) in GAUGES {
        describe_gauge!(name, unit, help);
    }
    for &(name, help) in HISTOGRAMS {
        describe_histogram!(name, Unit::Seconds, help);
    }
}

/// Names of all histograms, all in seconds; for the recorder's buckets.
pub fn histograms() -> impl Iterator<Item = &'static str> {
    HISTOGRAMS.iter().map(|&(name, _)| name)
}
