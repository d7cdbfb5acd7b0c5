"""Which objects of the lake are drops, and where each belongs by its key. Decided without I/O.

The router goes by these rules, and the verifier and `headrace backfill` by the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field, model_validator

from headrace_shared.ignored_names import DEFAULT_IGNORED_NAMES, IgnoredNames, is_ignored
from headrace_shared.routes import NO_ROUTES, Place, Routes, RoutesSetting, is_laid_out
from headrace_shared.settings import ServiceSettings


class LeftAlone(StrEnum):
    """Why an object is no drop."""

    FOLDER = "folder"
    MARKER = "marker"
    NO_ROUTE = "no_route"


@dataclass(frozen=True, slots=True)
class KeyRules:
    """The settings that decide it.

    Args:
        ignored_names: patterns of the names of markers.
        routes: the first one that fits a key decides where it goes.
        layout: keys `db_name/action/table_name/file` are drops, too.
    """

    ignored_names: tuple[str, ...] = DEFAULT_IGNORED_NAMES
    routes: Routes = NO_ROUTES
    layout: bool = True

    def left_alone(self, key: str, size_bytes: int) -> LeftAlone | None:
        """Why an object is no drop; None if it is one, or would be if its key were right."""
        if key.endswith("/") and size_bytes == 0:
            return LeftAlone.FOLDER
        is_routed = self.routes.place(key) is not None
        if is_ignored(key, self.ignored_names, whole_key=is_routed):
            return LeftAlone.MARKER
        if is_routed or (self.layout and (is_laid_out(key) or not self.routes)):
            return None
        return LeftAlone.NO_ROUTE

    def place(self, key: str) -> Place:
        """Where a key goes; what it does not say is empty."""
        found = self.routes.place(key)
        return found or Place(*(*key.split("/", 3), "", "", "", "")[:4])


DEFAULT_KEY_RULES = KeyRules()


class KeySettings(ServiceSettings):
    """What every service reads that has to know which objects are drops."""

    ignored_names: IgnoredNames = Field(
        DEFAULT_IGNORED_NAMES,
        description="Names of files and folders that are no drops, such as Spark's `_SUCCESS`: "
        "patterns with `*` and `?`, separated by commas.",
    )
    routes: RoutesSetting = Field(
        NO_ROUTES,
        description="Where keys go that are not laid out as `db_name/action/table_name/file`: a "
        "JSON list of lines such as `raw/orders/dt={dt}/*.csv -> shop/append/orders`.",
    )
    layout: bool = Field(
        default=True,
        description="Keys `db_name/action/table_name/file` are drops; false: only what a route "
        "fits.",
    )

    @model_validator(mode="after")
    def _leads_somewhere(self) -> KeySettings:
        if not (self.layout or self.routes):
            raise ValueError("without HEADRACE_LAYOUT, HEADRACE_ROUTES has to name a route")
        return self

    @property
    def key_rules(self) -> KeyRules:
        """The rules."""
        return KeyRules(self.ignored_names, self.routes, self.layout)
