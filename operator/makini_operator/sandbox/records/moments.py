"""When sample records changed. Whole seconds, UTC, ending before the sandbox was first released."""

from datetime import UTC, date, datetime
from functools import lru_cache

LAST = int(datetime(2026, 10, 30, 12, 0, tzinfo=UTC).timestamp())  # the newest sample record changed then
DAY = 86_400
_SPAN = 3 * 365 * DAY
_STEP = 6 * 3600
_EPOCH = date(1970, 1, 1).toordinal()


def changed_at(index: int, count: int) -> int:
    """Return when the record changed, unix seconds: six hours between two, less where many have to fit in."""
    return LAST - (count - 1 - index) * max(1, min(_STEP, _SPAN // max(1, count)))


def text(seconds: int) -> str:
    """Render unix seconds the way the API writes times."""
    days, rest = divmod(seconds, DAY)
    return f"{_day(days)}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}Z"


@lru_cache(maxsize=2048)  # sample records fall on some thousand days
def _day(days: int) -> str:
    return date.fromordinal(_EPOCH + days).isoformat()
