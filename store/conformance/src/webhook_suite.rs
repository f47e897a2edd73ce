//! Which cases there are of the ports of webhooks, of jobs and of relays.

use crate::world::TestClock;

/// Every case of the [`agentcal_engine::ports::WebhookStore`], [`agentcal_engine::ports::JobStore`] and
/// [`agentcal_engine::ports::RelayStore`] ports, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! each_webhook_case {
    ($then:ident, $($given:tt)*) => {
        $crate::$then! { $($given)*;
            webhooks {
                one_event_for_each_change
                an_event_stands_or_falls_with_its_commit
                a_confirmed_hold_is_told
                an_unheard_event_goes
                racers_spread_an_event_once
                endpoints_hear_what_they_asked_for
                an_endpoint_hears_from_the_stores_now_on
                a_claim_lasts_for_its_lease
                a_delivery_ends_as_recorded
                a_late_result_ends_only_what_it_delivered
                an_endpoint_ends
                a_success_mends_an_endpoint
                secrets_are_replaced_gently
                what_was_given_up_is_sent_again
                endpoints_are_their_organizations
                endpoints_are_listed_and_limited
                endpoint_writes_replay
                what_the_store_finds_is_told_once
                events_are_forgotten
            }
            jobs {
                what_follows_is_made_once
                no_mail_is_made_where_none_can_leave
                a_reminder_is_told_when_it_is_due
                what_was_set_falls_away_with_a_change
                a_late_reminder_is_told_until_the_start
                racers_ring_a_timer_once
                a_mail_in_hand_is_nobody_elses
                a_mail_ends_as_recorded
                a_late_result_counts_where_it_is_a_success
                jobs_are_listed_for_their_organization
                what_was_given_up_is_tried_again
                a_cancelled_job_is_not_done
                jobs_change_for_their_organization
                jobs_are_forgotten
            }
            notices {
                the_end_of_an_endpoint_is_told_once
                nobody_is_told_where_no_mail_can_leave
                an_endpoint_ends_without_its_account
                a_notice_is_done_as_a_mail_is
            }
            delivery_batches {
                many_endpoints_are_claimed_at_once
                results_are_kept_together
                what_was_not_tried_is_given_back
            }
            relays {
                the_service_is_told_how_endpoints_are
                a_change_meanwhile_is_told_afterwards
                a_refused_endpoint_waits_for_a_change
                an_event_is_told_once
                what_need_not_be_told_is_not
                the_service_is_told_anew
                racers_tell_once
            }
            dead_writebacks {
                a_writeback_given_up_is_a_dead_job
                a_writeback_given_up_is_tried_again
                a_move_tried_again_is_told_in_the_facts
                a_cancelled_writeback_is_put_away
                a_writeback_to_a_gone_calendar_stays_dead
                dead_writebacks_are_listed_among_jobs
            }
        }
    };
}

/// Makes a test of every case of the ports of webhooks and jobs. `$make` as for [`store_suite`].
#[macro_export]
macro_rules! webhook_suite {
    ($make:path) => {
        $crate::each_webhook_case! { webhook_tests, $make }
    };
    ($make:path, where $available:path) => {
        $crate::each_webhook_case! { webhook_tests, $make, where $available }
    };
}

/// A test of each case about webhooks and jobs.
#[doc(hidden)]
#[macro_export]
macro_rules! webhook_tests {
    ($make:path; $($cases:tt)*) => {
        fn always() -> bool {
            true
        }
        $crate::webhook_tests! { $make, where always; $($cases)* }
    };
    ($make:path, where $available:path; $($module:ident { $($case:ident)* })*) => {$(
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    if $available() {
                        $crate::$module::$case($crate::webhooks::WebhookWorld::new($make).await).await;
                    }
                }
            )*
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! run_webhooks_in_turn {
    ($make:ident; $($module:ident { $($case:ident)* })*) => {
        $($( $crate::$module::$case($crate::webhooks::WebhookWorld::new(&$make).await).await; )*)*
    };
}

/// Runs every case of the ports of webhooks and jobs in turn, each on a store of its own.
pub async fn run_webhook_suite<S, G, F>(make: impl Fn(std::sync::Arc<TestClock>) -> F)
where
    S: agentcal_engine::ports::Store
        + agentcal_engine::ports::WebhookStore
        + agentcal_engine::ports::JobStore
        + agentcal_engine::ports::RelayStore
        + Clone
        + 'static,
    G: Send + 'static,
    F: Future<Output = (S, G)>,
{
    each_webhook_case! { run_webhooks_in_turn, make }
}
