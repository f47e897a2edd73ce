//! What the store's ports mean: one suite per port, run by every implementation.
//!
//! Each case is a function over a [`World`], a fresh store with one tenant in it, and stands for one sentence of a port's
//! documentation or one law. `store_suite!(make)` and `cache_suite!(make)` make a test of each, where `make` builds an
//! empty implementation; [`run_store_suite`] runs all of them in turn.
//!
//! Failures are panics, as in any test.

pub mod answers;
pub mod bookings;
pub mod cache;
pub mod commits;
pub mod config;
pub mod connections;
pub mod dead_writebacks;
pub mod decisions;
pub mod delivery_batches;
pub mod hold_ends;
pub mod hold_limits;
pub mod holds;
pub mod isolation;
pub mod jobs;
pub mod lines;
pub mod mail_settings;
pub mod mailboxes;
pub mod notices;
pub mod oauth;
pub mod ownership;
pub mod quotas;
pub mod relays;
pub mod sandbox;
pub mod statements;
pub mod sync;
pub mod tenants;
pub mod used_commits;
pub mod watches;
mod webhook_suite;
pub mod webhooks;
pub mod world;
pub mod writebacks;

pub use statements::Statements;
pub use webhook_suite::run_webhook_suite;
pub use world::{TestClock, TestEntropy, World};

/// Every case of the [`agentcal_engine::ports::Store`] port, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! each_store_case {
    ($then:ident, $($given:tt)*) => {
        $crate::$then! { $($given)*,
            tenants {
                organizations_are_listed_oldest_first
                a_key_is_found_by_hash_until_revoked
                keys_raise_the_keys_counter
                accounts_are_listed_newest_first_and_by_mode
                pages_are_stable_under_inserts
                an_account_changes_only_at_its_revision
                a_deleted_account_leaves_nothing
            }
            config {
                a_user_comes_back_as_written
                a_user_names_only_calendars_of_its_account
                a_user_changes_only_at_its_revision
                claims_follow_their_home
                a_user_with_future_bookings_stays
                the_only_host_of_an_event_type_stays
                event_types_come_back_as_written
                a_slug_is_taken_once
                rules_are_replaced
                every_write_raises_the_config_revision
            }
            connections {
                credentials_come_back_and_only_here
                a_new_calendar_is_due_at_once
                status_changes_once
                refused_credentials_raise_the_calendars
                good_credentials_hasten_what_failed
                disconnecting_rehomes_users_and_keeps_bookings
                disconnecting_without_a_home_for_a_user_is_stale
            }
            mailboxes {
                a_mailbox_becomes_a_connection
                the_same_mailbox_again_is_healed
                mailboxes_are_told_apart
                credentials_are_replaced_by_the_first
            }
            sync {
                facts_begin_unknown
                a_delta_merges_and_never_replaces
                the_cursor_comes_only_with_the_last_page
                a_full_sync_replaces_at_the_end
                left_overs_of_a_broken_full_sync_go
                a_superseded_epoch_is_fenced
                epochs_only_grow
                the_revision_rises_only_when_facts_change
                a_change_before_a_crash_is_told_after_it
                failures_make_a_calendar_unknown
                a_failure_changes_nothing_that_was_read
                due_calendars_come_most_overdue_first
                facts_leave_history_out
                own_instances_are_those_of_bookings
            }
            watches {
                a_watch_comes_back_as_it_was_kept
                a_watch_is_kept_under_the_epoch_that_counts
                a_sync_keeps_until_when_it_is_watched
                what_has_synced_is_polled_unless_it_is_watched
            }
            commits {
                a_commit_is_whole
                what_follows_stands_or_falls_with_its_booking
                stale_revisions_refuse
                a_revision_without_expectation_is_raised
                a_missing_revision_refuses
                claims_of_one_user_never_overlap
                neighbours_touch_without_overlap
                other_users_do_not_collide
                one_refused_host_refuses_all
                a_superseded_leader_is_fenced
                a_leaderless_commit_needs_no_epoch
                a_reschedule_moves_all_claims_or_none
                a_reschedule_may_overlap_itself
                moves_by_the_attendee_are_counted
                a_cancellation_gives_the_time_back
                row_counts_are_checked
                a_sequence_that_moved_on_refuses
                a_revision_moves_with_every_commit
                racers_for_one_slot_have_one_winner
            }
            lines {
                a_line_is_made_whole
                a_line_is_made_from_its_beginning
                a_line_is_of_any_kind
            }
            used_commits {
                a_shared_commit_is_performed_once
                a_commit_refused_for_good_is_never_performed
                a_plan_that_fails_uses_nothing_up
                used_commits_belong_to_their_account
                used_commits_are_forgotten_after_a_day
                a_plan_waits_for_the_holds_it_looked_past
            }
            holds {
                an_expired_hold_neither_blocks_nor_survives
                a_live_hold_blocks_to_its_last_microsecond
                an_expired_hold_does_not_stop_a_move
                a_hold_is_its_claims_and_its_row
                a_hold_holds_all_hosts_or_none
                a_hold_is_kept_for_one
                racers_to_hold_and_to_book_have_one_winner
                a_hold_is_extended_whole
                a_confirmed_hold_is_a_booking
                a_released_hold_gives_the_time_back
                what_has_ended_never_comes_back
                a_holds_claims_are_counted
                one_hold_becomes_one_booking
                holds_of_a_session_are_those_that_live
                a_session_is_released_whole
                a_hold_belongs_to_its_account
            }
            hold_limits {
                a_hold_over_a_limit_leaves_nothing
                holds_of_a_host_are_limited
                holds_of_a_session_are_limited
                holds_of_an_organization_are_limited
                what_is_held_stays_held_at_the_limit
            }
            hold_ends {
                tidying_removes_nothing_that_matters
                expired_holds_do_not_keep_a_user
                live_holds_end_with_their_user
                a_hold_outlives_its_event_type
                holds_follow_their_home
                a_deleted_account_leaves_no_hold
            }
            decisions {
                a_decision_is_kept_with_its_commit
                refusals_come_back_as_written
                decisions_are_listed_newest_first
                pages_of_decisions_are_stable_under_inserts
                decisions_are_forgotten_after_a_month
            }
            answers {
                a_repeated_commit_replays
                what_does_nothing_keeps_its_answer
                another_body_is_a_mismatch
                a_refused_commit_keeps_no_answer
                concurrent_duplicates_do_one_deed
                config_writes_replay
                an_answer_is_forgotten_after_a_day
                an_account_is_created_and_deleted_once
            }
            bookings {
                a_booking_comes_back_as_written
                bookings_are_listed_by_start_then_id
                bookings_are_filtered
                pages_of_bookings_are_stable_under_inserts
                future_bookings_are_counted_by_user
            }
            writebacks {
                a_booking_waits_to_be_written
                a_conference_is_settled_by_a_result
                a_written_job_waits_no_more
                an_older_result_does_not_end_the_job
                a_late_failure_undoes_no_success
                a_superseded_owner_keeps_nothing
                a_late_failure_brings_no_calendar_back
                a_waiting_move_leaves_an_echo
                observations_skip_what_waits
                due_calendars_come_most_overdue_first
                written_jobs_end_with_their_booking
                a_gone_calendar_does_not_stop_a_cancellation
            }
            sandbox {
                changes_are_numbered_from_one
                an_expected_change_guards_a_write
            }
            isolation {
                another_tenant_reads_nothing
                another_tenant_writes_nothing
                another_tenant_commits_nothing
                another_organization_or_mode_sees_no_account
                ids_in_bodies_stay_inside_the_account
            }
        }
    };
}

