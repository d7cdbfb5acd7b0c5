"""Which column does a field of this name go into? The one rule, for every format. Without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from headrace_shared.contract import Column
from headrace_shared.field_names import folded, similar_name


class ColumnNames:
    """The columns by the names of fields.

    A field goes into the column that names it in `from` exactly; else into the column whose `from`
    or name is the same in any case; else into the one whose name is the same without accents,
    blanks and punctuation. Where two columns would take it, the one without a `from` does, and
    neither if both are alike in that.

    Args:
        columns: those with a position or a path of several steps take nothing by name.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        by_name = [one for one in columns if one.position is None and _taken(one) is not None]
        self._exact = {one.field: one for one in by_name if one.field is not None}
        self._named = {one.name: one for one in by_name if one.field is None}
        self._folded = _unique(by_name, folded)
        self._similar = _unique(by_name, similar_name)

    def column_of(self, field: str, compared: str | None = None) -> Column | None:
        """The column that takes a field.

        Args:
            field: its name in the file.
            compared: what is compared with the columns in its place, unless a `from` is exactly
                the name.
        """
        name = field if compared is None else compared
        return (
            self._exact.get(field)
            or self._named.get(name)
            or self._folded.get(folded(name))
            or self._similar.get(similar_name(name))
        )


def _taken(column: Column) -> str | None:
    """The name of the field that a column takes."""
    return column.name if column.taken_from is None else column.field


def _unique(
    columns: Sequence[Column], simplified: Callable[[str], str | None]
) -> Mapping[str | None, Column]:
    found: dict[str, list[Column]] = {}
    for column in columns:
        name = simplified(_taken(column) or "")
        if name:
            found.setdefault(name, []).append(column)
    chosen: dict[str | None, Column] = {}
    for name, alike in found.items():
        own = [one for one in alike if one.taken_from is None] or alike
        if len(own) == 1:
            chosen[name] = own[0]
    return chosen
