"""`headrace drop`, `status` and `show` against a lake and an API that answer over HTTP."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import pytest
import typer
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)

from headrace_local.drop_command import drop
from headrace_local.errors import CommandError, PlatformError, UserError
from headrace_local.query_commands import show, status
from headrace_local.target import find_api, find_target
from headrace_local.upload_errors import told_errors

BAD_ROWS = {
    "code": "bad_rows",
    "message": "1 row cannot be loaded.",
    "remedy": "Correct it and drop the file again.",
    "bad_rows": [{"line": 3, "column": "id", "value": "ten", "reason": "is no integer"}],
}


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "PutObject")


class FakePlatform(ThreadingHTTPServer):
    """A lake that keeps objects in memory, and an API that knows at once how each ended.

    `ends` maps a file name to the state that it comes to; `loaded` where nothing is said.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.items: list[dict[str, Any]] = []
        self.ends: dict[str, str | None] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def land(self, key: str, body: bytes) -> str:
        etag = f"{len(self.objects):032x}"
        with self.lock:
            self.objects[key] = body
            state = self.ends.get(key.rpartition("/")[2], "loaded")
            if state is not None:
                self.items.insert(0, self.an_item(key, etag, state, len(body)))
        return etag

    def an_item(self, key: str, etag: str, state: str, size: int) -> dict[str, Any]:
        item: dict[str, Any] = {
            "drop_id": str(uuid4()),
            "bucket": "lake",
            "key": key,
            "etag": etag,
            "state": state,
            "landed_timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "bytes": size,
            "duration_ms": 120,
        }
        if state == "loaded":
            item["rows_loaded"] = 2
        if state == "rejected":
            item["reason"] = BAD_ROWS
        return item


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakePlatform

    def do_HEAD(self) -> None:
        self._answer(200 if self.path.strip("/") == "lake" else 404)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key = unquote(urlsplit(self.path).path).removeprefix("/lake/")
        self._answer(200, {"ETag": f'"{self.server.land(key, body)}"'})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parts = url.path.strip("/").split("/")
        if parts == ["v1", "tables"]:
            self._json(200, {"items": [{"db_name": "dev", "table_name": "t"}]})
        elif parts[:2] == ["v1", "tables"]:
            counted = {"row_count": 2, "drops_by_state": {"loaded": 1}}
            self._json(200, {"db_name": parts[2], "table_name": parts[3], **counted})
        elif parts == ["v1", "log"]:
            self._json(200, {"lag_seconds": 0.0})
        elif parts == ["v1", "drops"]:
            limit = int(parse_qs(url.query)["limit"][0])
            self._json(200, {"items": self.server.items[:limit], "next_cursor": None})
        else:
            found = [item for item in self.server.items if item["drop_id"] == parts[-1]]
            self._json(200 if found else 404, found[0] if found else {"detail": "no such drop"})

    def _json(self, code: int, document: Any) -> None:
        self._answer(code, {"Content-Type": "application/json"}, json.dumps(document).encode())

    def _answer(self, code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakePlatform]:
    for name in [name for name in os.environ if name.startswith(("AWS_", "HEADRACE_", "LAKE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("id\n1\n2\n")
    with FakePlatform() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(platform: FakePlatform, *paths: str, **options: Any) -> int:
    address = {"bucket": "lake", "api_url": platform.url, "endpoint_url": platform.url}
    with pytest.raises(typer.Exit) as caught:
        drop(list(paths), **{**address, **options})
    return caught.value.exit_code


def test_loaded_file_is_told_in_one_line_and_exits_0(
    platform: FakePlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(platform, "a.csv", "dev/append/t/") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("loaded")
    assert "dev/append/t/a.csv" in line
    assert "2 rows" in line
    assert line.endswith("120 ms")
    assert platform.objects == {"dev/append/t/a.csv": b"id\n1\n2\n"}


def test_one_rejected_file_of_two_exits_1_and_names_its_bad_rows(
    platform: FakePlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.ends["b.csv"] = "rejected"
    assert run(platform, "a.csv", "b.csv", "dev/append/t/") == 1
    printed = capsys.readouterr().out
    assert "what:" in printed
    assert "s3://lake/dev/append/t/b.csv" in printed
    assert "Correct it" in printed
    assert ["3", "id", "ten", "is", "no", "integer"] in [x.split() for x in printed.splitlines()]
    assert "1 of 2 loaded, 1 rejected: 2 rows" in printed


def test_s3_address_of_the_lake_is_taken_as_a_destination(platform: FakePlatform) -> None:
    assert run(platform, "a.csv", "s3://lake/dev/append/t/x.csv") == 0
    assert list(platform.objects) == ["dev/append/t/x.csv"]


def test_key_with_every_odd_character_arrives_as_it_is(platform: FakePlatform) -> None:
    assert run(platform, "a.csv", "dev/append/t/a b+c%20ü.csv") == 0
    assert list(platform.objects) == ["dev/append/t/a b+c%20ü.csv"]


def test_standard_input_is_streamed_to_its_key(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"id\n7\n")
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        assert run(platform, "-", "dev/append/t/", name="rows.csv") == 0
    assert platform.objects == {"dev/append/t/rows.csv": b"id\n7\n"}


def test_json_is_one_object_a_line_and_nothing_else(
    platform: FakePlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.ends["b.csv"] = "rejected"
    assert run(platform, "a.csv", "b.csv", "dev/append/t/", as_json=True) == 1
    told = {x["source"]: x for x in map(json.loads, capsys.readouterr().out.splitlines())}
    assert told["a.csv"]["state"] == "loaded"
    assert told["b.csv"]["reason"]["bad_rows"][0]["line"] == 3


def test_no_wait_needs_no_api_and_ends_when_the_file_has_landed(
    platform: FakePlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(platform, "a.csv", "dev/append/t/", no_wait=True, api_url=None) == 0
    assert capsys.readouterr().out.startswith("landed")


@pytest.mark.parametrize(
    ("state", "known"),
    [(None, "the log has nothing of it yet"), ("loading", "The drop is loading")],
)
def test_timeout_says_what_is_known_and_how_to_look_further(
    platform: FakePlatform, capsys: pytest.CaptureFixture[str], state: str | None, known: str
) -> None:
    platform.ends["a.csv"] = state
    assert run(platform, "a.csv", "dev/append/t/", timeout=0.2) == 1
    told = capsys.readouterr().err
    assert "No end after 0.2 seconds." in told
    assert known in told
    assert "where: s3://lake/dev/append/t/a.csv" in told
    assert "headrace" in told.partition("to do:")[2]


def test_mistakes_are_told_before_anything_is_sent(platform: FakePlatform) -> None:
    for paths in (["a.csv"], ["missing.csv", "dev/append/t/"], ["a.csv", "dev/t/"]):
        with pytest.raises(UserError):
            drop(paths, bucket="lake", api_url=platform.url, endpoint_url=platform.url)
    with pytest.raises(UserError, match="another bucket"):
        drop(["a.csv", "s3://sea/dev/append/t/"], bucket="lake", api_url=platform.url)
    with pytest.raises(UserError, match="Nobody can be asked"):
        drop(["a.csv", "dev/append/t/"], bucket="lake", endpoint_url=platform.url)
    assert platform.objects == {}


def test_missing_bucket_is_the_users_mistake(platform: FakePlatform) -> None:
    with pytest.raises(UserError, match="no such bucket"):
        drop(
            ["a.csv", "dev/append/t/"],
            bucket="sea",
            api_url=platform.url,
            endpoint_url=platform.url,
        )


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (NoCredentialsError(), UserError, "aws sso login"),
        (NoRegionError(), UserError, "AWS_REGION"),
        (EndpointConnectionError(endpoint_url="http://aws"), PlatformError, "headrace up"),
        (refusal("NoSuchBucket"), UserError, "--bucket"),
        (refusal("AccessDenied"), UserError, "s3:PutObject"),
        (refusal("SlowDown"), PlatformError, "Try again"),
    ],
)
def test_every_failure_of_s3_is_told_with_its_remedy(
    error: Exception, kind: type[CommandError], remedy: str
) -> None:
    with pytest.raises(kind) as caught, told_errors("s3://lake"):
        raise error
    assert caught.value.where == "s3://lake"
    assert remedy in caught.value.what_to_do


def test_api_that_does_not_answer_is_told_before_the_upload(platform: FakePlatform) -> None:
    with pytest.raises(CommandError, match="does not answer"):
        drop(
            ["a.csv", "dev/append/t/"],
            bucket="lake",
            api_url="http://127.0.0.1:9",
            endpoint_url=platform.url,
        )
    assert platform.objects == {}


def test_no_platform_is_told_with_both_ways_out(platform: FakePlatform) -> None:
    with pytest.raises(UserError, match="No platform is running") as caught:
        drop(["a.csv", "dev/append/t/"])
    assert "headrace up" in caught.value.what_to_do
    assert "--bucket" in caught.value.what_to_do


def test_environment_names_a_platform_as_options_do() -> None:
    environment = {
        "LAKE_BUCKET": "lake",
        "HEADRACE_API_URL": "http://api",
        "AWS_ENDPOINT_URL": "http://aws",
    }
    target = find_target(None, None, None, environment)
    assert (target.bucket, target.api_url, target.endpoint_url) == (
        "lake",
        "http://api",
        "http://aws",
    )
    assert target.credentials is None
    assert find_target("other", None, None, environment).bucket == "other"
    assert find_api(None, environment) == "http://api"


def test_status_prints_drops_and_tables(
    platform: FakePlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.land("dev/append/t/a.csv", b"id\n1\n")
    status(api_url=platform.url)
    printed = capsys.readouterr().out
    assert "dev/append/t/a.csv" in printed
    assert "dev.t" in printed

    status(api_url=platform.url, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["drops"][0]["drop_id"] == platform.items[0]["drop_id"]
    assert document["tables"][0]["row_count"] == 2


def test_show_takes_an_id_or_its_unique_beginning(
    platform: FakePlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.land("dev/append/t/a.csv", b"id\n1\n")
    whole = platform.items[0]["drop_id"]
    for text in (whole, whole[:13], whole.replace("-", "").upper()):
        show(text, api_url=platform.url, as_json=True)
        assert json.loads(capsys.readouterr().out)["drop_id"] == whole
    show(whole, api_url=platform.url)
    assert "dev/append/t/a.csv" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "not a drop id"),
        ("65a1", "too short"),
        ("00000000-0000-8000-8000-000000000000", "no such drop"),
        ("0000000", "No drop has an id"),
    ],
)
def test_show_of_no_drop_is_the_users_mistake(platform: FakePlatform, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        show(text, api_url=platform.url)


def test_show_of_several_drops_asks_for_more_digits(platform: FakePlatform) -> None:
    for tail in ("1", "2"):
        platform.land("dev/append/t/a.csv", b"id\n1\n")
        platform.items[0]["drop_id"] = f"65a1b2c3-0000-8000-8000-00000000000{tail}"
    with pytest.raises(UserError, match="2 drops have ids"):
        show("65a1b2c3", api_url=platform.url)