/// Makes a test of every case of the store port. `$make` is an async function from a clock to an empty store and whatever
/// must outlive it. `$available` is a function that says whether there is what it needs; without it, the tests end.
#[macro_export]
macro_rules! store_suite {
    ($make:path) => {
        $crate::each_store_case! { store_tests, $make }
    };
    ($make:path, where $available:path) => {
        $crate::each_store_case! { store_tests, $make, where $available }
    };
}

/// Makes a test of every case about leases and shards, for stores that several nodes share.
#[macro_export]
macro_rules! ownership_suite {
    ($make:path $(, where $available:path)?) => {
        $crate::store_tests! { $make $(, where $available)?,
            ownership {
                a_lease_lasts_from_its_renewal
                the_map_comes_when_it_changed
                only_what_nobody_alive_owns_is_taken
                shards_are_handed_over_to_the_living
                a_takeover_fences_its_shard_alone
                racers_for_shards_share_them
                an_owner_hears_of_commits_without_it
                due_calendars_are_their_owners
            }
        }
    };
}

/// A module of tests per module of cases.
#[doc(hidden)]
#[macro_export]
macro_rules! store_tests {
    ($make:path, $($module:ident { $($case:ident)* })*) => {$(
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::$module::$case($crate::World::new($make).await).await;
                }
            )*
        }
    )*};
    ($make:path, where $available:path, $($module:ident { $($case:ident)* })*) => {$(
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    if $available() {
                        $crate::$module::$case($crate::World::new($make).await).await;
                    }
                }
            )*
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! run_in_turn {
    ($make:ident, $($module:ident { $($case:ident)* })*) => {
        $($(
            $crate::$module::$case($crate::World::new(&$make).await).await;
        )*)*
    };
}

/// Runs every case of the store port in turn, each on a store of its own.
pub async fn run_store_suite<S, G, F>(make: impl Fn(std::sync::Arc<TestClock>) -> F)
where
    S: agentcal_engine::ports::Store + 'static,
    G: Send + 'static,
    F: Future<Output = (S, G)>,
{
    each_store_case! { run_in_turn, make }
}

/// Every case of the [`agentcal_engine::ports::FactCache`] port, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! each_cache_case {
    ($then:ident, $make:path) => {
        $crate::$then! { $make;
            what_is_published_is_read
            answers_keep_the_order_asked
            a_lower_version_never_replaces
            a_withdrawn_calendar_is_gone
            facts_are_found_only_in_their_shard
            a_beat_speaks_for_its_ownership
            a_mark_is_taken_once
        }
    };
}

/// Makes a test of every case of the fact cache port. `$make` is an async function to an empty cache.
#[macro_export]
macro_rules! cache_suite {
    ($make:path) => {
        $crate::each_cache_case! { cache_suite, $make }
    };
    ($make:path; $($case:ident)*) => {$(
        #[tokio::test]
        async fn $case() {
            $crate::cache::$case($make().await).await;
        }
    )*};
}

/// The same where `make` may have nothing to make a cache on, and says so with `None`.
#[macro_export]
macro_rules! cache_suite_where_there {
    ($make:path) => {
        $crate::each_cache_case! { cache_suite_where_there, $make }
    };
    ($make:path; $($case:ident)*) => {$(
        #[tokio::test]
        async fn $case() {
            if let Some(cache) = $make().await {
                $crate::cache::$case(cache).await;
            }
        }
    )*};
}
