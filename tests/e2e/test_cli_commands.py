"""`headrace drop`, `status` and `show` against a running platform, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HEADRACE = str(Path(sys.executable).with_name("headrace"))
START_SECONDS = 60
CONTRACT = {
    "columns": [
        {"name": "id", "type": "bigint", "nullable": False},
        {"name": "name", "type": "text"},
    ]
}


@dataclass(frozen=True)
class CommandLine:
    """Types commands in one folder."""

    folder: Path

    def __call__(
        self, *arguments: str, stdin: bytes = b"", **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "AWS_"))}
        return subprocess.run(
            [HEADRACE, *arguments],
            cwd=self.folder,
            env=kept | environment,
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments: str, stdin: bytes = b"") -> Any:
        done = self(*arguments, "--json", stdin=stdin)
        return json.loads(done.stdout)

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name


@pytest.fixture(scope="module")
def headrace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    folder = tmp_path_factory.mktemp("user")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "AWS_"))}
    with (folder / "up.log").open("w") as log:
        platform = subprocess.Popen(
            [HEADRACE, "up", "--ephemeral"],
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _await(folder / ".headrace" / "stack.json", platform, folder / "up.log")
            yield CommandLine(folder)
        finally:
            platform.terminate()
            platform.wait(timeout=30)


def _await(path: Path, platform: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not path.is_file():
        if platform.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the platform did not start:\n{log.read_text()}", pytrace=False)
        time.sleep(0.05)


@pytest.fixture
def table(headrace: CommandLine, request: pytest.FixtureRequest) -> str:
    """A table of the test's own, with its contract."""
    name = str(request.node.name).partition("[")[0].lower()[:60]
    contract = headrace.file(f"{name}.json", json.dumps(CONTRACT))
    assert headrace("drop", contract, f"cli/schema/{name}/").returncode == 0
    return name


def test_several_files_are_loaded_and_each_has_a_line(headrace: CommandLine, table: str) -> None:
    files = [headrace.file(f"{name}.csv", f"id,name\n1,{name}\n2,\n") for name in ("x", "y")]
    done = headrace("drop", *files, f"cli/append/{table}/")
    told = done.stdout.decode()
    assert done.returncode == 0, told
    loaded = {line.split()[1] for line in told.splitlines() if line.startswith("loaded ")}
    assert loaded == {f"cli/append/{table}/{name}" for name in files}
    assert told.count(" 2 rows") == 2
    assert "2 of 2 loaded: 4 rows" in told
    assert "\x1b" not in told


def test_rejected_drop_is_laid_out_and_fails_the_command(headrace: CommandLine, table: str) -> None:
    bad = headrace.file("bad.csv", "id,name\n1,a\ntwo,b\n3,c\n")
    done = headrace("drop", bad, f"cli/append/{table}/")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("rejected ")
    assert [line.split(":")[0].strip() for line in lines[1:4]] == ["what", "where", "to do"]
    assert any(line.split()[:3] == ["3", "id", "two"] for line in lines), lines


def test_standard_input_is_loaded(headrace: CommandLine, table: str) -> None:
    rows = "id,name\n" + "".join(f"{number},some name\n" for number in range(50_000))
    (told,) = [headrace.json("drop", "-", f"cli/append/{table}/in.csv", stdin=rows.encode())]
    assert (told["state"], told["rows_loaded"], told["source"]) == ("loaded", 50_000, "-")


def test_same_file_dropped_twice_is_two_drops(headrace: CommandLine, table: str) -> None:
    file = headrace.file("same.csv", "id,name\n1,a\n")
    first = headrace.json("drop", file, f"cli/append/{table}/")
    second = headrace.json("drop", file, f"cli/append/{table}/")
    assert first["state"] == second["state"] == "loaded"
    assert first["drop_id"] != second["drop_id"]


def test_drop_that_waits_is_told_when_patience_ends(headrace: CommandLine) -> None:
    file = headrace.file("waits.csv", "id\n1\n")
    done = headrace("drop", file, "cli/append/no_contract_yet/", "--timeout", "2")
    assert done.returncode == 1
    assert done.stdout.startswith(b"waiting ")
    assert b"headrace show " in done.stderr


