//! Users, rules and event types.

use agentcal_engine::commit::{Access, ExpectedRevision, Outcome, RevisionKey};
use agentcal_engine::facts::Knowledge;
use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::{
    AttendeePolicy, AvailabilityRules, ConferenceKind, EventType, FollowUp, MailPolicy, OnStale, ProviderKind, User,
};
use agentcal_engine::ports::{AccountConfig, Write};
use chrono_tz::Tz;

use crate::World;
use crate::world::first_page;

async fn config(world: &World) -> AccountConfig {
    world.store.account_config(world.tenant.account_id).await.expect("readable").expect("there")
}

/// A user comes back as it was written, with its rules, and with an internal calendar where it has no other.
pub async fn a_user_comes_back_as_written(world: World) {
    let (_, calendars) = world.connect(3).await;
    let rules = AvailabilityRules::office_hours(Tz::Pacific__Chatham);
    let busy_calendar_ids = vec![calendars[2].id, calendars[0].id];
    let user = User { busy_calendar_ids, ..world.new_user(&world.tenant, Some(calendars[0].id)) };
    assert_eq!(world.store.create_user(&world.tenant, &user, &rules, None).await.expect("answered"), Write::Done);
    let homeless = world.user().await;

    let config = config(&world).await;
    assert_eq!((&*config.users[0].0, config.users[0].1.rules()), (&user, &rules));
    assert_eq!(*config.users[1].0, homeless);
    let internal = config.calendars.iter().find(|calendar| calendar.id == homeless.home_calendar_id);
    let internal = internal.expect("the store makes an internal calendar");
    assert_eq!((internal.provider, internal.connection_id), (ProviderKind::Internal, None));
    assert_eq!(world.facts(internal.id).await.knowledge, Knowledge::Internal);

    let listed = world.store.list_users(&world.tenant, &first_page(10)).await.expect("readable");
    assert_eq!(listed.rows, [homeless, user]);
}

/// Calendar ids that are not of the account, or that are internal: missing, and nothing is written.
pub async fn a_user_names_only_calendars_of_its_account(world: World) {
    let (_, mine) = world.connect(1).await;
    let (_, theirs) = world.connect_for(&world.another_account().await, 1).await;
    let homeless = world.user().await;
    let base = world.new_user(&world.tenant, Some(mine[0].id));
    let unknown = CalendarId::from_uuid(world.uuid());
    let refused = [
        User { calendar_id: Some(theirs[0].id), home_calendar_id: theirs[0].id, ..base.clone() },
        User { calendar_id: Some(unknown), home_calendar_id: unknown, ..base.clone() },
        User { busy_calendar_ids: vec![theirs[0].id], ..base.clone() },
        User { busy_calendar_ids: vec![homeless.home_calendar_id], ..base.clone() },
        User { calendar_id: None, home_calendar_id: theirs[0].id, ..base.clone() },
        User { calendar_id: None, home_calendar_id: homeless.home_calendar_id, ..base.clone() },
        User { calendar_id: None, home_calendar_id: mine[0].id, ..base.clone() },
    ];
    let rules = AvailabilityRules::office_hours(Tz::UTC);
    let before = config(&world).await;
    for user in refused {
        let write = world.store.create_user(&world.tenant, &user, &rules, None).await.expect("answered");
        assert_eq!(write, Write::Missing, "{user:?}");
    }
    assert_eq!(config(&world).await, before);
}

/// A user changes only while the configuration is at the revision the caller saw; one that is not there is missing.
pub async fn a_user_changes_only_at_its_revision(world: World) {
    let user = world.user().await;
    let revision = world.config_revision(&world.tenant).await;
    let changed = User { name: "Sara".into(), timezone: Tz::UTC, ..user.clone() };
    let update = async |user: &User, revision| {
        world.store.update_user(&world.tenant, user, revision, None).await.expect("answered")
    };
    assert_eq!(update(&changed, revision - 1).await, Write::Stale);
    assert_eq!(*config(&world).await.users[0].0, user);
    let unknown = world.new_user(&world.tenant, None);
    assert_eq!(update(&unknown, revision).await, Write::Missing);
    assert_eq!(update(&changed, revision).await, Write::Done);
    assert_eq!(*config(&world).await.users[0].0, changed);
}

