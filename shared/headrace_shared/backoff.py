"""How long a message stays hidden before the next try: pure functions of the attempt."""

from __future__ import annotations

from typing import Final

BASE_SECONDS: Final = 1.0
CAP_SECONDS: Final = 300.0

PROBE_CAP_SECONDS: Final = 15.0
"""Work goes on at most so long after the warehouse answers again."""

HOLD_BASE_SECONDS: Final = 2.0
HOLD_CAP_SECONDS: Final = 300.0

RELEASE_SECONDS: Final = 30.0
"""Longer than a poll, which waits for 20 s at most: one that is in flight does not receive what is
released meanwhile."""

BLIP_SECONDS: Final = 5.0
"""A warehouse that is back sooner was not away: a lost connection, a quick restart."""

SPREAD_BASE_SECONDS: Final = 60.0
SPREAD_CAP_SECONDS: Final = 3_600.0

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


def probe(attempt: int, chance: float) -> float:
    """Seconds before the warehouse is asked again whether it answers.

    Args:
        attempt: how often it did not answer in a row, from 1.
        chance: a random number in 0..1, which spreads the processes.
    """
    return min(PROBE_CAP_SECONDS, full_jitter(attempt, chance))


def hold(failures: int) -> float:
    """Seconds in which no drop of a table is loaded.

    Args:
        failures: how many of its loads in a row were ended by a time limit, from 1.
    """
    return min(HOLD_CAP_SECONDS, HOLD_BASE_SECONDS * 2.0 ** min(failures - 1, 20))


def spread(attempt: int, chance: float) -> float:
    """Seconds for which a message is released because too many of its table are in hand.

    They double with each delivery, so that a backlog of hours uses up few of the deliveries that
    the redrive limit allows: nineteen releases take more than seven hours.

    Args:
        attempt: how often the message was received, from 1.
        chance: a random number in 0..1.
    """
    ceiling = min(SPREAD_CAP_SECONDS, SPREAD_BASE_SECONDS * 2.0 ** min(attempt - 1, 20))
    return ceiling * (0.5 + 0.5 * chance)


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
