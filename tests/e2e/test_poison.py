"""Poison: messages and files that nobody can work on harm themselves alone.

After each, a good file lands in the same table and one in another; both are loaded.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from headrace_local.platform import PlatformOptions
from headrace_local.stack import DATA_FOLDER, FILE_NAME, PLACE_VARIABLE
from headrace_shared.facts import DropRouted, LoadStarted, ReplayRequested
from headrace_shared.testing.builders import a_drop, an_envelope
from tests.running_platform import RunningPlatform, eventually, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

RECEIVES = 2
"""Deliveries after which a message is dead; the real number takes an hour of back-off."""

KEY_BYTES = 1_024
"""The longest that S3 takes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

MEGABYTE = 2**20


@dataclass
class Poisoned:
    """A platform on which good files keep landing."""

    platform: RunningPlatform
    place: Path
    numbers: Iterator[int] = field(default_factory=count)
    good: int = 0

    def goes_on(self) -> None:
        """A good file for the table that was poisoned, and one for another, are loaded."""
        for table in ("users", "others"):
            key = f"dev/append/{table}/{next(self.numbers)}.csv"
            self.platform.land(key, "id,name\n1,a\n")
            self.platform.await_state(key, "loaded")
        self.good += 1
        assert self.platform.count("dev.others") == self.good

    def letters(self, service: str) -> list[dict[str, Any]]:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("headrace")), "dead", service, "--json"],
            env={**os.environ, PLACE_VARIABLE: str(self.place)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)["messages"]
        return found


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Poisoned]:
    data = tmp_path_factory.mktemp("platform") / DATA_FOLDER
    options = PlatformOptions(data_dir=data, ephemeral=True, fsync=False)
    with running(options) as platform:
        for url in platform.stack.inboxes.values():
            _make_shallow(platform, url)
        for table in ("users", "others"):
            platform.contract(table)
        yield Poisoned(platform, data / FILE_NAME)


def _make_shallow(platform: RunningPlatform, url: str) -> None:
    answer = platform.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    policy = {**json.loads(answer["Attributes"]["RedrivePolicy"]), "maxReceiveCount": RECEIVES}
    platform.sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)}
    )


UNKNOWN_FACT = json.dumps({"detail-type": "Moon Full", "source": "headrace", "detail": {}})
NEWER = {"version": "2.0"}
MESSAGES = [
    ("router", "not JSON at all", "not JSON"),
    ("loader", "\x00" * 200, "not JSON"),
    ("logger", '{"half": ', "not JSON"),
    ("router", an_envelope(ReplayRequested(drop=a_drop()), **NEWER), "2.0"),
    ("loader", an_envelope(DropRouted(drop=a_drop()), **NEWER), "2.0"),
    ("logger", an_envelope(LoadStarted(drop=a_drop(), attempt=1), **NEWER), "2.0"),
    ("router", UNKNOWN_FACT, "Moon Full"),
    ("loader", UNKNOWN_FACT, "Moon Full"),
    ("logger", UNKNOWN_FACT, "Moon Full"),
    ("router", json.dumps({"source": "aws.s3", "detail-type": "Object Created"}), "time"),
    ("loader", "[" * 100_000, "not JSON"),
]


def test_messages_that_nobody_can_read_end_among_the_dead_letters(poisoned: Poisoned) -> None:
    inboxes = poisoned.platform.stack.inboxes
    for service, body, _ in MESSAGES:
        # SQS takes no control characters; what it takes can still be no message.
        text = body.replace("\x00", "\ufffd")
        poisoned.platform.sqs.send_message(QueueUrl=inboxes[service], MessageBody=text)
        poisoned.goes_on()
    for service in inboxes:
        expected = [told for to, _, told in MESSAGES if to == service]

        def all_there(service: str = service, number: int = len(expected)) -> list[dict[str, Any]]:
            letters = poisoned.letters(service)
            return letters if len(letters) == number else []

        letters = eventually(all_there, f"{len(expected)} dead letters of the {service}")
        told = [str(one["unreadable"]) for one in letters]
        assert all(any(text in one for one in told) for text in expected), (expected, told)