/// When a user's home calendar changes, its claims move along and both calendars' revisions are raised.
pub async fn claims_follow_their_home(world: World) {
    let (_, calendars) = world.connect(2).await;
    let [old, new] = [calendars[0].id, calendars[1].id];
    let user = world.user_on(old).await;
    let neighbour = world.user_on(old).await;
    world.book(&[&user], world.minutes(0, 30)).await;
    world.book(&[&neighbour], world.minutes(0, 30)).await;
    let before = (world.facts(old).await.revision, world.facts(new).await.revision);

    let moved = User { calendar_id: Some(new), home_calendar_id: new, ..user.clone() };
    let revision = world.config_revision(&world.tenant).await;
    let write = world.store.update_user(&world.tenant, &moved, revision, None).await.expect("answered");
    assert_eq!(write, Write::Done);
    let (left, come) = (world.facts(old).await, world.facts(new).await);
    assert!(left.revision > before.0 && come.revision > before.1);
    assert_eq!(left.claims.iter().map(|claim| claim.user_id).collect::<Vec<_>>(), [neighbour.id]);
    assert_eq!(
        come.claims.iter().map(|claim| (claim.user_id, claim.home_calendar_id)).collect::<Vec<_>>(),
        [(user.id, new)]
    );

    let internal = CalendarId::from_uuid(world.uuid());
    let alone = User { calendar_id: None, home_calendar_id: internal, ..user };
    let revision = world.config_revision(&world.tenant).await;
    let write = world.store.update_user(&world.tenant, &alone, revision, None).await.expect("answered");
    assert_eq!(write, Write::Done);
    assert_eq!(world.facts(new).await.claims, []);
    assert_eq!(world.facts(internal).await.claims.len(), 1);
}

/// A user with bookings that end after now cannot be deleted; afterwards it can, and its past bookings stay.
pub async fn a_user_with_future_bookings_stays(world: World) {
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;
    let delete = async |minutes| {
        let now = world.minutes(minutes, minutes + 1).start;
        world.store.delete_user(&world.tenant, user.id, now, None).await.expect("answered")
    };
    assert_eq!(delete(29).await, Write::Refused("future_bookings"));
    assert_eq!(config(&world).await.users.len(), 1);
    assert_eq!(delete(30).await, Write::Done);
    assert_eq!(config(&world).await.users.len(), 0);
    assert_eq!(world.booking(booking.id).await.hosts[0].user_id, user.id);
    assert_eq!(delete(30).await, Write::Missing);
}

/// The only host of an event type cannot be deleted; one of several can, and the others stay hosts.
pub async fn the_only_host_of_an_event_type_stays(world: World) {
    let [one, two] = [world.user().await, world.user().await];
    let pair = world.new_event_type(&world.tenant, "pair", &[&one, &two]);
    world.store.create_event_type(&world.tenant, &pair, None).await.expect("answered");
    let delete =
        async |user: &User| world.store.delete_user(&world.tenant, user.id, world.now(), None).await.expect("answered");
    assert_eq!(delete(&one).await, Write::Done);
    assert_eq!(config(&world).await.event_types[0].0.user_ids, [two.id]);
    assert_eq!(delete(&two).await, Write::Refused("in_use"));
    assert_eq!(config(&world).await.users.len(), 1);
}

