"""Each statement of each task role: what a user does that needs it, and what the service says when
it is missing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

from headrace_local.api_keys import put_key
from headrace_shared.api_keys import EVERY_TABLE, Scope, make_key
from tests.running_platform import Reached, eventually
from tests.terraform.applied import PREFIX, Applied

GOOD: Final = "id,name\n1,Ada\n"
POLICY: Final = "service"
OF_TABLE: Final = {"db_name": "dev", "table_name": "TABLE"}

Act = Callable[[Applied, str], object]


@dataclass(frozen=True)
class Permission:
    """A statement of a service's role.

    Args:
        operation: the call that AWS refuses without it, as the service's log names it.
        act: what makes the service call it, given the name of a table of the test's own.
    """

    service: str
    sid: str
    operation: str
    act: Act

    def __str__(self) -> str:
        return f"{self.service}-{self.sid}"


def nothing(stack: Applied, table: str) -> None:
    """The service asks by itself, again and again."""


def anew(act: Act = nothing) -> Act:
    """What the verifier does after its start: with each failure that an earlier test caused, it
    waits longer before it asks again, up to minutes."""

    def restart_and_act(stack: Applied, table: str) -> None:
        act(stack, table)
        stack.crash("verifier")

    return restart_and_act


def land(stack: Applied, table: str) -> None:
    stack.land(f"dev/append/{table}/good.csv", GOOD)


def land_elsewhere(stack: Applied, table: str) -> None:
    """In a database that is none: rejected by the router, it is in no ledger, and so the verifier
    looks for it in the log."""
    stack.land(f"elsewhere/append/{table}/good.csv", GOOD)


def land_bad_rows(stack: Applied, table: str) -> None:
    stack.land(f"dev/append/{table}/bad.csv", "id,name\nfour,Mary\n5,Ada\n")


def land_without_contract(stack: Applied, table: str) -> None:
    stack.land(f"dev/append/{table}_new/first.csv", GOOD)


def land_and_replace(stack: Applied, table: str) -> None:
    """While no loader reads: the emulator's events name no version, so it must be looked for."""
    [loader] = stack.containers("loader")
    loader.pause()
    try:
        key = f"dev/append/{table}/replaced.csv"
        stack.land(key, GOOD)
        eventually(lambda: stack.drop(key), f"{key} is routed")
        stack.land(key, "id,name\n2,Grace\n")
    finally:
        loader.unpause()


def crash_loader(stack: Applied, table: str) -> None:
    """Sessions go on when a secret cannot be read any more; a new task has none."""
    stack.crash("loader")


def crash_api(stack: Applied, table: str) -> None:
    """Likewise; it connects when it is asked."""
    stack.crash("api")

    def told() -> bool:
        try:
            stack.get("/v1/tables")
        except HTTPError as error:
            # Its own, rather than the load balancer's.
            return error.headers.get_content_type() == "application/problem+json"
        return False

    eventually(told, "the API says that it cannot reach the warehouse")


def ask(path: str) -> Act:
    def act(stack: Applied, table: str) -> None:
        with suppress(HTTPError):
            stack.get(path.format(table=table, drop_id=uuid4()))

    return act


def post(path: str, body: dict[str, Any], *, name_it: bool = False) -> Act:
    """Asks the API for something; named, as a request that may be repeated."""

    def act(stack: Applied, table: str) -> None:
        headers = {
            "Authorization": f"Bearer {stack.stack.api_key}",
            "Content-Type": "application/json",
        }
        if name_it:
            headers["Idempotency-Key"] = str(uuid4())
        told = json.dumps(body).replace("TABLE", table).encode()
        asked = Request(f"{stack.stack.api_url}{path}", told, headers, method="POST")
        with suppress(HTTPError), urlopen(asked, timeout=30):
            pass

    return act


def replay_one(stack: Applied, table: str) -> None:
    key = f"dev/append/{table}/again.csv"
    stack.land(key, GOOD)
    drop_id = stack.await_state(key, "loaded")["drop_id"]
    post(f"/v1/drops/{drop_id}/replay", {})(stack, table)


def ask_for_bad_rows(stack: Applied, table: str) -> None:
    """Of a drop that was loaded without them."""
    land_bad_rows(stack, table)
    drop = stack.await_state(f"dev/append/{table}/bad.csv", "loaded")
    ask(f"/v1/drops/{drop['drop_id']}/quarantine")(stack, table)


def redrive_a_letter(stack: Applied, table: str) -> None:
    inbox = stack.stack.inboxes["loader"]
    stack.sqs.send_message(QueueUrl=stack.stack.dead_letter_queues["loader"], MessageBody=inbox)
    post("/v1/dead-letters/redrive", {"service": "loader"})(stack, table)


