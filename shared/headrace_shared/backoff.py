"""How long a message stays hidden before the next try: pure functions of the attempt."""

from __future__ import annotations

from typing import Final

BASE_SECONDS: Final = 1.0
CAP_SECONDS: Final = 300.0

WAIT_BASE_SECONDS: Final = 1.0
WAIT_CAP_SECONDS: Final = 90.0


def full_jitter(attempt: int, chance: float) -> float:
    """Seconds before try `attempt + 1` after a transient failure or a bug.

    Full jitter spreads the retries of many messages that failed together, as in
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ; at least a tenth
    of the ceiling, so that a try is never wasted at once.

    Args:
        attempt: how often the message was received, from 1.
        chance: a random number in 0..1.
    """
    ceiling = min(CAP_SECONDS, BASE_SECONDS * 2.0 ** min(attempt, 20))
    return ceiling * (0.1 + 0.9 * chance)


def patient(attempt: int) -> float:
    """Seconds between looks for something that a person has yet to bring (a contract)."""
    return min(WAIT_CAP_SECONDS, WAIT_BASE_SECONDS * 2.0 ** min(attempt - 1, 20))


def looks_within(limit_seconds: float) -> int:
    """How many tries `patient` makes before `limit_seconds` have passed, the last one included."""
    tries, waited = 1, 0.0
    while waited < limit_seconds:
        waited += patient(tries)
        tries += 1
    return tries
