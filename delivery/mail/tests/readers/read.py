"""Reads mails as strictly as can be, and their invitations with three readers. Prints what each found, as JSON.

read.py FOLDER: reads its .eml files, and leaves each invitation beside them as .ics.
"""

import json
import re
import sys
from datetime import timezone
from email import policy
from email.header import decode_header, make_header
from email.parser import BytesParser
from email.utils import getaddresses
from pathlib import Path

import vobject
from icalendar import Calendar
from xandikos import imip

PARAMETERS = ["CN", "CUTYPE", "ROLE", "PARTSTAT", "RSVP"]


def instant(value):
    assert value.tzinfo is not None, value
    return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def by_icalendar(data):
    calendar = Calendar.from_ical(data)
    (event,) = calendar.walk("VEVENT")
    assert not calendar.errors and not event.errors, (calendar.errors, event.errors)
    organizer = event["ORGANIZER"]
    return {
        "method": str(calendar["METHOD"]),
        "uid": str(event["UID"]),
        "sequence": int(event["SEQUENCE"]),
        "status": str(event["STATUS"]),
        "summary": str(event["SUMMARY"]),
        "location": str(event.get("LOCATION", "")),
        "description": str(event["DESCRIPTION"]),
        "comment": str(event.get("COMMENT", "")),
        "stamp": instant(event["DTSTAMP"].dt),
        "start": instant(event["DTSTART"].dt),
        "end": instant(event["DTEND"].dt),
        "organizer": [str(organizer), organizer.params["CN"], organizer.params.get("SENT-BY", "")],
        "attendees": [
            [str(attendee)] + [str(attendee.params[name]) for name in PARAMETERS]
            for attendee in listed(event.get("ATTENDEE"))
        ],
    }


def by_vobject(data):
    calendar = vobject.readOne(data.decode("utf-8"))
    calendar.validate(raiseException=True)
    event = calendar.vevent

    def text(name):
        return getattr(event, name).value if hasattr(event, name) else ""

    def parameter(line, name):
        values = line.params.get(name, [""])
        assert len(values) == 1, values
        return values[0]

    return {
        "method": calendar.method.value,
        "uid": event.uid.value,
        "sequence": int(event.sequence.value),
        "status": event.status.value,
        "summary": event.summary.value,
        "location": text("location"),
        "description": text("description"),
        "comment": text("comment"),
        "stamp": instant(event.dtstamp.value),
        "start": instant(event.dtstart.value),
        "end": instant(event.dtend.value),
        "organizer": [event.organizer.value, parameter(event.organizer, "CN"), parameter(event.organizer, "SENT-BY")],
        "attendees": [
            [attendee.value] + [parameter(attendee, name) for name in PARAMETERS]
            for attendee in event.contents.get("attendee", [])
        ],
    }


def by_xandikos(data):
    """What a server that takes invitations out of mails finds; none where there is nothing to invite to."""
    try:
        payload = imip.extract_payload_from_bytes(data)
    except imip.InvalidIMIPMessage as error:
        assert str(error) == "Unsupported iMIP METHOD 'PUBLISH'", error
        return None
    message = imip.parse_message(data)
    return {
        "method": payload.method,
        "data": payload.calendar_data.decode("utf-8"),
        "is_taken_in": not imip.is_auto_submitted(message),
        "targets": sorted(imip.target_calendar_user_addresses(payload)),
    }


def mailboxes(message, name):
    """By the older of Python's two readers of addresses: the newer one of some versions keeps the space between two
    encoded words. It must find the same addresses, though."""
    raw = re.sub(r"\r?\n(?=[ \t])", "", message.get(name, ""))
    return [[str(make_header(decode_header(display))), address] for display, address in getaddresses([raw])]


def read(path):
    data = path.read_bytes()
    assert all(len(line) <= 998 for line in data.split(b"\r\n")), "a line is too long"
    assert b"\n" not in data.replace(b"\r\n", b"") and b"\r" not in data.replace(b"\r\n", b""), "a bare line end"
    assert data.isascii()
    # Raises at the first thing that is not as it should be.
    message = BytesParser(policy=policy.strict).parsebytes(data)
    plain = BytesParser(policy=policy.compat32).parsebytes(data)
    people = {name: mailboxes(plain, name) for name in ["From", "To", "Reply-To"]}
    for name, found in people.items():
        addresses = [address.addr_spec for address in message[name].addresses] if name in message else []
        assert addresses == [address for _, address in found], (addresses, found)
    parts = {part.get_content_type(): part for part in message.walk()}
    for part in message.walk():
        assert not part.defects, part.defects
        for name, value in part.items():
            assert not value.defects, (name, value.defects)
    found = {
        "headers": sorted(name.lower() for name in message.keys()),
        "message_id": str(message["Message-ID"]),
        "date": instant(message["Date"].datetime),
        "from": people["From"],
        "to": people["To"],
        "reply_to": people["Reply-To"],
        "subject": str(message["Subject"]),
        "auto_submitted": str(message.get("Auto-Submitted", "")),
        "parts": [part.get_content_type() for part in message.walk()],
        "text": parts["text/plain"].get_content(),
        "html": parts["text/html"].get_content(),
        "envelope": json.loads(path.with_suffix(".envelope").read_text()),
        "invitation": None,
    }
    part = parts.get("text/calendar")
    if part is not None:
        inline = part.get_payload(decode=True)
        attached = parts["application/ics"]
        assert attached.get_payload(decode=True) == inline, "the file is not the invitation"
        assert attached.get_filename() == "invite.ics" and attached.get_content_disposition() == "attachment"
        assert part.get_param("charset") == "utf-8"
        assert all(len(line) <= 75 for line in inline.split(b"\r\n")), "a line of the invitation is too long"
        inline.decode("utf-8")
        path.with_suffix(".ics").write_bytes(inline)
        found["invitation"] = {
            "mime_method": part.get_param("method"),
            "icalendar": by_icalendar(inline),
            "vobject": by_vobject(inline),
            "xandikos": by_xandikos(data),
        }
    return found


print(json.dumps([read(path) for path in sorted(Path(sys.argv[1]).glob("*.eml"))]))
