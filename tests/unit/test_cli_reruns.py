"""Drops run again in waves, and each is followed to the end of the run that was asked for."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID, uuid4

import pytest
import typer

from headrace_local import console
from headrace_local.api_client import PAGE_LIMIT, ApiUnreachableError, DropItem
from headrace_local.errors import UserError
from headrace_local.fact_bus import BusTarget
from headrace_local.replay_command import Selection, replay
from headrace_local.reruns import WAVE, Asking, Reruns
from headrace_local.revert_command import revert
from headrace_local.runs import replay_of, revert_of
from headrace_shared.facts import Fact, ReplayRequested, RevertRequested
from headrace_shared.log_schema import State

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
ASKED = 1_795_176_000_000


@pytest.fixture(autouse=True)
def fresh_consoles() -> Iterator[None]:
    """They keep the stream that they found first, which is another one in each test."""
    console.out.cache_clear()
    console.err.cache_clear()
    yield
    console.out.cache_clear()
    console.err.cache_clear()


def an_item(**changes: Any) -> DropItem:
    facts: dict[str, Any] = {
        "drop_id": uuid4(),
        "bucket": "lake",
        "key": "dev/append/t/a.csv",
        "etag": "e1",
        "bytes": 12,
        "state": State.REJECTED,
        "landed_timestamp": MOMENT,
        "db_name": "dev",
        "action": "append",
        "table_name": "t",
    }
    return DropItem.model_validate(facts | changes)


class FakePlatform:
    """A log and a bus: what is asked for ends at once as `ends` says, or stays as it is."""

    def __init__(self, *items: DropItem, ends: State | None = State.LOADED) -> None:
        self.items = {item.drop_id: item for item in items}
        self.ends = ends
        self.asked: list[Fact] = []
        self.calls: list[int] = []
        self.away = False
        self.base_url = "http://api"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def publish(self, facts: list[Fact]) -> None:
        self.calls.append(len(facts))
        self.asked += facts
        for fact in facts if self.ends else ():
            item = self.items[fact.drop.drop_id]
            changes = {"state": self.ends, "run": fact.run, "rows_loaded": 2, "rows_removed": 2}
            self.items[item.drop_id] = item.model_copy(update=changes)

    def drop(self, drop_id: UUID) -> DropItem:
        if self.away:
            raise ApiUnreachableError("The API does not answer.", "http://api", "Wait.")
        if drop_id not in self.items:
            raise UserError("Not found.", str(drop_id), "Look.")
        return self.items[drop_id]

    def drops(
        self,
        *,
        landed_from: datetime | None = None,
        landed_to: datetime | None = None,
        table: tuple[str, str] | None = None,
        state: State | None = None,
        limit: int = PAGE_LIMIT,
    ) -> Iterable[DropItem]:
        for drop_id in list(self.items):
            item = self.items[drop_id]
            if state in (None, item.state) and table in (None, (item.db_name, item.table_name)):
                yield item


def reruns(platform: FakePlatform, *, patience: float = 10, **changes: Any) -> Reruns:
    asking = changes.pop("asking", Asking(replay_of, State.LOADED, ASKED))
    options: dict[str, Any] = {"wait": True, "as_json": False} | changes
    return Reruns(platform, platform, asking, patience_seconds=patience, **options)


def test_replayed_drop_is_followed_to_its_new_end(capsys: pytest.CaptureFixture[str]) -> None:
    item = an_item()
    platform = FakePlatform(item)
    assert reruns(platform).run([item]) == 0
    (fact,) = platform.asked
    assert isinstance(fact, ReplayRequested)
    assert (fact.run, fact.drop.drop_id) == (ASKED, item.drop_id)
    told = capsys.readouterr().out
    assert told.startswith("loaded ")
    assert "2 rows" in told


def test_end_of_an_earlier_run_is_not_taken_for_the_new_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    item = an_item(state=State.LOADED, run=ASKED - 5)
    platform = FakePlatform(item, ends=None)
    assert reruns(platform, patience=0.05).run([item]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "The drop is requested" in told.err
    assert f"headrace show {item.drop_id}" in told.err


def test_drop_that_is_rejected_again_fails_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    items = [an_item(), an_item()]
    platform = FakePlatform(*items, ends=State.REJECTED)
    assert reruns(platform).run(items) == 1
    assert "0 of 2 loaded, 2 rejected" in capsys.readouterr().out


def test_many_go_in_waves(capsys: pytest.CaptureFixture[str]) -> None:
    items = [an_item() for _ in range(WAVE + 3)]
    platform = FakePlatform(*items)
    assert reruns(platform, as_json=True).run(iter(items)) == 0
    assert platform.calls == [WAVE, 3]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["drop_id"] for one in told} == {str(item.drop_id) for item in items}
    assert {one["state"] for one in told} == {"loaded"}


def test_wave_without_end_is_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    items = [an_item() for _ in range(WAVE + 3)]
    platform = FakePlatform(*items, ends=None)
    assert reruns(platform, patience=0).run(iter(items)) == 1
    assert platform.calls == [WAVE]
    assert "were not asked for" in capsys.readouterr().err


def test_asking_alone_waits_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    items = [an_item(), an_item()]
    assert reruns(FakePlatform(*items, ends=None), wait=False).run(items) == 0
    told = capsys.readouterr().out
    assert told.count("requested ") == 2
    assert "2 asked for" in told


def test_api_that_goes_away_is_told() -> None:
    item = an_item()
    platform = FakePlatform(item, ends=None)
    platform.away = True
    with pytest.raises(ApiUnreachableError):
        reruns(platform, patience=0.01).run([item])


def test_reverted_drop_tells_how_many_rows_went(capsys: pytest.CaptureFixture[str]) -> None:
    item = an_item(state=State.LOADED)
    platform = FakePlatform(item, ends=State.REVERTED)
    asking = Asking(revert_of, State.REVERTED, ASKED)
    assert reruns(platform, asking=asking).run([item]) == 0
    assert isinstance(platform.asked[0], RevertRequested)
    told = capsys.readouterr().out
    assert told.startswith("reverted ")
    assert "2 rows out" in told


def test_drop_that_changed_its_state_by_this_very_replay_has_had_its_turn() -> None:
    item = an_item(state=State.REJECTED)
    platform = FakePlatform(item, ends=State.FAILED)
    selection = Selection(("dev", "t"), (State.REJECTED, State.FAILED), None, None)
    assert reruns(platform).run(selection.find(platform, ASKED)) == 1  # type: ignore[arg-type]
    assert len(platform.asked) == 1


# --- the commands ---------------------------------------------------------------------------


def wired(platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands speak to the fake."""
    target = BusTarget("headrace", "http://api")
    for module in ("replay_command", "revert_command"):
        place = f"headrace_local.{module}"
        monkeypatch.setattr(f"{place}.find_bus", lambda *_: target)
        monkeypatch.setattr(f"{place}.events_client", lambda _: None)
        monkeypatch.setattr(f"{place}.ApiClient", lambda _: platform)
        monkeypatch.setattr(f"{place}.FactBus", lambda *_: platform)