def test_upload_alone_waits_for_nothing(headrace: CommandLine, table: str) -> None:
    file = headrace.file("alone.csv", "id\n1\n")
    done = headrace("drop", file, f"cli/append/{table}/", "--no-wait")
    assert done.returncode == 0
    assert done.stdout.startswith(b"landed ")


def test_show_takes_a_unique_beginning_and_tells_every_step(
    headrace: CommandLine, table: str
) -> None:
    file = headrace.file("told.csv", "id,name\n1,a\n")
    drop_id = headrace.json("drop", file, f"cli/append/{table}/")["drop_id"]
    listed = headrace("status").stdout.decode()
    assert f"cli.{table}" in listed
    beginning = next(word for word in listed.split() if drop_id.startswith(word) and len(word) > 8)
    told = headrace("show", beginning).stdout.decode()
    assert drop_id in told
    assert told.index("landed") < told.index("routed") < told.rindex("loaded")
    story = headrace.json("show", drop_id)
    assert [step["state"] for step in story["timeline"]][-1] == "loaded"


def test_status_as_json_holds_drops_and_tables(headrace: CommandLine, table: str) -> None:
    told = headrace.json("status")
    assert {"drops", "tables"} <= told.keys()
    assert table in {item["table_name"] for item in told["tables"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ("drop", "missing.csv", "cli/append/t/"),
        ("drop", "up.log", "cli/append/t"),
        ("drop", "up.log", "cli/remove/t/"),
        ("drop", "up.log"),
        ("drop", "up.log", "s3://another/cli/append/t/"),
        ("show", "not-an-id"),
        ("show", "123"),
        ("show", "00000000-0000-8000-8000-000000000000"),
        ("status", "--api-url", "nonsense"),
    ],
    ids=" ".join,
)
def test_mistake_is_told_in_three_lines(headrace: CommandLine, arguments: tuple[str, ...]) -> None:
    done = headrace(*arguments)
    told = done.stderr.decode().splitlines()
    assert done.returncode == 2, told
    assert [line.split(":")[0] for line in told] == ["error", "where", "to do"]


def test_platform_that_is_away_is_said_to_be(headrace: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    done = CommandLine(tmp_path)("drop", "a.csv", "cli/append/t/")
    assert done.returncode == 2
    assert b"headrace up" in done.stderr


def test_platform_named_by_the_environment_needs_no_stack_file(
    headrace: CommandLine, table: str, tmp_path: Path
) -> None:
    stack = json.loads((headrace.folder / ".headrace" / "stack.json").read_text())
    (tmp_path / "far.csv").write_text("id\n1\n")
    done = CommandLine(tmp_path)(
        "drop",
        "far.csv",
        f"cli/append/{table}/",
        LAKE_BUCKET=stack["lake_bucket"],
        HEADRACE_API_URL=stack["api_url"],
        HEADRACE_API_KEY=stack["api_key"],
        AWS_ENDPOINT_URL=stack["aws_endpoint_url"],
        AWS_REGION=stack["aws_region"],
        AWS_ACCESS_KEY_ID=stack["aws_access_key_id"],
        AWS_SECRET_ACCESS_KEY=stack["aws_secret_access_key"],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"loaded ")


def test_contract_is_checked_against_its_table(headrace: CommandLine, table: str) -> None:
    wider = {"columns": [*CONTRACT["columns"], {"name": "note", "type": "text"}]}
    told = headrace.json(
        "contract",
        "check",
        headrace.file("wider.json", json.dumps(wider)),
        "--against",
        f"cli.{table}",
    )
    assert (told["changes"], told["refused"]) == (["column note text added"], None)

    narrower = headrace.file("narrower.json", json.dumps({"columns": CONTRACT["columns"][:1]}))
    refused = headrace("contract", "check", narrower, "--against", f"cli.{table}")
    assert refused.returncode == 1
    assert b"would refuse it" in refused.stdout
    assert b"column 'name' is gone" in refused.stdout

    unknown = headrace("contract", "check", narrower, "--against", "dev.nothing_like_it")
    assert unknown.returncode == 2
    assert b"No contract was ever applied" in unknown.stderr