def a_contract(of_bytes: int) -> bytes:
    document = {"columns": [{"name": "id", "type": "bigint"}]}
    return json.dumps(document).encode().ljust(of_bytes)


def long_key(letter: str) -> str:
    start = "dev/append/users/"
    room = KEY_BYTES - len(start) - len(".csv")
    return f"{start}{letter * (room // len(letter.encode()))}.csv"


REJECTED: dict[str, tuple[str, bytes, str]] = {
    "contract of 5 MB": ("dev/schema/users/big.json", a_contract(5 * MEGABYTE), "contract_"),
    "contract that is empty": ("dev/schema/users/empty.json", b"", "file_empty"),
    "contract that is a list": ("dev/schema/users/list.json", b"[]", "contract_"),
    "contract that is no JSON": ("dev/schema/users/none.json", b"\x00\xff{", "contract_"),
    "deeply nested contract": ("dev/schema/users/deep.json", b"[" * 100_000, "contract_"),
    "gzip that ends early": (
        "dev/append/users/cut.csv.gz",
        gzip.compress(b"id,name\n" + os.urandom(50_000).hex().encode())[:-2_000],
        "",
    ),
    "gzip that is none": ("dev/append/users/none.csv.gz", b"\0\1\2 no text", "file_not_packed"),
    "NUL bytes": ("dev/append/users/nul.csv", b"id,name\n1,a\x00b\n", ""),
    "not UTF-8": ("dev/append/users/latin.csv", b"id,name\n1,\xe9\n", ""),
    "key of 1,024 bytes without a form": ("x" * KEY_BYTES, b"id,name\n1,a\n", "key_malformed"),
    "key with quotes": ('dev/append/us"ers;--/a.csv', b"id,name\n1,a\n", "table_name_unsafe"),
    "one endless line": (
        "dev/append/users/line.csv",
        b"id,name\n1," + b"a" * MEGABYTE + b",b\n",
        "",
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_file_that_cannot_be_loaded_is_rejected_with_a_reason(
    poisoned: Poisoned, name: str
) -> None:
    key, body, code = REJECTED[name]
    before = poisoned.platform.count("dev.users")
    poisoned.platform.land(key, body)
    reason = poisoned.platform.await_state(key, "rejected")["reason"]
    assert reason["code"].startswith(code)
    assert reason["message"]
    assert reason["remedy"] or reason["bad_rows"]
    assert poisoned.platform.count("dev.users") == before
    poisoned.goes_on()


@pytest.mark.parametrize("letter", ["n", "ü", "水"], ids=["ASCII", "two bytes", "three bytes"])
def test_key_of_1024_bytes_is_loaded_like_any_other(poisoned: Poisoned, letter: str) -> None:
    key = long_key(letter)
    assert KEY_BYTES - 3 < len(key.encode()) <= KEY_BYTES
    poisoned.platform.land(key, "id,name\n1,a\n")
    assert poisoned.platform.await_state(key, "loaded")["key"] == key
    poisoned.goes_on()


def test_object_that_vanishes_before_it_is_read_is_rejected(poisoned: Poisoned) -> None:
    platform, key = poisoned.platform, "dev/append/users/vanishing.csv"
    with _stopped(platform, "loader"):
        platform.land(key, "id,name\n1,a\n")
        platform.await_state(key, "routed")
        _delete_for_good(platform, key)
    reason = platform.await_state(key, "rejected")["reason"]
    assert reason["code"] == "object_missing"
    poisoned.goes_on()


def _delete_for_good(platform: RunningPlatform, key: str) -> None:
    bucket = platform.stack.lake_bucket
    listed = platform.s3.list_object_versions(Bucket=bucket, Prefix=key)
    for version in listed["Versions"]:
        platform.s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])


@contextmanager
def _stopped(platform: RunningPlatform, service: str) -> Iterator[None]:
    """As long as this lasts, the processes stand still."""
    pids = platform.pids(service)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
