"""Drives the fake with Microsoft's own client and with O365: create, list, changes, patch, delete, pages.

Arguments: the client to use, the base URL of the fake (with a slash), an access token.
"""

import asyncio
import datetime as dt
import sys


def expect(found, wanted, what):
    if found != wanted:
        raise SystemExit(f"{what}: {found!r} instead of {wanted!r}")


def models():
    from types import SimpleNamespace

    from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
    from msgraph.generated.models.day_of_week import DayOfWeek
    from msgraph.generated.models.event import Event
    from msgraph.generated.models.event_type import EventType
    from msgraph.generated.models.free_busy_status import FreeBusyStatus
    from msgraph.generated.models.patterned_recurrence import PatternedRecurrence
    from msgraph.generated.models.recurrence_pattern import RecurrencePattern
    from msgraph.generated.models.recurrence_pattern_type import RecurrencePatternType
    from msgraph.generated.models.recurrence_range import RecurrenceRange
    from msgraph.generated.models.recurrence_range_type import RecurrenceRangeType

    return SimpleNamespace(**{name: found for name, found in locals().items() if isinstance(found, type)})


def graph_at(base_url, token):
    from kiota_abstractions.authentication import AuthenticationProvider
    from msgraph import GraphRequestAdapter, GraphServiceClient

    class Token(AuthenticationProvider):
        async def authenticate_request(self, request, additional_authentication_context=None):
            request.headers.add("Authorization", f"Bearer {token}")

    adapter = GraphRequestAdapter(Token())
    adapter.base_url = base_url + "v1.0"
    return GraphServiceClient(request_adapter=adapter)


async def with_msgraph(base_url, token):
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph.generated.users.item.calendars.item.calendar_view.delta.delta_request_builder import (
        DeltaRequestBuilder,
    )
    from msgraph.generated.users.item.calendars.item.events.events_request_builder import EventsRequestBuilder

    m = models()
    graph = graph_at(base_url, token)
    me = await graph.me.get()
    expect(me.mail, "sarah@example.com", "me")
    calendars = await graph.me.calendars.get()
    expect([calendar.name for calendar in calendars.value], ["Calendar"], "calendars")
    calendar = graph.me.calendars.by_calendar_id(calendars.value[0].id)

    def at(day, hour):
        return m.DateTimeTimeZone(date_time=f"2026-12-{day:02}T{hour:02}:00:00", time_zone="UTC")

    made = []
    for day in range(1, 8):
        event = m.Event(subject=f"Day {day}", start=at(day, 9), end=at(day, 10), transaction_id=f"day-{day}")
        event.show_as = m.FreeBusyStatus.Oof
        made.append(await calendar.events.post(event))
    expect(made[0].show_as, m.FreeBusyStatus.Oof, "what was made")
    expect(made[0].type, m.EventType.SingleInstance, "its kind")
    expect(made[0].transaction_id, "day-1", "its transaction")
    try:
        await calendar.events.post(m.Event(start=at(1, 9), end=at(1, 10), transaction_id="day-1"))
    except Exception as refusal:
        expect(refusal.error.code, "ErrorDuplicateTransactionId", "a second event of a transaction")
    else:
        raise SystemExit("one transaction made two events")

    query = EventsRequestBuilder.EventsRequestBuilderGetQueryParameters(top=3, select=["subject", "start"])
    page = await calendar.events.get(RequestConfiguration(query_parameters=query))
    subjects, pages = [event.subject for event in page.value], 1
    while page.odata_next_link:
        page = await calendar.events.with_url(page.odata_next_link).get()
        subjects += [event.subject for event in page.value]
        pages += 1
    expect((subjects, pages), ([f"Day {day}" for day in range(1, 8)], 3), "pages of a list")

    async def round_from(page):
        rows = list(page.value)
        while page.odata_next_link:
            page = await calendar.calendar_view.delta.with_url(page.odata_next_link).get()
            rows += page.value
        return rows, page.odata_delta_link

    window = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(
        start_date_time="2026-12-01T00:00:00Z", end_date_time="2027-01-01T00:00:00Z"
    )
    configuration = RequestConfiguration(query_parameters=window)
    configuration.headers.add("Prefer", "odata.maxpagesize=4")
    rows, link = await round_from(await calendar.calendar_view.delta.get(configuration))
    expect(len(rows), 7, "the first round")

    changed = await calendar.events.by_event_id(made[1].id).patch(m.Event(start=at(2, 14), end=at(2, 15)))
    expect(changed.start.date_time, "2026-12-02T14:00:00.0000000", "what was changed")
    await calendar.events.by_event_id(made[2].id).delete()
    days = [m.DayOfWeek.Monday, m.DayOfWeek.Sunday]
    pattern = m.RecurrencePattern(type=m.RecurrencePatternType.Weekly, interval=1, days_of_week=days)
    kind, begins = m.RecurrenceRangeType.Numbered, dt.date(2026, 12, 20)
    times = m.RecurrenceRange(type=kind, number_of_occurrences=3, start_date=begins)
    weekly = m.PatternedRecurrence(pattern=pattern, range=times)
    await calendar.events.post(m.Event(subject="Weekly", start=at(20, 9), end=at(20, 10), recurrence=weekly))
    rows, link = await round_from(await calendar.calendar_view.delta.with_url(link).get())
    removed = [row.id for row in rows if "@removed" in (row.additional_data or {})]
    expect(removed, [made[2].id], "what a round says was removed")
    kinds = sorted(row.type.value for row in rows if row.type)
    expect(kinds, ["occurrence"] * 3 + ["seriesMaster", "singleInstance"], "kinds of events in a round")
    rows, _ = await round_from(await calendar.calendar_view.delta.with_url(link).get())
    expect(rows, [], "a round in which nothing happened")


