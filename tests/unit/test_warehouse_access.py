"""A secret becomes what a driver is told, is read at each connection, and is never quoted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from headrace_shared.aws import AwsClients
from headrace_shared.errors import TransientError
from headrace_shared.settings import WarehouseSettings
from headrace_shared.warehouse_access import (
    WarehouseAccess,
    WarehouseSecretError,
    connection_parameters,
)

DSN = "host=db.example dbname=warehouse"

# What libpq takes: no NUL, and nothing that is not UTF-8.
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)
scalars = st.none() | st.booleans() | st.integers() | st.text()
trees = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
optional = {"host": texts, "port": st.integers(1, 65_535), "dbname": texts}
secrets = st.fixed_dictionaries({"username": texts, "password": texts}, optional=optional)
of_no_concern = st.dictionaries(
    st.text().filter(lambda name: name not in {"username", "password", *optional}), trees
)
# Of letters that no sentence of ours is made of.
passwords = st.text("0123456789", min_size=8)
faults = st.sampled_from(
    [
        lambda password: password,
        lambda password: f'"{password}"',
        lambda password: f'{{"username": "u", "password": "{password}"',
        lambda password: json.dumps([password]),
        lambda password: json.dumps({"password": password}),
        lambda password: json.dumps({"username": "u", "pass": password}),
        lambda password: json.dumps({"username": "u", "password": f"{password}\0"}),
        lambda password: json.dumps({"username": "u", "password": int(password)}),
        lambda password: json.dumps({"username": "u", "password": [password]}),
        lambda password: json.dumps({"username": "u", "password": password, "host": 7}),
        lambda password: json.dumps({"username": "u", "password": password, "port": password * 2}),
        lambda password: f'{{"username": "u", "password": "{password}\\ud800"}}',
        lambda password: f'{{"username": "{password}", "password": ""}}',
        lambda password: "[" * 50_000 + password,
    ]
)


class FakeSecrets:
    """Gives one answer after the other, and the last one for ever."""

    def __init__(self, *answers: str | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803
        self.asked.append(SecretId)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"SecretString": answer}


def written(**values: Any) -> str:
    return json.dumps({"username": "u", "password": "p", **values})


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "GetSecretValue")


@given(secrets, of_no_concern)
def test_secret_says_what_a_connection_takes_and_no_more(
    secret: dict[str, Any], others: dict[str, Any]
) -> None:
    found = connection_parameters("s", json.dumps({**others, **secret}))
    expected = {name: str(value) for name, value in secret.items() if name != "username"}
    assert found == {"user": secret["username"], **expected}


@given(trees.map(json.dumps) | st.text() | secrets.map(json.dumps))
def test_every_text_is_a_way_in_or_refused(text: str) -> None:
    try:
        found = connection_parameters("s", text)
    except WarehouseSecretError:
        return
    assert {"user", "password"} <= set(found) <= {"user", "password", "host", "port", "dbname"}
    assert all(value and "\0" not in value for value in found.values())


@given(faults, passwords)
def test_error_names_the_secret_and_never_quotes_it(fault: Any, password: str) -> None:
    with pytest.raises(WarehouseSecretError, match="secret prod/warehouse ") as raised:
        connection_parameters("prod/warehouse", fault(password))
    error = raised.value
    assert password not in f"{error!r} {error.reason}"
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hunter2", "is not a JSON object"),
        ("", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ('{"username": "u"}', "has no password"),
        ('{"password": "p"}', "has no username"),
        (written(password=None), "has a wrong password"),
        (written(username=""), "has a wrong username"),
        (written(port="many"), "has a wrong port"),
        (written(port=70_000), "has a wrong port"),
        (written(host=["a", "b"]), "has a wrong host"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said(text: str, fault: str) -> None:
    with pytest.raises(WarehouseSecretError) as raised:
        connection_parameters("s", text)
    assert str(raised.value).startswith(f"The warehouse's secret s {fault}: write it as RDS does")
    assert raised.value.reason.code == "warehouse_needs_attention"
    assert raised.value.reason.remedy.startswith("Write it as RDS does")


def test_port_may_be_written_as_a_text() -> None:
    assert connection_parameters("s", written(port="5433"))["port"] == "5433"


async def test_secret_is_read_anew_each_time() -> None:
    client = FakeSecrets(written(password="old"), written(password="new"))
    access = WarehouseAccess(DSN, "s", client)
    assert [(await access.parameters())["password"] for _ in range(3)] == ["old", "new", "new"]
    assert client.asked == ["s"] * 3


async def test_without_a_secret_the_dsn_says_all_of_it() -> None:
    async with AsyncExitStack() as stack:
        access = await WarehouseAccess.open(
            WarehouseSettings(warehouse_dsn=DSN, warehouse_secret=""), NoClients(stack)
        )
    assert access.dsn == DSN
    assert await access.parameters() == {}


class NoClients(AwsClients):
    def __init__(self, stack: AsyncExitStack) -> None:
        super().__init__(stack, connections=1)

    async def open(self, *_: Any, **__: Any) -> Any:
        pytest.fail("a client was opened")


@pytest.mark.parametrize(("given_by_it", "missing"), [({}, "host"), ({"host": "h"}, "dbname")])
async def test_secret_that_is_all_there_is_says_where(
    given_by_it: dict[str, str], missing: str
) -> None:
    access = WarehouseAccess("", "s", FakeSecrets(written(**given_by_it)))
    with pytest.raises(WarehouseSecretError, match=f"secret s has no {missing}: add it"):
        await access.parameters()
    whole = WarehouseAccess("", "s", FakeSecrets(written(host="h", dbname="d")))
    assert (await whole.parameters())["host"] == "h"


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AccessDeniedException", "allow secretsmanager:GetSecretValue on it for this service's"),
        ("AccessDenied", "allow secretsmanager:GetSecretValue on it for this service's role"),
        ("DecryptionFailure", "allow kms:Decrypt on its key for this service's role"),
        ("InvalidRequestException", "if it is to be deleted, restore it"),
        ("ResourceNotFoundException", "make it, or name another one in HEADRACE_WAREHOUSE_SECRET"),
        ("SomethingNew", "look at"),
    ],
)
async def test_secret_that_cannot_be_read_says_what_to_do(code: str, remedy: str) -> None:
    access = WarehouseAccess(DSN, "s", FakeSecrets(refused(code)))
    with pytest.raises(WarehouseSecretError) as raised:
        await access.parameters()
    told = str(raised.value)
    assert told.startswith(f"The warehouse's secret s cannot be read ({code}): {remedy}")


@pytest.mark.parametrize(
    "error", [refused("ThrottlingException"), EndpointConnectionError(endpoint_url="x")]
)
async def test_silence_of_secrets_manager_passes(error: Exception) -> None:
    access = WarehouseAccess(DSN, "s", FakeSecrets(error, written()))
    with pytest.raises(TransientError, match="reading the warehouse's secret s") as raised:
        await access.parameters()
    assert not isinstance(raised.value, WarehouseSecretError)
    assert (await access.parameters())["password"] == "p"


async def test_secret_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace_shared.warehouse_access._READ_SECONDS", 0.01)

    class Silent:
        async def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803
            return cast("Mapping[str, Any]", await asyncio.Event().wait())

    with pytest.raises(TransientError, match="reading the warehouse's secret s: TimeoutError"):
        await WarehouseAccess(DSN, "s", Silent()).parameters()


async def test_secret_of_bytes_is_refused() -> None:
    class Bytes:
        async def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803
            return {"Name": SecretId, "SecretBinary": b"\0"}

    with pytest.raises(WarehouseSecretError, match="is not a JSON object"):
        await WarehouseAccess(DSN, "s", cast("Any", Bytes())).parameters()
