"""One chaos run: land, strike, come to rest, repair, compare."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

import boto3
import psycopg
from botocore.credentials import Credentials
from psycopg import sql

from headrace_local.platform import PlatformOptions
from headrace_local.ports import free_port
from headrace_local.stack import DATA_FOLDER, FILE_NAME, PLACE_VARIABLE
from tests.chaos.assault import Assault
from tests.chaos.checker import Difference, Drop, Held, Request, differences, drop_id, expected
from tests.chaos.proxy import FaultProxy, Rates
from tests.chaos.witness import Witness
from tests.chaos.world import DATABASE, File, World, is_first_contract
from tests.patience import patience
from tests.running_platform import RunningPlatform, running

VISIBILITY_SECONDS: Final = 6
LOADERS: Final = 3
PREFIX: Final = "headrace"
LOADER_INBOX: Final = f"{PREFIX}-loader"
ACCOUNT: Final = "000000000000"

_ENDS: Final = frozenset({"loaded", "rejected", "superseded", "reverted"})
_REST_SECONDS: Final = 240
_REQUEST_SHARE: Final = 0.04
_EMPTY_SECONDS: Final = 60
"""Within this time after the last blow every inbox is empty, on a machine that has time."""
_MOST_MESSAGES: Final = 3
"""The loader handles at most so many messages for each drop and each reopening of one."""
_COMMAND_SECONDS: Final = 180


@dataclass(frozen=True)
class Plan:
    """How long and how hard.

    Args:
        files_per_second: about so many land.
        pause_seconds: the longest pause between two blows.
        least_files, least_blows: a slow machine goes on after `seconds` until it has seen so many.
    """

    seed: int
    seconds: float
    tables: int
    files_per_second: float
    pause_seconds: float
    postgres_restarts: int
    most_lost: int = 5
    least_files: int = 0
    least_blows: int = 0


@dataclass
class Report:
    """What happened, and what is wrong; nothing should be."""

    plan: Plan
    drops: int = 0
    deliveries: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    reopenings: int = 0
    empty_seconds: float = 0
    faults: Counter[str] = field(default_factory=Counter)
    blows: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    redriven: int = 0
    repaired: int = 0
    rows: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    landing_seconds: float = 0
    rest_seconds: float = 0
    longest_recovery_seconds: float = 0
    unended: list[str] = field(default_factory=list)
    wrong: list[Difference] = field(default_factory=list)

    @property
    def handled(self) -> int:
        """Messages that were delivered to loaders, without the copies that the faults made."""
        return self.deliveries[LOADER_INBOX] - self.copies[LOADER_INBOX]

    @property
    def message_bound(self) -> int:
        """What `handled` has to stay below."""
        return _MOST_MESSAGES * (self.drops + self.reopenings)

    @property
    def is_good(self) -> bool:
        """Nothing lost, nothing doubled, nothing wrong, no storm of messages, and rest."""
        return not self.wrong and not self.unended and self.handled < self.message_bound

    def __str__(self) -> str:
        lost = sum(sum(one.missing.values()) for one in self.wrong)
        extra = sum(sum(one.extra.values()) for one in self.wrong)
        ended = sum(len(one.ended_otherwise) for one in self.wrong) + len(self.unended)
        rate = self.drops / self.landing_seconds if self.landing_seconds else 0
        lines = [
            f"seed        {self.plan.seed}",
            f"drops       {self.drops:,} on {self.plan.tables} tables, {rate:.1f} a second",
            f"ends        {_counted(self.ends)}",
            f"messages    {self.handled:,} to loaders; bound {self.message_bound:,}",
            f"copies      {self.copies[LOADER_INBOX]:,} more of them, made by the faults",
            f"reopenings  {self.reopenings:,}",
            f"deliveries  {_counted(self.deliveries)}",
            f"faults      {sum(self.faults.values()):,}: {_counted(self.faults)}",
            f"blows       {sum(self.blows.values()):,}: {_counted(self.blows)}",
            f"requests    {_counted(self.requests)}; {self.redriven} redriven",
            f"repaired    {self.repaired} by verify",
            f"rows        {self.rows:,}",
            f"longest     {self.longest_recovery_seconds:.1f} s without a drop that ended",
            f"rest        inboxes empty {self.empty_seconds:.1f} s after the last blow",
            f"repair      all found and ended after {self.rest_seconds:.1f} s",
            f"lost {lost}, doubled or too many {extra}, ended wrongly {ended}",
        ]
        return "\n".join([*lines, *map(str, self.wrong), *self.unended])


def run(plan: Plan, folder: Path, tell: Callable[[str], None]) -> Report:
    """Runs it on a fresh platform in this folder."""
    aws_port = free_port()
    proxy = FaultProxy(aws_port, plan.seed, Rates(), plan.most_lost)
    proxy.start()
    try:
        with running(_options(folder, aws_port, proxy.port)) as platform:
            return _Run(plan, platform, proxy, folder / DATA_FOLDER / FILE_NAME, tell).whole()
    finally:
        proxy.stop()


def _options(folder: Path, aws_port: int, proxy_port: int) -> PlatformOptions:
    endpoint = f"http://127.0.0.1:{proxy_port}"
    env = {
        service: {
            "AWS_ENDPOINT_URL": endpoint,
            "HEADRACE_INBOX_URL": f"{endpoint}/{ACCOUNT}/{PREFIX}-{service}",
            "HEADRACE_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
            "HEADRACE_LOCK_TIMEOUT_SECONDS": "3",
        }
        for service in ("router", "loader", "logger")
    }
    return PlatformOptions(
        data_dir=folder / DATA_FOLDER,
        scale={"loader": LOADERS},
        api_port=free_port(),
        aws_port=aws_port,
        service_env=env,
    )


class _Run:
    def __init__(
        self,
        plan: Plan,
        platform: RunningPlatform,
        proxy: FaultProxy,
        stack_file: Path,
        tell: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._platform = platform
        self._proxy = proxy
        self._stack_file = stack_file
        self._tell = tell
        self._random = random.Random(plan.seed)
        self._files: dict[tuple[str, str], list[File]] = {}
        self._requests: dict[UUID, Request] = {}
        self._report = Report(plan)
        proxy.credentials = Credentials(
            platform.stack.aws_access_key_id, platform.stack.aws_secret_access_key
        )
        session = boto3.Session(
            platform.stack.aws_access_key_id,
            platform.stack.aws_secret_access_key,
            region_name=platform.stack.aws_region,
        )
        endpoint = platform.stack.aws_endpoint_url
        events = session.client("events", endpoint_url=endpoint)
        self._dynamodb = session.client("dynamodb", endpoint_url=endpoint)
        self._witness = Witness(platform.sqs, events, platform.stack.lake_bucket)

    def whole(self) -> Report:
        """Every step in its order."""
        assault = Assault(
            self._platform, self._plan.seed, self._plan.pause_seconds, self._plan.postgres_restarts
        )
        self._proxy.calm = False
        assault.start()
        try:
            self._land(assault)
        finally:
            assault.stop()
            self._proxy.calm = True
        self._report.blows = assault.blows
        self._report.longest_recovery_seconds = assault.longest_recovery_seconds
        self._tell("the faults are over; waiting for rest")
        self._come_to_rest()
        self._compare()
        return self._report

    def _land(self, assault: Assault) -> None:
        world = World(self._plan.seed, self._plan.tables)
        started = time.monotonic()
        for file in world.beginning():
            self._upload(file)
        while (
            passed := time.monotonic() - started
        ) < self._plan.seconds or not self._has_seen_enough(assault):
            self._upload(world.next())
            if self._random.random() < _REQUEST_SHARE:
                self._request_one()
            self._witness.hear()
            ahead = self._uploads() / self._plan.files_per_second - passed
            time.sleep(max(0.0, ahead * self._random.uniform(0, 2)))
        self._report.landing_seconds = time.monotonic() - started

    def _has_seen_enough(self, assault: Assault) -> bool:
        return (
            self._uploads() >= self._plan.least_files
            and assault.blows.total() >= self._plan.least_blows
        )

    def _upload(self, file: File) -> None:
        answer = self._platform.s3.put_object(
            Bucket=self._platform.stack.lake_bucket, Key=file.key, Body=file.body
        )
        self._files.setdefault((file.key, answer["ETag"].strip('"')), []).append(file)

    def _uploads(self) -> int:
        return sum(map(len, self._files.values()))

    def _request_one(self) -> None:
        """A replay or a revert of a drop in any final state, as a user asks for it."""
        state = self._random.choice(["loaded", "loaded", "rejected", "superseded", "reverted"])
        command = "replay" if state == "reverted" else self._random.choice(["replay", "revert"])
        items = [
            one
            for one in self._platform.get(f"/v1/drops?limit=50&state={state}")["items"]
            if one["table_name"]
            and not is_first_contract(one["key"])
            # The model knows no contract that is read anew.
            and (one["action"] != "schema" or command == "revert" or state == "reverted")
        ]
        if not items:
            return
        chosen = self._random.choice(items)
        asked = self._headrace(command, chosen["drop_id"], "--no-wait", "--json")
        if asked.returncode == 0 and asked.stdout.strip():
            self._note(UUID(chosen["drop_id"]), int(json.loads(asked.stdout)["run"]), command)
            self._report.requests[f"{command} of {chosen['action']}"] += 1

    def _note(self, drop: UUID, run: int, command: str) -> None:
        known = self._requests.get(drop, Request(0, reverts=False))
        second = run // 1000 if command == "replay" else known.replay_second
        self._requests[drop] = Request(
            max(run, known.run),
            reverts=command == "revert" if run >= known.run else known.reverts,
            replay_second=max(second, known.replay_second),
        )

    def _come_to_rest(self) -> None:
        started = time.monotonic()
        limit = patience(_EMPTY_SECONDS)
        self._wait_for(self._inboxes_are_empty, "every inbox is empty", limit)
        self._report.empty_seconds = time.monotonic() - started
        self._wait_for(lambda: self._witness.hear() >= self._uploads(), "the witness hears all")
        self._wait_for(self._all_ended, "every drop that was not lost has ended")
        done = self._headrace("verify", "--repair", "--grace", "0", "--json")
        self._report.repaired = sum(
            1 for line in done.stdout.splitlines() if '"repaired": true' in line
        )
        self._wait_for(self._nothing_lost, "what was lost has been found and has ended")
        again = self._headrace("verify", "--grace", "0")
        if again.returncode:
            self._report.unended.append(f"verify still finds differences:\n{again.stdout}")
        self._report.rest_seconds = time.monotonic() - started

    def _all_ended(self) -> bool:
        log = self._log()
        lost = set(self._proxy.lost)
        for landed in self._witness.landed.values():
            if log.get(drop_id(landed)) not in _ENDS and landed.key not in lost:
                self._redrive()
                return False
        return True

    def _nothing_lost(self) -> bool:
        self._redrive()
        log = self._log()
        return len(log) >= self._uploads() and all(state in _ENDS for state in log.values())

    def _redrive(self) -> None:
        for service, url in self._platform.stack.dead_letter_queues.items():
            answer = self._platform.sqs.get_queue_attributes(
                QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
            )
            if count := int(answer["Attributes"]["ApproximateNumberOfMessages"]):
                self._headrace("redrive", service)
                self._report.redriven += count

    def _compare(self) -> None:
        report, log = self._report, self._log()
        found, ends = self._tables(), self._ledger()
        drops = [Drop(ident, self._file(key, etag)) for ident, (key, etag, _) in ends.items()]
        outcomes = {ident: end for ident, (_, _, end) in ends.items()}
        report.drops, report.deliveries = len(drops), self._proxy.deliveries
        report.copies, report.reopenings = self._proxy.copies, self._reopenings()
        report.faults = self._proxy.faults
        report.rows = sum(rows.total() for rows in found.values())
        report.ends = Counter(outcomes.values())
        report.wrong = differences(expected(drops, self._requests), found, outcomes)
        report.unended += [
            f"{ident} {ends[ident][0]}: the ledger says {end}, the log {log.get(ident)}"
            for ident, end in outcomes.items()
            if log.get(ident) != end
        ]
        report.unended += self._not_landed(outcomes)

    def _not_landed(self, ledger: Mapping[UUID, str]) -> list[str]:
        """The witness and the ledger must know the same drops; those whose event was lost have an
        id of their own."""
        lost = set(self._proxy.lost)
        heard = {drop_id(one): one.key for one in self._witness.landed.values()}
        told = [
            f"{ident} {key} landed and is not in the ledger"
            for ident, key in heard.items()
            if ident not in ledger and key not in lost
        ]
        if len(ledger) != self._uploads():
            told.append(f"{self._uploads()} files landed, the ledger has {len(ledger)} drops")
        return told

    def _file(self, key: str, etag: str) -> File:
        return self._files[key, etag][0]

    def _tables(self) -> dict[str, Counter[Held]]:
        with psycopg.connect(self._platform.stack.warehouse_dsn) as connection:
            names = connection.execute(
                "select table_name, bool_or(column_name = 'x') from information_schema.columns "
                "where table_schema = %s group by table_name",
                [DATABASE],
            ).fetchall()
            found = {}
            for name, has_x in names:
                statement = sql.SQL("select k, v, d, {}, _drop_id from {}").format(
                    sql.SQL("x" if has_x else "null"), sql.Identifier(DATABASE, name)
                )
                found[name] = Counter[Held](connection.execute(statement).fetchall())
            return found

    def _reopenings(self) -> int:
        with psycopg.connect(self._platform.stack.warehouse_dsn) as connection:
            row = connection.execute("select sum(reopenings) from headrace.ledger").fetchone()
            return int(row[0] or 0) if row else 0

    def _ledger(self) -> dict[UUID, tuple[str, str, str]]:
        with psycopg.connect(self._platform.stack.warehouse_dsn) as connection:
            rows = connection.execute(
                "select drop_id, key, etag, outcome from headrace.ledger"
            ).fetchall()
            return {ident: (key, etag, outcome) for ident, key, etag, outcome in rows}

    def _log(self) -> dict[UUID, str]:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._platform.stack.log_table
        )
        return {
            UUID(item["drop_id"]["S"]): item["state"]["S"]
            for page in pages
            for item in page["Items"]
            if "state" in item  # the log also keeps how far it has come
        }

    def _inboxes_are_empty(self) -> bool:
        return not any(map(self._messages_in, self._platform.stack.inboxes.values()))

    def _messages_in(self, queue_url: str) -> int:
        answer = self._platform.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])
        attributes = answer["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"]) + int(
            attributes["ApproximateNumberOfMessagesNotVisible"]
        )

    def _wait_for(
        self, check: Callable[[], bool], what: str, seconds: float = _REST_SECONDS
    ) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                self._report.unended.append(f"not within {seconds:g} s: {what}")
                return
            time.sleep(0.5)

    def _headrace(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("headrace")), *arguments],
            env={**os.environ, PLACE_VARIABLE: str(self._stack_file)},
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