def with_o365(base_url, token):
    from zoneinfo import ZoneInfo

    from O365 import Account, MSGraphProtocol
    from requests import Session

    class Here(MSGraphProtocol):
        _protocol_url = base_url

    account = Account(("client", "secret"), protocol=Here(timezone="UTC"))
    account.con.session = Session()
    account.con.session.headers["Authorization"] = f"Bearer {token}"
    account.con.requests_delay = 0

    calendar = account.schedule().get_default_calendar()
    expect(calendar.name, "Calendar", "the calendar")
    start = dt.datetime(2027, 2, 1, 9, tzinfo=ZoneInfo("UTC"))
    for day in range(12):
        event = calendar.new_event(subject=f"Talk {day}")
        event.start = start + dt.timedelta(days=day)
        event.end = event.start + dt.timedelta(hours=1)
        expect(event.save(), True, "making an event")

    def talks():
        window = {"start_recurring": "2027-02-01T00:00:00Z", "end_recurring": "2027-03-01T00:00:00Z"}
        return list(calendar.get_events(limit=100, batch=5, include_recurring=True, **window))

    found = talks()
    expect(sorted(event.subject for event in found), sorted(f"Talk {day}" for day in range(12)), "pages of a view")
    first = next(event for event in found if event.subject == "Talk 0")
    expect(first.start, start, "when it is")
    first.subject = "Moved"
    first.start = start + dt.timedelta(hours=5)
    first.end = first.start + dt.timedelta(hours=1)
    expect(first.save(), True, "changing an event")
    expect(calendar.get_event(first.object_id).start, start + dt.timedelta(hours=5), "when it is now")
    expect(first.delete(), True, "deleting an event")
    expect(len(talks()), 11, "what is left")


if __name__ == "__main__":
    client, base_url, token = sys.argv[1:]
    if client == "msgraph":
        asyncio.run(with_msgraph(base_url, token))
    else:
        with_o365(base_url, token)
    print("as expected")