/// Event types come back as written, replaced and deleted.
pub async fn event_types_come_back_as_written(world: World) {
    let [one, two] = [world.user().await, world.user().await];
    let event_type = world.new_event_type(&world.tenant, "checkup", &[&two, &one]);
    let create = world.store.create_event_type(&world.tenant, &event_type, None).await;
    assert_eq!(create.expect("answered"), Write::Done);
    assert_eq!(config(&world).await.event_types, [(event_type.clone(), None)]);

    let changed = EventType {
        user_ids: vec![one.id],
        max_bookings_per_day: None,
        location: None,
        public: false,
        require_slot_id: true,
        conference: Some(ConferenceKind::MicrosoftTeams),
        on_stale: OnStale::Refuse,
        attendee_policy: AttendeePolicy {
            cancel_notice_hours: None,
            reschedule_notice_hours: Some(48),
            reschedules_max: Some(2),
        },
        follow_up: FollowUp { reminders: vec![1_440, 60], mail: MailPolicy { attendee: false, hosts: true } },
        ..event_type.clone()
    };
    let revision = world.config_revision(&world.tenant).await;
    let update = async |event_type: &EventType, revision| {
        world.store.update_event_type(&world.tenant, event_type, revision, None).await.expect("answered")
    };
    assert_eq!(update(&changed, revision + 1).await, Write::Stale);
    assert_eq!(update(&changed, revision).await, Write::Done);
    let unknown = world.new_event_type(&world.tenant, "unknown", &[&one]);
    assert_eq!(update(&unknown, revision + 1).await, Write::Missing);
    let listed = world.store.list_event_types(&world.tenant, &first_page(10)).await.expect("readable");
    assert_eq!(listed.rows, [changed]);

    let delete = async || world.store.delete_event_type(&world.tenant, event_type.id, None).await.expect("answered");
    assert_eq!(delete().await, Write::Done);
    assert_eq!(delete().await, Write::Missing);
    assert_eq!(config(&world).await.event_types, []);
}

/// A slug is unique in its account, and in no wider circle.
pub async fn a_slug_is_taken_once(world: World) {
    let user = world.user().await;
    let create = async |slug: &str| {
        let event_type = world.new_event_type(&world.tenant, slug, &[&user]);
        (world.store.create_event_type(&world.tenant, &event_type, None).await.expect("answered"), event_type)
    };
    assert_eq!(create("intro").await.0, Write::Done);
    assert_eq!(create("intro").await.0, Write::Refused("slug"));
    let (_, other) = create("other").await;
    let renamed = EventType { slug: "intro".into(), ..other };
    let revision = world.config_revision(&world.tenant).await;
    let update = world.store.update_event_type(&world.tenant, &renamed, revision, None).await;
    assert_eq!(update.expect("answered"), Write::Refused("slug"));

    let elsewhere = world.another_account().await;
    let user = world.user_for(&elsewhere, None).await;
    let event_type = world.new_event_type(&elsewhere, "intro", &[&user]);
    let create = world.store.create_event_type(&elsewhere, &event_type, None).await;
    assert_eq!(create.expect("answered"), Write::Done);
}

/// Rules of users and event types are replaced whole; an event type begins without any.
pub async fn rules_are_replaced(world: World) {
    let user = world.user().await;
    let event_type = world.new_event_type(&world.tenant, "intro", &[&user]);
    world.store.create_event_type(&world.tenant, &event_type, None).await.expect("answered");
    let rules = AvailabilityRules { weekly: Vec::new(), ..AvailabilityRules::office_hours(Tz::Africa__Cairo) };
    let put = world.store.put_user_rules(&world.tenant, user.id, &rules, None).await;
    assert_eq!(put.expect("answered"), Write::Done);
    let put = world.store.put_event_type_rules(&world.tenant, event_type.id, &rules, None).await;
    assert_eq!(put.expect("answered"), Write::Done);
    let config = config(&world).await;
    assert_eq!(config.users[0].1.rules(), &rules);
    assert_eq!(config.event_types[0].1.as_ref().map(|schedule| schedule.rules()), Some(&rules));
    let unknown = world.new_user(&world.tenant, None).id;
    let put = world.store.put_user_rules(&world.tenant, unknown, &rules, None).await;
    assert_eq!(put.expect("answered"), Write::Missing);
}

/// Every write raises the account's config revision and the counter, so that no commit rests on old rules.
pub async fn every_write_raises_the_config_revision(world: World) {
    let user = world.user().await;
    let revision = world.config_revision(&world.tenant).await;
    let counter = world.store.change_counters().await.expect("readable").config;
    let rests_on =
        |revision| ExpectedRevision { key: RevisionKey::Config, revision: Some(revision), access: Access::Read };
    let (_, mut plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    plan.expected_revisions.insert(0, rests_on(revision));

    let rules = AvailabilityRules::office_hours(Tz::UTC);
    world.store.put_user_rules(&world.tenant, user.id, &rules, None).await.expect("answered");
    assert!(world.store.change_counters().await.expect("readable").config > counter);
    assert_eq!(world.commit(&plan).await, Outcome::Stale);
    plan.expected_revisions[0] = rests_on(world.config_revision(&world.tenant).await);
    assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
}
