"""When sample records changed. Whole seconds, UTC, ending before the sandbox was first released."""

from datetime import UTC, datetime
from functools import lru_cache

LAST = int(datetime(2026, 10, 30, 12, 0, tzinfo=UTC).timestamp())  # the newest sample record changed then
DAY = 86_400
_SPAN = 3 * 365 * DAY
_STEP = 6 * 3600


def changed_at(index: int, count: int) -> int:
    """Return when the record changed, unix seconds: six hours between two, less where many have to fit in."""
    return LAST - (count - 1 - index) * max(1, min(_STEP, _SPAN // max(1, count)))


@lru_cache(maxsize=4096)  # a record says the same few moments many times
def text(seconds: int) -> str:
    """Render unix seconds the way the API writes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6] + "Z"
