"""Calendars with the kinds of things that stand in real ones, and which time each of them takes.

What an event takes is written down beside the event, by a person, and not computed from it.
"""

import datetime as dt
from zoneinfo import ZoneInfo

import icalendar

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"
KOLKATA = "Asia/Kolkata"
ALICE = "mailto:alice@example.com"
DORA = "mailto:dora@example.com"


def rules(name, clock, day, offset_from, offset_to):
    """One half of a zone: from when on, by which rule, from and to which offset."""
    lines = [f"BEGIN:{name}", f"DTSTART:{clock}", f"TZOFFSETFROM:{offset_from}", f"TZOFFSETTO:{offset_to}"]
    if day:
        lines.append(f"RRULE:FREQ=YEARLY;{day}")
    return [*lines, f"END:{name}"]


def zone(tzid, *halves):
    lines = ["BEGIN:VTIMEZONE", f"TZID:{tzid}", *(line for half in halves for line in half), "END:VTIMEZONE", ""]
    return "\r\n".join(lines)


# Zones as calendar programs write them: by rule.
ZONES = {
    BERLIN: zone(
        BERLIN,
        rules("STANDARD", "19961027T030000", "BYMONTH=10;BYDAY=-1SU", "+0200", "+0100"),
        rules("DAYLIGHT", "19810329T020000", "BYMONTH=3;BYDAY=-1SU", "+0100", "+0200"),
    ),
    NEW_YORK: zone(
        NEW_YORK,
        rules("STANDARD", "20071104T020000", "BYMONTH=11;BYDAY=1SU", "-0400", "-0500"),
        rules("DAYLIGHT", "20070311T020000", "BYMONTH=3;BYDAY=2SU", "-0500", "-0400"),
    ),
    KOLKATA: zone(KOLKATA, rules("STANDARD", "19451015T000000", None, "+0530", "+0530")),
}


class Filled:
    """Events of one calendar."""

    def __init__(self):
        self.events = []
        self.busy = []

    def add(self, uid, *components):
        """One resource: an event, or a series with its exceptions."""
        self.events.append((uid, components))

    def takes(self, start, minutes):
        self.busy.append((start, start + dt.timedelta(minutes=minutes)))

    def texts(self):
        """Each resource's name and text."""
        for uid, components in self.events:
            calendar = icalendar.Calendar()
            calendar.add("prodid", "-//other client//EN")
            calendar.add("version", "2.0")
            for component in components:
                component.add("uid", uid)
                component.add("dtstamp", dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc))
                calendar.add_component(component)
            text = calendar.to_ical().decode()
            zones = "".join(definition for zone, definition in ZONES.items() if f"TZID={zone}" in text)
            yield uid, text.replace("BEGIN:VEVENT", zones + "BEGIN:VEVENT", 1)


def at(date, clock, tzid):
    """A moment on a wall."""
    hour, minute = map(int, clock.split(":"))
    return dt.datetime(date.year, date.month, date.day, hour, minute, tzinfo=ZoneInfo(tzid))


def event(start, end=None, **properties):
    component = icalendar.Event()
    component.add("summary", "Something private")
    component.add("dtstart", start)
    if end is not None:
        component.add("dtend", end)
    for name, value in properties.items():
        component.add(name.replace("_", "-"), value)
    return component


def invitation(invited, start, minutes, partstat):
    """A meeting of somebody else's, what one invited person answered, and what another did."""
    component = event(start, start + dt.timedelta(minutes=minutes))
    component.add("organizer", icalendar.vCalAddress("mailto:boss@example.com"))
    owner = icalendar.vCalAddress(invited)
    owner.params["PARTSTAT"] = icalendar.vText(partstat)
    component.add("attendee", owner, encode=0)
    other = icalendar.vCalAddress("mailto:zoe@example.com")
    other.params["PARTSTAT"] = icalendar.vText("ACCEPTED" if partstat == "DECLINED" else "DECLINED")
    component.add("attendee", other, encode=0)
    return component


def day(start, offset):
    return start + dt.timedelta(days=offset)


def work(monday, change_monday):
    """Alice's calendar. The weeks are counted from `monday`; the clocks change at the end of `change_monday`'s week."""
    filled = Filled()
    weekly(filled, monday, change_monday)
    standups(filled, change_monday)
    crowded_day(filled, day(monday, 2))

    blocker = at(monday, "09:00", BERLIN)
    filled.add("transparent", event(blocker, blocker + dt.timedelta(hours=8), transp="TRANSPARENT"))
    thursday = day(monday, 3)
    for uid, clock, status, minutes in [("tentative", "09:00", "TENTATIVE", 60), ("cancelled", "11:00", "CANCELLED", 0)]:
        start = at(thursday, clock, BERLIN)
        filled.add(uid, event(start, start + dt.timedelta(hours=1), status=status))
        filled.takes(start, minutes)
    friday = at(day(monday, 4), "15:00", BERLIN)
    filled.add("duration", event(friday, duration=dt.timedelta(minutes=90)))
    filled.takes(friday, 90)

    for uid, offset, clock, tzid, minutes in [
        ("new-york", 7, "09:00", NEW_YORK, 45),
        ("kolkata", 9, "14:30", KOLKATA, 45),
        ("utc", 11, "12:00", "UTC", 60),
    ]:
        start = at(day(monday, offset), clock, tzid)
        filled.add(uid, event(start, start + dt.timedelta(minutes=minutes)))
        filled.takes(start, minutes)
    accepted = at(day(monday, 10), "13:00", BERLIN)
    filled.add("accepted", invitation(ALICE, accepted, 60, "ACCEPTED"))
    filled.takes(accepted, 60)
    return filled


