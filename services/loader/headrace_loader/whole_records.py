"""Records of which a staged row is at fault: a record is left out with all the rows that it made,
so that it makes no row twice once it is corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace_loader.files import Rows
from headrace_loader.sifting.batches import BadRecord, Fault
from headrace_loader.staging import Staging


@dataclass(frozen=True, slots=True)
class StagedRecord:
    """A record that is at fault, and the line numbers of all its staged rows."""

    bad: BadRecord
    lines: Sequence[int]


async def records_at_fault(
    staging: Staging, file: Rows, faults: Mapping[int, Sequence[Fault]]
) -> list[StagedRecord]:
    """The records that rows with faults are of, in the file's order.

    Args:
        faults: of staged rows, by their line numbers.
    """
    if not faults:
        return []
    records = await file.loaded((await staging.places(list(faults))).values())
    lines = await staging.lines_of(list(records))
    places_of: dict[int, list[int]] = {}
    for place in sorted(lines):
        places_of.setdefault(records[place].number, []).append(place)
    return [
        StagedRecord(
            BadRecord(
                records[places[0]],
                tuple(dict.fromkeys(f for place in places for f in faults.get(lines[place], ()))),
            ),
            [lines[place] for place in places],
        )
        for places in places_of.values()
    ]
