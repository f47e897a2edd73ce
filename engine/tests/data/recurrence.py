"""Writes recurrence.txt: recurrence rules and what python-dateutil makes of them, as a second opinion.

Left out is where dateutil is known to differ from RFC 5545: BYWEEKNO without BYDAY (it takes the whole week, the RFC
DTSTART's weekday), BYSETPOS in a period that DTSTART cuts in two, and BYMONTHDAY together with a BYDAY that counts.
"""

import datetime
import random
import sys

from dateutil.rrule import rrulestr

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
random.seed(5545)


def some(values, most):
    return ",".join(str(value) for value in sorted(random.sample(list(values), random.randint(1, most))))


def days(counted):
    picked = random.sample(DAYS, random.randint(1, 3))
    if counted and random.random() < 0.6:
        picked = [random.choice(["1", "2", "-1", "-2", "3"]) + day for day in picked]
    return ",".join(picked)


def rule():
    freq = random.choice(["YEARLY", "YEARLY", "MONTHLY", "MONTHLY", "WEEKLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"])
    parts = [f"FREQ={freq}"]
    if random.random() < 0.4:
        parts.append(f"INTERVAL={random.randint(2, 5)}")
    if random.random() < 0.3:
        parts.append(f"WKST={random.choice(DAYS)}")
    aligned = False
    if freq == "YEARLY":
        kind = random.choice(["none", "month", "monthday", "yearday", "weekno", "day", "monthday2"])
        if kind in ("month", "monthday2"):
            parts.append(f"BYMONTH={some(range(1, 13), 3)}")
        if kind in ("monthday", "monthday2"):
            parts.append(f"BYMONTHDAY={some([1, 5, 13, 28, 29, 30, 31, -1, -5], 2)}")
        if kind == "yearday":
            parts.append(f"BYYEARDAY={some([1, 60, 100, 200, 365, 366, -1, -100, -366], 3)}")
        if kind == "weekno":
            parts.append(f"BYWEEKNO={some([1, 2, 20, 40, 52, 53, -1], 2)}")
            parts.append(f"BYDAY={days(False)}")
        if kind in ("day", "month"):
            parts.append(f"BYDAY={days(True)}")
        aligned = random.random() < 0.3
    elif freq == "MONTHLY":
        kind = random.choice(["none", "monthday", "day", "day", "both"])
        if kind in ("monthday", "both"):
            parts.append(f"BYMONTHDAY={some([1, 2, 13, 15, 28, 29, 30, 31, -1, -3], 3)}")
        if kind in ("day", "both"):
            parts.append(f"BYDAY={days(kind == 'day')}")
        if random.random() < 0.3:
            parts.append(f"BYMONTH={some(range(1, 13), 4)}")
        aligned = random.random() < 0.4
    elif freq == "WEEKLY":
        if random.random() < 0.8:
            parts.append(f"BYDAY={days(False)}")
        if random.random() < 0.2:
            parts.append(f"BYMONTH={some(range(1, 13), 4)}")
    elif freq == "DAILY":
        if random.random() < 0.4:
            parts.append(f"BYDAY={days(False)}")
        if random.random() < 0.2:
            parts.append(f"BYMONTH={some(range(1, 13), 4)}")
        if random.random() < 0.3:
            parts.append(f"BYHOUR={some(range(24), 3)}")
    if freq in ("HOURLY", "MINUTELY"):
        if random.random() < 0.5:
            parts.append(f"BYHOUR={some(range(24), 3)}")
        if freq == "HOURLY" and random.random() < 0.5:
            parts.append(f"BYMINUTE={some(range(0, 60, 5), 3)}")
    if aligned and len(parts) > 1:
        parts.append(f"BYSETPOS={some([1, 2, -1, -2], 2)}")
    if random.random() < 0.3:
        parts.append(f"COUNT={random.randint(1, 60)}")
    elif random.random() < 0.3:
        parts.append(f"UNTIL={random.randint(2025, 2028)}{random.randint(1, 12):02}15T120000")
    return ";".join(parts), aligned


def main():
    out = ["# Written by recurrence.py: rule, DTSTART, from, to, occurrences"]
    while len(out) < 401:
        text, aligned = rule()
        year = random.choice([1999, 2018, 2024, 2025])
        if "HOURLY" in text or "MINUTELY" in text:
            year = 2026
        start = datetime.datetime(year, random.randint(1, 12), random.randint(1, 28), random.randint(0, 23), 30)
        if aligned:
            start = datetime.datetime(year, 1, 1, 0, 0)
        begin = datetime.datetime(2026, random.randint(1, 12), 1)
        if "HOURLY" in text or "MINUTELY" in text:
            begin = max(begin, start)
        end = begin + datetime.timedelta(days=random.choice([40, 400, 1200]))
        found = []
        try:
            occurrences = rrulestr(text, dtstart=start)
        except ValueError:
            continue
        for occurrence in occurrences:
            if occurrence >= end or len(found) == 15:
                break
            if occurrence >= begin:
                found.append(occurrence)
        if len(found) == 15:
            end = found[-1]
            found.pop()
        if not found and random.random() < 0.8:
            continue
        stamp = "%Y%m%dT%H%M%S"
        shown = " ".join(occurrence.strftime(stamp) for occurrence in found)
        out.append("|".join([text, start.strftime(stamp), begin.strftime(stamp), end.strftime(stamp), shown]))
    sys.stdout.write("\n".join(out) + "\n")


main()
