"""Uploads whose connection is cut, or that are given up, at every point: what is said of the file
is what is in the lake."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace_local.destination import Planned
from headrace_local.errors import PlatformError
from headrace_local.lake_object import MEBIBYTE
from headrace_local.target import Credentials, Target, lake_client
from headrace_local.upload import Landed, Uploader
from headrace_local.upload_attempt import UnknownLandingError
from headrace_local.upload_source import UploadStopped
from tests.losing_proxy import Cut, LosingProxy, Rule, always, losing_proxy, once
from tests.real_parts import AwsStack

KEY = "dev/append/users/a b.csv"
SMALL, LARGE = 1_000, 20 * MEBIBYTE
ALL_TRIES = 5


class Lake:
    """A bucket behind a proxy, and an uploader that reaches it by the proxy alone."""

    def __init__(self, aws: AwsStack, proxy: LosingProxy, folder: Path) -> None:
        self._s3, self.bucket = aws.clients.s3, aws.resources.bucket.name
        self.proxy, self._folder, self.stop = proxy, folder, threading.Event()
        credentials = Credentials("test", "test", aws.clients.s3.meta.region_name)
        target = Target(self.bucket, None, proxy.url, credentials)
        self.uploader = Uploader(lake_client(target), self.bucket, self.stop, looks=(0.0, 0.1))

    def file(self, size_bytes: int) -> Planned:
        path = self._folder / "a.csv"
        path.write_bytes(b"x" * size_bytes)
        return Planned(str(path), KEY, size_bytes)

    def upload(
        self, planned: Planned, on_bytes: Callable[[int], None] = lambda _count: None
    ) -> Landed:
        return self.uploader.upload(planned, on_bytes)

    def versions(self) -> list[str]:
        found = self._s3.list_object_versions(Bucket=self.bucket, Prefix=KEY)
        return [one["VersionId"] for one in found.get("Versions", [])]


@pytest.fixture
def lake(aws_stack: AwsStack, tmp_path: Path) -> Iterator[Lake]:
    with losing_proxy(aws_stack.endpoint_url) as proxy:
        yield Lake(aws_stack, proxy, tmp_path)


@pytest.mark.parametrize("size_bytes", [0, SMALL, LARGE])
def test_upload_that_nothing_hinders_is_one_version(lake: Lake, size_bytes: int) -> None:
    landed = lake.upload(lake.file(size_bytes))
    assert [landed.version_id] == lake.versions()
    assert landed.size_bytes == size_bytes


@pytest.mark.parametrize(
    ("size_bytes", "rule"),
    [
        (0, always("PutObject", Cut.ANSWER)),
        (SMALL, always("PutObject", Cut.ANSWER)),
        (6 * MEBIBYTE, always("PutObject", Cut.ANSWER)),
        (LARGE, once("UploadPart", Cut.MID_BODY)),
        (LARGE, once("UploadPart", Cut.ANSWER)),
        (LARGE, once("CompleteMultipartUpload", Cut.BEFORE_S3)),
        (LARGE, once("CompleteMultipartUpload", Cut.ANSWER)),
        (LARGE, always("CompleteMultipartUpload", Cut.ANSWER)),
    ],
)
def test_file_that_s3_has_taken_has_landed_once_though_answers_were_lost(
    lake: Lake, size_bytes: int, rule: Rule
) -> None:
    lake.proxy.rule = rule
    landed = lake.upload(lake.file(size_bytes))
    assert [landed.version_id] == lake.versions()
    assert landed.size_bytes == size_bytes


def test_second_upload_of_the_same_bytes_is_told_from_the_first(lake: Lake) -> None:
    planned = lake.file(SMALL)
    first = lake.upload(planned)
    lake.proxy.rule = always("PutObject", Cut.ANSWER)
    second = lake.upload(planned)
    assert {first.version_id, second.version_id} == set(lake.versions())
    assert first.version_id != second.version_id


@pytest.mark.parametrize(
    ("size_bytes", "rule", "tries"),
    [
        (6 * MEBIBYTE, always("PutObject", Cut.MID_BODY), ALL_TRIES),
        (LARGE, always("UploadPart", Cut.BEFORE_S3), None),
        (LARGE, always("CreateMultipartUpload", Cut.ANSWER), ALL_TRIES),
    ],
)
def test_file_that_cannot_be_in_the_lake_is_said_not_to_be(
    lake: Lake, size_bytes: int, rule: Rule, tries: int | None
) -> None:
    lake.proxy.rule = rule
    with pytest.raises(PlatformError, match="Nothing of the file is in the lake") as caught:
        lake.upload(lake.file(size_bytes))
    assert not isinstance(caught.value, UnknownLandingError)
    assert lake.versions() == []
    if tries is not None:
        assert max(map(lake.proxy.seen.count, ("PutObject", "CreateMultipartUpload"))) == tries


@pytest.mark.parametrize("there_before", [False, True])
@pytest.mark.parametrize("operation", ["PutObject", "CompleteMultipartUpload"])
def test_what_cannot_be_known_is_said_with_the_command_that_shows_it(
    lake: Lake, operation: str, *, there_before: bool
) -> None:
    planned = lake.file(SMALL if operation == "PutObject" else LARGE)
    if there_before:
        lake.upload(planned)
    versions = lake.versions()
    lake.proxy.rule = always(operation, Cut.BEFORE_S3)
    with pytest.raises(UnknownLandingError, match="is not known") as caught:
        lake.upload(planned)
    assert f"head-object --bucket {lake.bucket} --key '{KEY}'" in caught.value.what_to_do
    expected = "LastModified is still" if there_before else "if it says 404, drop it again"
    assert expected in caught.value.what_to_do
    assert lake.versions() == versions


def test_lake_that_may_not_be_looked_at_leaves_a_lost_answer_unknown(lake: Lake) -> None:
    def rule(operation: str) -> Cut | None:
        return {"PutObject": Cut.ANSWER, "HeadObject": Cut.BEFORE_S3}.get(operation)

    lake.proxy.rule = rule
    with pytest.raises(UnknownLandingError):
        lake.upload(lake.file(SMALL))
    assert lake.proxy.seen.count("PutObject") == 1


def test_object_of_somebody_else_is_not_taken_for_the_file(lake: Lake) -> None:
    planned = lake.file(SMALL)

    def rule(operation: str) -> Cut | None:
        if operation != "PutObject":
            return None
        lake._s3.put_object(Bucket=lake.bucket, Key=KEY, Body=b"y" * SMALL)
        return Cut.BEFORE_S3

    lake.proxy.rule = rule
    with pytest.raises(UnknownLandingError):
        lake.upload(planned)


@pytest.mark.parametrize("size_bytes", [SMALL, LARGE])
def test_upload_that_is_stopped_before_it_begins_sends_nothing(lake: Lake, size_bytes: int) -> None:
    lake.stop.set()
    with pytest.raises(UploadStopped):
        lake.upload(lake.file(size_bytes))
    assert lake.proxy.seen == []


@pytest.mark.parametrize("after_bytes", [1, LARGE // 2])
def test_upload_that_is_stopped_between_is_not_in_the_lake(lake: Lake, after_bytes: int) -> None:
    sent = 0

    def count(number: int) -> None:
        nonlocal sent
        sent += number
        if sent >= after_bytes:
            lake.stop.set()

    with pytest.raises(UploadStopped):
        lake.upload(lake.file(LARGE), count)
    assert lake.versions() == []


@pytest.mark.parametrize(
    ("size_bytes", "operation"),
    [(SMALL, "PutObject"), (6 * MEBIBYTE, "PutObject"), (LARGE, "CompleteMultipartUpload")],
)
@pytest.mark.parametrize("cut", [None, Cut.ANSWER])
def test_upload_that_is_stopped_when_all_is_sent_has_landed(
    lake: Lake, size_bytes: int, operation: str, cut: Cut | None
) -> None:
    def rule(name: str) -> Cut | None:
        if name != operation:
            return None
        if size_bytes != 6 * MEBIBYTE:
            lake.stop.set()
        return cut

    def count(number: int) -> None:
        seen.append(number)
        if size_bytes == 6 * MEBIBYTE and sum(seen) == size_bytes:
            lake.stop.set()

    seen: list[int] = []
    lake.proxy.rule = rule
    landed = lake.upload(lake.file(size_bytes), count)
    assert [landed.version_id] == lake.versions()