def test_table_is_replayed_where_it_is_rejected_or_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [State.REJECTED, State.LOADED, State.FAILED, State.SUPERSEDED]
    platform = FakePlatform(*(an_item(state=state) for state in states))
    wired(platform, monkeypatch)
    with pytest.raises(typer.Exit) as ended:
        replay(table="dev.t")
    assert ended.value.exit_code == 0
    assert len(platform.asked) == 2


def test_dry_run_lists_and_asks_for_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = an_item()
    platform = FakePlatform(item)
    wired(platform, monkeypatch)
    replay(table="dev.t", dry_run=True)
    assert not platform.asked
    told = capsys.readouterr().out
    assert str(item.drop_id) in told
    assert "1 drop would be replayed." in told


@pytest.mark.parametrize(("number", "is_asked"), [(100, False), (101, True)])
def test_many_drops_are_asked_about_on_a_terminal(
    number: int, is_asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = FakePlatform(*(an_item() for _ in range(number)))
    wired(platform, monkeypatch)
    questions: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        questions.append(question)
        return False

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "confirm", confirm)
    with pytest.raises(typer.Exit) as ended:
        replay(table="dev.t")
    assert bool(questions) is is_asked
    assert (ended.value.exit_code, bool(platform.asked)) == ((1, False) if is_asked else (0, True))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"drop_ids": ["6b00cbd6"], "table": "dev.t"},
        {"drop_ids": ["6b00cbd6"], "since": "7d"},
        {"drop_ids": ["6b00cbd6"], "state": ["failed"]},
        {"table": "t"},
        {"table": "dev.t", "state": ["routed"]},
        {"table": "dev.t", "until": "tomorrow"},
    ],
)
def test_mistaken_replay_is_refused_before_anything_is_asked(arguments: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        replay(**arguments)


def test_nothing_is_reverted_if_one_of_the_drops_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [an_item(state=State.LOADED), an_item(state=State.LOADING)]
    platform = FakePlatform(*items, ends=State.REVERTED)
    wired(platform, monkeypatch)
    with pytest.raises(UserError, match="no final state"):
        revert([str(item.drop_id) for item in items])
    assert not platform.asked


def test_drop_named_twice_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    item = an_item(state=State.LOADED)
    platform = FakePlatform(item, ends=State.REVERTED)
    wired(platform, monkeypatch)
    with pytest.raises(typer.Exit) as ended:
        revert([str(item.drop_id)] * 2)
    assert (ended.value.exit_code, len(platform.asked)) == (0, 1)


def test_dry_run_of_a_revert_says_how_many_rows_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = an_item(state=State.LOADED, rows_loaded=7_460_000, action="truncate")
    platform = FakePlatform(item)
    wired(platform, monkeypatch)
    revert([str(item.drop_id)], dry_run=True)
    shown = capsys.readouterr().out
    assert "1 drop with 7,460,000 rows would be reverted" in shown
    assert "the rows that it had removed come back" in shown
    assert platform.asked == []


@pytest.mark.parametrize(("answer", "asked"), [("y\n", 1), ("n\n", 0), ("\n", 0)])
def test_revert_asks_on_a_terminal(
    answer: str, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = an_item(state=State.LOADED)
    platform = FakePlatform(item, ends=State.REVERTED)
    wired(platform, monkeypatch)
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    with pytest.raises((typer.Exit, typer.Abort)):
        revert([str(item.drop_id)])
    assert len(platform.asked) == asked


def test_revert_with_yes_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    item = an_item(state=State.LOADED)
    platform = FakePlatform(item, ends=State.REVERTED)
    wired(platform, monkeypatch)
    terminal = io.StringIO("")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    with pytest.raises(typer.Exit):
        revert([str(item.drop_id)], yes=True)
    assert len(platform.asked) == 1


def test_reverted_drop_is_said_to_be_reverted_already(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = an_item(state=State.REVERTED)
    platform = FakePlatform(item)
    wired(platform, monkeypatch)
    with pytest.raises(typer.Exit) as ended:
        revert([str(item.drop_id)])
    assert (ended.value.exit_code, platform.asked) == (0, [])
    assert "reverted already" in capsys.readouterr().out
