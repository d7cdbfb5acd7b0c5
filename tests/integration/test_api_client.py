"""A client that is generated from the running API's own document works against it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import openapi_python_client as generator
import pytest
from openapi_python_client.config import Config, ConfigFile, MetaType

from headrace_api import examples
from headrace_shared.contract import Contract
from headrace_shared.facts import DropRouted, encode
from tests.integration.test_api import drop, item_of, loaded, rejected
from tests.running_api import RunningApi

pytestmark = pytest.mark.integration

PACKAGE = "generated_client"
DROPS = [drop(table="user_data", name=f"{number}.csv") for number in range(5)]
REJECTED = drop(table="user_data", name="bad.csv")


class Generated:
    """The client: its operations and models by name, and a connection."""

    def __init__(self, api: RunningApi) -> None:
        client = importlib.import_module(f"{PACKAGE}.client")
        self.models: Any = importlib.import_module(f"{PACKAGE}.models")
        self.unset: Any = importlib.import_module(f"{PACKAGE}.types").UNSET
        self.connection: Any = client.AuthenticatedClient(
            base_url=api.url, token=api.key, raise_on_unexpected_status=True
        )

    def operation(self, name: str) -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.api.{name}")

    def ask(self, name: str, *arguments: Any, **more: Any) -> Any:
        """The answer of `tag.operation`, as the type that the document gives it."""
        return self.operation(name).sync(*arguments, client=self.connection, **more)


@pytest.fixture
def client(
    process: RunningApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Generated]:
    config = Config.from_sources(
        ConfigFile(post_hooks=[]),
        MetaType.NONE,
        f"{process.url}/openapi.json",
        file_encoding="utf-8",
        overwrite=False,
        output_path=tmp_path / PACKAGE,
    )
    # It warns of whatever it leaves out.
    assert list(generator.generate(config=config)) == []
    monkeypatch.syspath_prepend(tmp_path)
    made = Generated(process)
    with made.connection:
        yield made
    for name in [one for one in sys.modules if one.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
async def staged(process: RunningApi) -> None:
    """A table of three rows, six drops, and a message that was given up."""
    process.log(item_of(rejected(REJECTED)), *(item_of(loaded(one)) for one in DROPS))
    rows = [(name, 1 << 60, "1815-12-10") for name in ("ada", "grace", "mary")]
    await process.table(DROPS[0], Contract.model_validate(examples.CONTRACT), *rows)
    body = {"source": "headrace", "detail-type": "Drop Routed"}
    body["detail"] = json.loads(encode(DropRouted(drop=REJECTED)))
    queue = process.aws.provisioned.dead_letter_queues["loader"]
    process.aws.clients.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(body))


def test_generated_client_pages_through_drops_and_gets_one(client: Generated) -> None:
    found, cursor = [], client.unset
    while cursor is not None:
        page = client.ask("drops.list_drops", limit=4, cursor=cursor)
        assert isinstance(page, client.models.DropPage)
        assert len(page.items) <= 4
        found += page.items
        cursor = page.next_cursor
    assert {one.drop_id for one in found} == {one.drop_id for one in [*DROPS, REJECTED]}

    story = client.ask("drops.get_drop", REJECTED.drop_id)
    assert isinstance(story, client.models.DropStory)
    assert story.state is client.models.State.REJECTED
    assert story.reason.code == "bad_rows"
    assert [step.status for step in story.timeline] == ["fail"]


def test_generated_client_reads_tables_rows_and_figures(client: Generated) -> None:
    tables = client.ask("tables.list_tables")
    assert [(one.db_name, one.table_name) for one in tables.items] == [("dev", "user_data")]
    table = client.ask("tables.get_table", "dev", "user_data")
    assert (table.row_count, table.contract["primary_key"]) == (3, ["username"])

    filters = client.models.ListRowsFilters.from_dict({"username": "ada"})
    rows = client.ask("rows.list_rows", "dev", "user_data", filters=filters)
    assert isinstance(rows, client.models.RowPage)
    assert [row.to_dict() for row in rows.items] == [
        {"username": "ada", "identifier": str(1 << 60), "born_on": "1815-12-10"}
    ]
    page = client.ask("rows.list_rows", "dev", "user_data", limit=2)
    rest = client.ask("rows.list_rows", "dev", "user_data", limit=2, cursor=page.next_cursor)
    assert [row["username"] for row in page.items + rest.items] == ["ada", "grace", "mary"]

    assert len(client.ask("figures.get_stats", hours=6).hours) == 6
    assert client.ask("health.readyz").checks.to_dict() == {"log": "ok", "warehouse": "ok"}


def test_generated_client_operates(client: Generated) -> None:
    letters = client.ask("operating.list_dead_letters", service="loader")
    assert [one.drop_id for one in letters.items] == [REJECTED.drop_id]

    key = "9b2c"
    asked = client.ask("operating.replay_drop", REJECTED.drop_id, idempotency_key=key)
    assert isinstance(asked, client.models.AskedReplay)
    assert asked.state_before is client.models.State.REJECTED
    again = client.operation("operating.replay_drop").sync_detailed(
        REJECTED.drop_id, client=client.connection, idempotency_key=key
    )
    assert (again.status_code, again.parsed.run) == (202, asked.run)
    assert again.headers["Idempotency-Replayed"] == "true"

    body = client.models.ReplayRequest(
        db_name="dev", table_name="user_data", states=[client.models.State.LOADED], limit=2
    )
    answer = client.ask("operating.replay_drops", body=body)
    assert len(answer.items) == 2
    assert isinstance(answer.next_cursor, str)


def test_generated_client_gets_problems_as_what_they_are(client: Generated) -> None:
    problem = client.ask("drops.list_drops", limit=0)
    assert isinstance(problem, client.models.Problem)
    assert (problem.status, problem.parameter) == (400, "limit")
    gone = client.ask("drops.get_drop", UUID(int=1))
    assert isinstance(gone, client.models.Problem)
    assert gone.type_.endswith("/not-found")
