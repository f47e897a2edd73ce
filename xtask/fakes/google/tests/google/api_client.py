"""Drives a server with google-api-python-client: arguments are its base URL, a token and the discovery document."""

import json
import sys

from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

base_url, token, document = sys.argv[1:4]
with open(document, encoding="utf-8") as file:
    document = json.load(file)
document["rootUrl"] = f"{base_url}/"
document["baseUrl"] = f"{base_url}/calendar/v3/"
service = build_from_document(document, credentials=Credentials(token))
events = service.events()
said = {}


def body(hour, **more):
    time = {"timeZone": "Europe/Berlin"}
    start = {"dateTime": f"2026-11-23T{hour:02}:00:00+01:00", **time}
    end = {"dateTime": f"2026-11-23T{hour:02}:30:00+01:00", **time}
    return {"summary": f"At {hour}", "start": start, "end": end, **more}


def status_of(request):
    try:
        request.execute()
    except HttpError as error:
        return error.status_code
    return 200


def listed(**more):
    """Every item, how many pages they came in, and the last page's sync token."""
    items, pages, page = [], 0, None
    request = events.list(calendarId="primary", **more)
    while request is not None:
        page = request.execute()
        items.extend(page["items"])
        pages += 1
        request = events.list_next(request, page)
    return items, pages, page["nextSyncToken"]


said["calendars"] = [entry["id"] for entry in service.calendarList().list().execute()["items"]]
made = [events.insert(calendarId="primary", body=body(hour)).execute() for hour in range(6, 18)]
items, said["pages"], sync_token = listed(maxResults=3)
said["listed"] = len(items)

events.delete(calendarId="primary", eventId=made[0]["id"], sendUpdates="none").execute()
patched = events.patch(calendarId="primary", eventId=made[1]["id"], body={"summary": "Other"}).execute()
assert patched["summary"] == "Other" and patched["start"] == made[1]["start"]
replaced = events.update(calendarId="primary", eventId=made[2]["id"], body=body(20)).execute()
assert replaced["summary"] == "At 20"
changed, _, sync_token = listed(syncToken=sync_token)
said["changed"] = sorted(item["status"] for item in changed)
nothing, _, sync_token = listed(syncToken=sync_token)
said["nothing_changed"] = len(nothing)

series = events.insert(calendarId="primary", body=body(5, recurrence=["RRULE:FREQ=DAILY;COUNT=5"])).execute()
said["instances"] = len(events.instances(calendarId="primary", eventId=series["id"]).execute()["items"])
question = {
    "timeMin": "2026-11-24T00:00:00Z",
    "timeMax": "2026-11-26T00:00:00Z",
    "items": [{"id": said["calendars"][0]}],
}
said["busy"] = len(service.freebusy().query(body=question).execute()["calendars"][said["calendars"][0]]["busy"])

named = body(9, id="abcdefghij")
events.insert(calendarId="primary", body=named).execute()
said["duplicate"] = status_of(events.insert(calendarId="primary", body=named))
request = events.patch(calendarId="primary", eventId="abcdefghij", body={"summary": "x"})
request.headers["If-Match"] = '"0"'
said["conflict"] = status_of(request)
said["dead_token"] = status_of(events.list(calendarId="primary", syncToken="dead"))

channel = {"id": "a-channel", "type": "web_hook", "address": "https://example.com/bell", "token": "t"}
watched = events.watch(calendarId="primary", body=channel).execute()
said["watched"] = watched["kind"]
service.channels().stop(body={"id": "a-channel", "resourceId": watched["resourceId"]}).execute()
print(json.dumps(said))
