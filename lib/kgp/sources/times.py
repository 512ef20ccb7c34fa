"""Times that the archives write without a zone."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache


def utc_from_london(day: str, time: str) -> str:
    """London's time as ISO 8601 in UTC, by British summer time as it has been since 1996.

    The hour that comes twice in autumn is taken for the first of the two, one that is left out in spring for winter
    time, as Python does.

    Args:
        day: ``YYYY-MM-DD``.
        time: ``hh:mm:ss``.

    >>> utc_from_london("2013-05-02", "15:00:05"), utc_from_london("2021-02-12", "14:46:34")
    ('2013-05-02T14:00:05Z', '2021-02-12T14:46:34Z')

    Raises:
        ValueError: there is no such day.
    """
    before, changes, in_summer_before, in_summer_after = _day(day)
    if not (in_summer_after if time >= changes else in_summer_before):
        return f"{day}T{time}Z"
    hour = int(time[:2]) - 1
    return f"{day}T{hour:02}{time[2:]}Z" if hour >= 0 else f"{before}T23{time[2:]}Z"


@lru_cache(maxsize=32_768)
def _day(day: str) -> tuple[str, str, bool, bool]:
    """The day before; from when on, in London, the clock is another; whether it is summer time before and after."""
    this = date.fromisoformat(day)
    begin, end = _last_sunday(this.year, 3), _last_sunday(this.year, 10)
    before = (this - timedelta(days=1)).isoformat() if this > date.min else day
    # In March 1 o'clock is followed by 2, in October 2 o'clock by 1.
    return before, "02:00:00", begin < this <= end, begin <= this < end


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31)
    return last - timedelta(days=last.isoweekday() % 7)