def weekly(filled, monday, change_monday):
    """Tuesdays at ten in Berlin, before and after the clocks change: the second falls out, the third was moved to
    Wednesday afternoon, the fourth was cancelled."""
    tuesday = day(monday, 1)
    weeks = max((change_monday - monday).days // 7 + 3, 6)
    start = at(tuesday, "10:00", BERLIN)
    hour = dt.timedelta(hours=1)
    series = event(start, start + hour, rrule={"freq": "weekly", "count": weeks})
    nth = [at(day(tuesday, 7 * week), "10:00", BERLIN) for week in range(weeks)]
    series.add("exdate", nth[1])
    afternoon = at(day(tuesday, 15), "14:00", BERLIN)
    moved = event(afternoon, afternoon + dt.timedelta(minutes=90), recurrence_id=nth[2])
    cancelled = event(nth[3], nth[3] + hour, recurrence_id=nth[3], status="CANCELLED")
    filled.add("weekly", series, moved, cancelled)
    for week, start in enumerate(nth):
        if week not in (1, 2, 3):
            filled.takes(start, 60)
    filled.takes(afternoon, 90)


def standups(filled, change_monday):
    """Every weekday at 08:30 in New York for three weeks, where the clocks may change on another day than in Berlin."""
    days = [day(change_monday, offset) for offset in range(21) if offset % 7 < 5]
    start = at(days[0], "08:30", NEW_YORK)
    rule = {"freq": "daily", "byday": ["MO", "TU", "WE", "TH", "FR"], "count": len(days)}
    filled.add("standup", event(start, start + dt.timedelta(minutes=15), rrule=rule))
    for date in days:
        filled.takes(at(date, "08:30", NEW_YORK), 15)


def crowded_day(filled, date):
    """One event every quarter of an hour, each ten minutes long."""
    for quarter in range(96):
        start = at(date, f"{quarter // 4:02}:{quarter % 4 * 15:02}", BERLIN)
        filled.add(f"crowd-{quarter}", event(start, start + dt.timedelta(minutes=10)))
        filled.takes(start, 10)


def holidays(monday, _change_monday):
    """All-day events: one day off, three days off, and a birthday that takes no time."""
    filled = Filled()
    off = day(monday, 8)
    filled.add("day-off", event(off, day(off, 1)))
    filled.busy.append((at(off, "00:00", BERLIN), at(day(off, 1), "00:00", BERLIN)))
    trip = day(monday, 15)
    filled.add("trip", event(trip, day(trip, 3)))
    filled.busy.append((at(trip, "00:00", BERLIN), at(day(trip, 3), "00:00", BERLIN)))
    birthday = day(monday, 3)
    filled.add("birthday", event(birthday, day(birthday, 1), transp="TRANSPARENT"))
    return filled


def odds(monday, _change_monday):
    """Dora's calendar, with what servers differ on: a declined invitation, floating time, an event without length."""
    filled = Filled()
    filled.add("declined", invitation(DORA, at(monday, "10:00", BERLIN), 60, "DECLINED"))
    lunch = dt.datetime.combine(day(monday, 4), dt.time(12, 0))
    filled.add("floating", event(lunch, lunch + dt.timedelta(minutes=60)))
    filled.takes(lunch.replace(tzinfo=ZoneInfo(BERLIN)), 60)
    filled.add("no-length", event(at(monday, "14:15", BERLIN), at(monday, "14:15", BERLIN)))
    return filled


def sparse(tzid):
    """A calendar with one lunch a week."""

    def contents(monday, _change_monday):
        filled = Filled()
        start = at(day(monday, 2), "12:00", tzid)
        filled.add("lunch", event(start, start + dt.timedelta(hours=1), rrule={"freq": "weekly", "count": 2}))
        for week in range(2):
            filled.takes(at(day(monday, 2 + 7 * week), "12:00", tzid), 60)
        return filled

    return contents


CALENDARS = {
    "work": (BERLIN, work),
    "holidays": (BERLIN, holidays),
    "odds": (BERLIN, odds),
    "newyork": (NEW_YORK, sparse(NEW_YORK)),
    "kolkata": (KOLKATA, sparse(KOLKATA)),
}
