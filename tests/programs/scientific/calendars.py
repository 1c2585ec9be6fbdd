"""Times: calendars, zones with all their changes, periods, formats, schedules, recurring dates."""

import calendar
import datetime as dt
import heapq
import itertools
import locale
import sched
import time
import zoneinfo
from datetime import UTC, date, datetime, timedelta, timezone

print([date(year, 2, calendar.monthrange(year, 2)[1]).isoformat() for year in (1900, 2000, 2023, 2024)])
print(calendar.TextCalendar(6).formatmonth(2026, 11), calendar.HTMLCalendar().formatmonth(2024, 2)[:90])
print([calendar.weekday(2026, month, 13) for month in range(1, 13)], calendar.leapdays(1900, 2027))


def easter(year):
    a, b, c = year % 19, year // 100, year % 100
    d, e, g = b // 4, b % 4, (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    l_ = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * l_) // 451
    month, day = divmod(h + l_ - 7 * m + 114, 31)
    return date(year, month, day + 1)


print([easter(year).strftime("%d %b") for year in range(2020, 2031)])
start = datetime(1970, 1, 1, tzinfo=UTC)
for seconds in (0, 951782400, 2**31, 253402300799, -62135596800):
    moment = start + timedelta(seconds=seconds)
    print(
        moment.isoformat(), moment.timetuple().tm_yday, moment.isocalendar(), time.strftime("%c", time.gmtime(seconds))
    )
for text in ("2024-02-29T12:30:45.123456+05:30", "2024-W09-4", "20240229T123045Z", "2024-02-30", "24:00"):
    try:
        print(
            datetime.fromisoformat(text).astimezone(UTC).isoformat()
            if "+" in text or "Z" in text
            else date.fromisoformat(text)
        )
    except ValueError as error:
        print(error)
for text, form in (
    ("29 Feb 2024 11:05 PM", "%d %b %Y %I:%M %p"),
    ("Thu 060 24", "%a %j %y"),
    ("12/31/99 +0130", "%m/%d/%y %z"),
):
    print(datetime.strptime(text, form).isoformat())
try:
    datetime.strptime("2024-13-01", "%Y-%m-%d")
except ValueError as error:
    print(error)
zone = timezone(timedelta(hours=-3, minutes=-30), "NST")
moment = datetime(2024, 7, 4, 8, 15, tzinfo=zone)
print(moment, moment.tzname(), moment.utcoffset(), moment.astimezone(UTC), moment.timestamp(), f"{moment:%A %-d %B}")
print(
    moment - datetime(2023, 12, 25, tzinfo=UTC),
    timedelta(days=-1, microseconds=7),
    timedelta(hours=5) / timedelta(minutes=7),
)
print(divmod(timedelta(days=100), timedelta(hours=7)), timedelta(1) * 1.5, abs(timedelta(-3, 5)), timedelta.max)


class Zone(dt.tzinfo):
    """Central Europe since 1996, by its rule."""

    @staticmethod
    def change(year, month):
        last = date(year, month, 31)
        return datetime(year, month, 31 - (last.weekday() + 1) % 7, 1)

    def utcoffset(self, moment):
        return timedelta(hours=1) + self.dst(moment)

    def dst(self, moment):
        wall = moment.replace(tzinfo=None) - timedelta(hours=1)
        begin, end = self.change(wall.year, 3), self.change(wall.year, 10)
        if end - timedelta(hours=1) <= wall - timedelta(hours=1) < end and moment.fold == 0:
            return timedelta(hours=1)
        return timedelta(hours=(begin <= wall < end - timedelta(hours=1) + timedelta(hours=1) and 1) or 0)

    def tzname(self, moment):
        return "CEST" if self.dst(moment) else "CET"


central = Zone()
for month, day, hour in ((3, 31, 0), (3, 31, 1), (7, 1, 12), (10, 27, 0), (10, 27, 1), (12, 24, 18)):
    moment = datetime(2024, month, day, hour, 30, tzinfo=UTC)
    print(moment.astimezone(central).isoformat(), moment.astimezone(central).tzname())
try:
    zoneinfo.ZoneInfo("Mars/Olympus")
except zoneinfo.ZoneInfoNotFoundError as error:
    print(error)


def rule(begin, every, weekdays=None, count=10):
    made, at = 0, begin
    while made < count:
        if weekdays is None or at.weekday() in weekdays:
            made += 1
            yield at
        at += every


merged = heapq.merge(
    rule(date(2024, 1, 1), timedelta(1), {1, 3}),
    rule(date(2024, 1, 2), timedelta(14)),
    rule(date(2023, 12, 31), timedelta(9)),
)
print([f"{key:%m-%d}x{len([*group])}" for key, group in itertools.groupby(merged)])
days = [date(2024, 1, 1) + timedelta(n) for n in range(366)]
print([sum(day.weekday() < 5 for day in group) for _, group in itertools.groupby(days, key=lambda day: day.month)])
now, log = [0.0], []


def sleep(seconds):
    now[0] += seconds


schedule = sched.scheduler(lambda: now[0], sleep)
for delay, priority, name in ((5, 1, "late"), (1, 2, "second"), (1, 1, "first"), (3, 1, "chain"), (2, 1, "dropped")):
    event = schedule.enter(delay, priority, lambda name=name: log.append((now[0], name)))
schedule.cancel(event)
schedule.enter(3, 2, lambda: schedule.enter(0.5, 1, log.append, ("chained",)))
schedule.run()
print(log, now, schedule.empty(), locale.localeconv()["decimal_point"], time.monotonic() > 0)
