"""The other client of the story: an ordinary CalDAV client that knows nothing of AgentCal.

    other_client.py URL USERNAME PASSWORD fill MONDAY CHANGE_MONDAY
    other_client.py URL USERNAME PASSWORD make CALENDAR ZONE
    other_client.py URL USERNAME PASSWORD free-busy CALENDAR START END
    other_client.py URL USERNAME PASSWORD events CALENDAR START END
    other_client.py URL USERNAME PASSWORD move CALENDAR UID MINUTES
    other_client.py URL USERNAME PASSWORD delete CALENDAR UID
    other_client.py URL USERNAME PASSWORD add CALENDAR START END

Instants are RFC 3339, dates are YYYY-MM-DD. Every command prints one JSON document.
"""

import datetime as dt
import json
import sys

import caldav
from caldav.elements import cdav

from lifelike import CALENDARS, ZONES

UTC = dt.timezone.utc


def main(url, username, password, command, *arguments):
    client = caldav.DAVClient(url, username=username, password=password)
    answer = COMMANDS[command](client.principal(), *arguments)
    json.dump(answer, sys.stdout)


def fill(principal, monday, change_monday):
    """Makes every calendar of the story and says which time each of them takes."""
    monday, change_monday = dt.date.fromisoformat(monday), dt.date.fromisoformat(change_monday)
    expected = {}
    for name, (zone, contents) in CALENDARS.items():
        calendar = make_with_zone(principal, name, zone)
        filled = contents(monday, change_monday)
        for resource, text in filled.texts():
            put(calendar, resource, text)
        expected[name] = merged(filled.busy)
    return expected


def make(principal, name, zone):
    """Makes an empty calendar."""
    make_with_zone(principal, name, zone)
    return {}


def make_with_zone(principal, name, zone):
    """A calendar that says which zone its all-day and floating events mean (RFC 4791, 5.2.2)."""
    calendar = principal.make_calendar(name=name, cal_id=name)
    text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//other client//EN\r\n{ZONES[zone]}END:VCALENDAR\r\n"
    calendar.set_properties([cdav.CalendarTimeZone(text)])
    return calendar


def put(calendar, resource, text):
    headers = {"Content-Type": "text/calendar; charset=utf-8", "If-None-Match": "*"}
    answer = calendar.client.put(f"{calendar.url}{resource}.ics", text, headers)
    assert answer.status in (201, 204), f"{resource}: {answer.status}"


def free_busy(principal, name, start, end):
    """Asks the server itself (RFC 4791, 7.10) which time is taken."""
    answer = find(principal, name).freebusy_request(instant(start), instant(end))
    component = answer.icalendar_instance.walk("VFREEBUSY")[0]
    properties = component.get("freebusy", [])
    if not isinstance(properties, list):
        properties = [properties]
    ranges = []
    for prop in properties:
        if prop.params.get("FBTYPE", "BUSY") == "FREE":
            continue
        periods = getattr(prop, "dts", None) or [prop]
        for period in periods:
            begin, until = getattr(period, "dt", period.dt if hasattr(period, "dt") else period)
            until = begin + until if isinstance(until, dt.timedelta) else until
            ranges.append((begin, until))
    window = (instant(start), instant(end))
    return merged([(max(a, window[0]), min(b, window[1])) for a, b in ranges])


def events(principal, name, start, end):
    """The single events of a calendar, as they are stored."""
    found = []
    for resource in find(principal, name).search(event=True, start=instant(start), end=instant(end), expand=False):
        for event in resource.icalendar_instance.walk("VEVENT"):
            found.append(
                {
                    "uid": str(event["uid"]),
                    "start": seconds(event["dtstart"].dt),
                    "end": seconds(event.end),
                    "sequence": int(event.get("sequence", 0)),
                    "summary": str(event.get("summary", "")),
                }
            )
    return found


def move(principal, name, uid, minutes):
    """Drags an event to another time, as a person would."""
    event = find(principal, name).get_event_by_uid(uid)
    with event.edit_icalendar_instance() as calendar:
        for component in calendar.walk("VEVENT"):
            for key in ("dtstart", "dtend"):
                component[key].dt += dt.timedelta(minutes=int(minutes))
    event.save()
    return {}


def delete(principal, name, uid):
    find(principal, name).get_event_by_uid(uid).delete()
    return {}


def add(principal, name, start, end):
    event = find(principal, name).add_event(dtstart=instant(start), dtend=instant(end), summary="Dentist")
    return {"uid": str(event.icalendar_component["uid"])}


def find(principal, name):
    return principal.calendar(cal_id=name)


def instant(text):
    return dt.datetime.fromisoformat(text).astimezone(UTC)


def seconds(moment):
    return int(moment.astimezone(UTC).timestamp())


def merged(ranges):
    """Half-open ranges of seconds, sorted, none touching the next, none empty."""
    result = []
    for start, end in sorted((seconds(a), seconds(b)) for a, b in ranges):
        if start >= end:
            continue
        if result and start <= result[-1][1]:
            result[-1][1] = max(result[-1][1], end)
        else:
            result.append([start, end])
    return result


COMMANDS = {
    "fill": fill,
    "make": make,
    "free-busy": free_busy,
    "events": events,
    "move": move,
    "delete": delete,
    "add": add,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
