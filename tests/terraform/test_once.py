"""A call whose answer is late or lost is asked again, and takes effect once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from headrace_local import emulator
from headrace_local.ports import LOOPBACK, listening, port_of
from headrace_local.resources import REGION
from tests.chaos.proxy import FaultProxy, Rates
from tests.real_parts import serving
from tests.terraform.once import INVOCATION, asked_once
from tests.terraform.terraform import Terraform, TerraformError

GROUPS = 12
LOST = Rates(
    delay=0,
    reset_before=0,
    reset_after=0.4,
    refuse=0,
    throttle=0,
    deliver_again=0,
    hold_back=0,
    lose_event=0,
)
MODULE = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.100, < 7" }
  }
}

provider "aws" {
  region                      = "%s"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
}

resource "aws_cloudwatch_log_group" "this" {
  count = %d
  name  = "once-${count.index}"
}
"""


class Counting:
    """A server that counts what reaches it, and answers when it is allowed to."""

    def __init__(self) -> None:
        self.reached = 0
        self.statuses: list[int] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def answer(self) -> tuple[int, bytes]:
        self.reached += 1
        number = self.reached
        self.may_answer.wait(60)
        return self.statuses.pop(0) if self.statuses else 200, f"answer {number}".encode()


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def port(counting: Counting) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = counting.answer()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with asked_once(LOOPBACK, server.server_port) as port:
            yield port
        server.shutdown()
        thread.join()


def ask(port: int, invocation: str | None) -> tuple[int, bytes]:
    connection = HTTPConnection(LOOPBACK, port, timeout=60)
    try:
        connection.request("POST", "/", b"{}", {INVOCATION: invocation} if invocation else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_repeated_attempt_gets_the_first_answer(counting: Counting, port: int) -> None:
    assert ask(port, "a") == ask(port, "a") == (200, b"answer 1")
    assert ask(port, "b") == (200, b"answer 2")
    assert counting.reached == 2


def test_attempt_before_the_first_answer_waits_for_it(counting: Counting, port: int) -> None:
    counting.may_answer.clear()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, port, "a") for _ in range(4)]
        counting.may_answer.set()
        assert {one.result() for one in answers} == {(200, b"answer 1")}
    assert counting.reached == 1


def test_refusal_is_an_answer_and_an_error_of_the_server_is_none(
    counting: Counting, port: int
) -> None:
    counting.statuses = [503, 400]
    assert [ask(port, "a")[0] for _ in range(3)] == [503, 400, 400]
    assert counting.reached == 2


def test_call_without_an_id_is_always_passed_on(counting: Counting, port: int) -> None:
    assert [ask(port, None)[1] for _ in range(2)] == [b"answer 1", b"answer 2"]


@contextmanager
def losing(port: int) -> Iterator[FaultProxy]:
    """Takes what is asked, and loses four of ten answers."""
    proxy = FaultProxy(port, seed=7, rates=LOST, most_lost=0)
    proxy.start()
    proxy.calm = False
    try:
        yield proxy
    finally:
        proxy.stop()


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[int]:
    """The port of an emulator that knows log groups."""
    with listening() as listener:
        program = emulator.emulator(listener, None)
        program = replace(program, env={**program.env, "SERVICES": "logs,sts"})
        with serving(program, tmp_path):
            yield port_of(listener)


def applied(folder: Path, environment: Mapping[str, str], port: int) -> list[str]:
    """The addresses that Terraform made through that port, with answers lost on the way."""
    (folder / "module").mkdir(parents=True)
    (folder / "module" / "main.tf").write_text(MODULE % (REGION, GROUPS))
    with losing(port) as proxy:
        terraform = Terraform(
            folder,
            module=folder / "module",
            environment={**environment, **emulator.credentials(proxy.port)},
        )
        terraform.init()
        terraform.apply()
        assert proxy.faults["reset_after"] > 0
    return terraform.addresses()


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_apply_survives_every_lost_answer(
    logs: int, terraform_environment: Mapping[str, str], tmp_path: Path
) -> None:
    """And without the proxy, it does not: that is what is tested."""
    with pytest.raises(TerraformError, match="ResourceAlreadyExists"):
        applied(tmp_path / "without", terraform_environment, logs)
    clear(logs)
    with asked_once(LOOPBACK, logs) as port:
        assert len(applied(tmp_path / "with", terraform_environment, port)) == GROUPS
    assert len(groups(logs)) == GROUPS


def clear(port: int) -> None:
    for name in groups(port):
        client(port).delete_log_group(logGroupName=name)


def groups(port: int) -> list[str]:
    return [one["logGroupName"] for one in client(port).describe_log_groups()["logGroups"]]


def client(port: int) -> Any:
    made: Any = boto3.client(
        "logs",
        endpoint_url=emulator.endpoint(port),
        region_name=REGION,
        aws_access_key_id=emulator.ACCESS_KEY_ID,
        aws_secret_access_key=emulator.SECRET_ACCESS_KEY,
    )
    return made
