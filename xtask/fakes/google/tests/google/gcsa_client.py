"""Drives a server with gcsa: arguments are its base URL, a token and the discovery document."""

import json
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gcsa.event import Event
from gcsa.google_calendar import GoogleCalendar
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document

base_url, token, document = sys.argv[1:4]
with open(document, encoding="utf-8") as file:
    document = json.load(file)
document["rootUrl"] = f"{base_url}/"
document["baseUrl"] = f"{base_url}/calendar/v3/"
credentials = Credentials(token)
calendar = GoogleCalendar(credentials=credentials)
# It knows Google alone; everything else about it stays as it is.
calendar.service = build_from_document(document, credentials=credentials)
zone = ZoneInfo("Europe/Berlin")
start = datetime(2026, 11, 23, 9, tzinfo=zone)
said = {"calendars": [entry.id for entry in calendar.get_calendar_list()]}


def listed():
    found = calendar.get_events(
        time_min=start - timedelta(days=1), time_max=start + timedelta(days=30), single_events=True, order_by="startTime"
    )
    return [event.summary for event in found]


breakfast = calendar.add_event(Event("Breakfast", start=start, end=start + timedelta(minutes=45), timezone="Europe/Berlin"))
said["added"] = calendar.get_event(breakfast.event_id).summary
breakfast.summary = "Brunch"
said["updated"] = calendar.update_event(breakfast).summary
daily = Event(
    "Daily",
    start=start + timedelta(hours=3),
    end=start + timedelta(hours=4),
    timezone="Europe/Berlin",
    recurrence="RRULE:FREQ=DAILY;COUNT=3",
)
daily = calendar.add_event(daily)
said["listed"] = listed()
said["instances"] = len(list(calendar.get_instances(daily)))
busy = calendar.get_free_busy(time_min=start, time_max=start + timedelta(hours=12))
said["busy"] = sum(len(periods) for periods in busy.calendars.values())
calendar.delete_event(breakfast)
said["left"] = listed()
print(json.dumps(said))