def ask_with_a_new_key(stack: Applied, table: str) -> None:
    """One that the API has not seen: it is looked up, and its use is written."""
    text, key = make_key(table, [Scope.READ], [EVERY_TABLE], datetime.now(UTC))
    put_key(stack.account.client("dynamodb"), stack.stack.keys_table, key)
    with suppress(HTTPError):
        Reached(stack.stack.model_copy(update={"api_key": text})).get("/v1/contract-schema")


def forget(stack: Applied, table: str) -> None:
    """The log loses a drop that is loaded: the verifier is to tell it again."""
    key = f"dev/append/{table}/forgotten.csv"
    stack.land(key, GOOD)
    drop = stack.await_state(key, "loaded")
    stack.account.client("dynamodb").delete_item(
        TableName=stack.stack.log_table, Key={"drop_id": {"S": drop["drop_id"]}}
    )


PERMISSIONS: Final = (
    Permission("router", "ReadItsInbox", "ReceiveMessage", nothing),
    Permission("router", "PublishFacts", "PutEvents", land),
    Permission("loader", "ReadItsInbox", "ReceiveMessage", nothing),
    Permission("loader", "PublishFacts", "PutEvents", land),
    Permission("loader", "ReadDrops", "GetObject", land),
    Permission("loader", "FindVersions", "ListObjectVersions", land_and_replace),
    Permission("loader", "KeepBadRows", "PutObject", land_bad_rows),
    Permission("loader", "DropInferredContracts", "PutObject", land_without_contract),
    Permission("loader", "ReadTheWarehousesSecret", "GetSecretValue", crash_loader),
    Permission("logger", "ReadItsInbox", "ReceiveMessage", nothing),
    Permission("logger", "WriteTheLog", "UpdateItem", land),
    Permission("api", "ReadTheWarehousesSecret", "GetSecretValue", crash_api),
    Permission("api", "ReadDropsOfTheLog", "GetItem", ask("/v1/drops/{drop_id}")),
    Permission("api", "ListDropsOfTheLog", "Query", ask("/v1/drops")),
    Permission("api", "RememberAnswers", "PutItem", post("/v1/replays", OF_TABLE, name_it=True)),
    Permission("api", "AskForReplays", "PutEvents", replay_one),
    Permission("api", "ReadBadRows", "GetObject", ask_for_bad_rows),
    Permission("api", "LookAtDeadLetters", "ReceiveMessage", ask("/v1/dead-letters")),
    Permission("api", "BringThemBack", "SendMessage", redrive_a_letter),
    Permission("api", "KnowCallersByTheirKeys", "GetItem", ask_with_a_new_key),
    Permission("api", "NoteWhenKeysWereUsed", "UpdateItem", ask_with_a_new_key),
    Permission("verifier", "PublishFacts", "PutEvents", anew(forget)),
    Permission("verifier", "ListTheLake", "ListObjectVersions", anew()),
    Permission("verifier", "ReadTheLog", "BatchGetItem", anew()),
    Permission("verifier", "ReadWhatHasNotEnded", "Query", anew(land_elsewhere)),
    Permission("verifier", "ReadTheWarehousesSecret", "GetSecretValue", anew()),
)

NOT_TELLABLE: Final = {
    "KeepItsTasksWhileTheyWork": "The emulator has no agent that would ask for it, and no scaling.",
    "UseTheKey": "The emulator decrypts without asking KMS.",
    "DecryptTheWarehousesSecret": "Likewise.",
    "TellThatThereAreNone": "The emulator tells a missing file to those who may not list, too.",
}
"""Sid -> why it is not among the above."""


def statements(stack: Applied, service: str) -> list[dict[str, Any]]:
    """Of the policy of a service's task role, as IAM has it now."""
    answer = stack.account.client("iam").get_role_policy(
        RoleName=f"{PREFIX}-{service}-task", PolicyName=POLICY
    )
    found: list[dict[str, Any]] = answer["PolicyDocument"]["Statement"]
    return found


@contextmanager
def without(stack: Applied, permission: Permission) -> Iterator[None]:
    """The statement is missing within the block."""
    all_of_them = statements(stack, permission.service)
    left = [one for one in all_of_them if one["Sid"] != permission.sid]
    assert len(left) == len(all_of_them) - 1, f"{permission} is not there"
    _put(stack, permission.service, left)
    try:
        yield
    finally:
        _put(stack, permission.service, all_of_them)


def _put(stack: Applied, service: str, of: list[dict[str, Any]]) -> None:
    stack.account.client("iam").put_role_policy(
        RoleName=f"{PREFIX}-{service}-task",
        PolicyName=POLICY,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": of}),
    )


def refused(stack: Applied, permission: Permission, since: int) -> str | None:
    """The first line in which the service says that AWS refused it that call."""
    for line in stack.log_lines(permission.service, since):
        if "AccessDenied" in line and permission.operation in line:
            return line
    return None


def now() -> int:
    """In milliseconds since the epoch."""
    return round(time.time() * 1000)
