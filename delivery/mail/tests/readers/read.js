// Reads the .ics files of a folder with ical.js, and prints what it found, as JSON.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const module_ = require("ical.js");
const ICAL = module_.default ?? module_;

const PARAMETERS = ["cn", "cutype", "role", "partstat", "rsvp"];

function read(file) {
  const calendar = new ICAL.Component(ICAL.parse(fs.readFileSync(file, "utf8")));
  const events = calendar.getAllSubcomponents("vevent");
  if (events.length !== 1) throw new Error(`${file}: ${events.length} events`);
  const [event] = events;
  const text = (name) => event.getFirstPropertyValue(name) ?? "";
  const instant = (name) => {
    const time = event.getFirstPropertyValue(name);
    if (time.zone !== ICAL.Timezone.utcTimezone) throw new Error(`${file}: ${name} is not in UTC`);
    return time.toString();
  };
  const organizer = event.getFirstProperty("organizer");
  return {
    method: calendar.getFirstPropertyValue("method"),
    uid: text("uid"),
    sequence: text("sequence"),
    status: text("status"),
    summary: text("summary"),
    location: text("location"),
    description: text("description"),
    comment: text("comment"),
    stamp: instant("dtstamp"),
    start: instant("dtstart"),
    end: instant("dtend"),
    organizer: [organizer.getFirstValue(), organizer.getParameter("cn"), organizer.getParameter("sent-by") ?? ""],
    attendees: event
      .getAllProperties("attendee")
      .map((attendee) => [attendee.getFirstValue(), ...PARAMETERS.map((name) => attendee.getParameter(name))]),
  };
}

const folder = process.argv[2];
const files = fs.readdirSync(folder).filter((name) => name.endsWith(".ics")).sort();
console.log(JSON.stringify(Object.fromEntries(files.map((name) => [name, read(path.join(folder, name))]))));
