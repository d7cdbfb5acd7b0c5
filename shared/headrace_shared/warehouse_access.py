"""How a service gets into the warehouse: by the DSN, and by a secret that is read anew for every
connection, so that a rotated password needs no restart.

Drivers stay with the adapters: what they get are libpq's parameters.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

from botocore.exceptions import ClientError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from headrace_shared.aws import error_code, transient_aws_errors
from headrace_shared.errors import AwayError, HeadraceError
from headrace_shared.reasons import Reason

if TYPE_CHECKING:
    from headrace_shared.aws import AwsClients
    from headrace_shared.settings import WarehouseSettings

TESTS_ROLE: Final = "headrace_tests"
"""The role of the database as which users' tests run. One for all databases of a server: it has no
rights that it could carry from one to another."""

KEEPALIVES: Final = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Of a client's connections: one that the network has cut off ends within seconds.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS"""

_READ_SECONDS: Final = 5.0
"""With all its retries, a client that reaches nothing (a network without an endpoint for Secrets
Manager) takes longer than the loader waits for a connection, and nobody would be told why."""

RDS_AUTHORITIES: Final = Path(__file__).parent / "certificates" / "rds-global-bundle.crt"
"""The roots of RDS and Aurora in every region: see the README beside the file."""

_VERIFYING: Final = frozenset({"verify-ca", "verify-full"})

_WHAT_A_DSN_SAYS: Final = ("host", "dbname")
"""What libpq would guess from the environment if nobody gave it."""

_AS_RDS_DOES: Final = (
    "write it as RDS does, a JSON object with username and password, and where it has them host, "
    "port and dbname"
)
_ALLOW: Final = "allow secretsmanager:GetSecretValue on it for this service's role"
_ALLOW_KEY: Final = "allow kms:Decrypt on its key for this service's role"
_NAME_ANOTHER: Final = "make it, or name another one in HEADRACE_WAREHOUSE_SECRET"
_LOOK: Final = "look at what AWS says of this code for GetSecretValue"

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
_REMEDIES: Final[Mapping[str, str]] = {
    "AccessDenied": _ALLOW,
    "AccessDeniedException": f"{_ALLOW}, and where it has a key of its own {_ALLOW_KEY}",
    "DecryptionFailure": _ALLOW_KEY,
    "InvalidRequestException": "if it is to be deleted, restore it",
    "ResourceNotFoundException": _NAME_ANOTHER,
}


class SecretsClient(Protocol):
    """The one operation of Secrets Manager that is used."""

    async def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803
        """As AWS documents it."""


class WarehouseSecretError(AwayError):
    """The secret does not open the warehouse until an operator corrects it; work waits for that.

    Args:
        secret: its name or ARN; never anything of what it holds.
        fault, remedy: the ends of two sentences, without their full stops.
    """

    def __init__(self, secret: str, fault: str, remedy: str) -> None:
        message = f"The warehouse's secret {secret} {fault}"
        told = f"{remedy[0].upper()}{remedy[1:]}. Headrace tries again by itself."
        reason = Reason(code="warehouse_needs_attention", message=f"{message}.", remedy=told)
        super().__init__(f"{message}: {remedy}.", reason=reason)


class SuperuserRefusedError(HeadraceError):
    """The warehouse's role is a superuser, and no setting allows that."""

    def __init__(self) -> None:
        super().__init__(
            "the warehouse's role is a superuser, so a fault of Headrace or of a contract would "
            "reach the whole database server: give Headrace a role of its own (docs/warehouse.md), "
            "or set HEADRACE_ALLOW_SUPERUSER=true"
        )


class OtherLakeError(HeadraceError):
    """The warehouse belongs to another lake."""

    def __init__(self, marked: str, own: str) -> None:
        super().__init__(
            f"the warehouse belongs to the lake {marked}, and this platform's lake is {own}: give "
            "the platform a warehouse of its own; if the lake has moved, start the loader once "
            f"with HEADRACE_LAKE_MOVED_FROM='{marked}'"
        )


def refuse_other_lake(marked: str, own: str) -> None:
    """Raises where a warehouse's mark is not this platform's lake.

    Raises:
        OtherLakeError: it is another lake's.
    """
    if marked != own:
        raise OtherLakeError(marked, own)


class WarehouseAccess:
    """What an adapter needs for a connection: the DSN, and what wins over it at that moment.

    Args:
        dsn: empty where the secret says all of it.
        secret: name or ARN of a secret; empty for none, and then there is no client either.
        ca_file: the authorities that are trusted, in a PEM file; empty for those of RDS.
        allow_superuser: the role may be a superuser.
    """

    def __init__(
        self,
        dsn: str,
        secret: str = "",
        client: SecretsClient | None = None,
        ca_file: str = "",
        *,
        allow_superuser: bool = False,
    ) -> None:
        self.dsn = dsn
        self._ca_file = ca_file or str(RDS_AUTHORITIES)
        self._allow_superuser = allow_superuser
        self._secret = secret
        self._client = client

    @classmethod
    async def open(cls, settings: WarehouseSettings, clients: AwsClients) -> WarehouseAccess:
        """The access that the settings describe; opens no client where they name no secret."""
        secret = settings.warehouse_secret
        client = await clients.open("secretsmanager") if secret else None
        return cls(
            settings.warehouse_dsn,
            secret,
            client,
            settings.warehouse_ca_file,
            allow_superuser=settings.allow_superuser,
        )

    def refuse_superuser(self, is_superuser: str | None) -> None:
        """To be called with what the server reports of a new connection (`is_superuser`).

        https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC

        Raises:
            SuperuserRefusedError: it works as a superuser, and no setting allows that.
        """
        if is_superuser == "on" and not self._allow_superuser:
            raise SuperuserRefusedError

    async def parameters(self) -> dict[str, str]:
        """The parameters that win over the DSN, read anew: to be asked for at each connection.

        Raises:
            WarehouseSecretError: the secret cannot be read, or is not one of a database.
            TransientError: Secrets Manager did not answer.
        """
        if self._client is None:
            return {}
        found = connection_parameters(self._secret, await self._read(self._client))
        for name in () if self.dsn else _WHAT_A_DSN_SAYS:
            if name not in found:
                raise WarehouseSecretError(
                    self._secret, f"has no {name}", "add it, or give it in HEADRACE_WAREHOUSE_DSN"
                )
        return found

    def trusting(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """The connection's parameters, with the authorities where the certificate is verified.

        Elsewhere none are named: libpq verifies by them even with `sslmode=require`.
        https://www.postgresql.org/docs/current/libpq-ssl.html#LIBQ-SSL-CERTIFICATES

        Args:
            known: the parameters of the DSN and of the secret together.
        """
        found = dict(known)
        if found.get("sslmode") in _VERIFYING:
            found.setdefault("sslrootcert", self._ca_file)
        return found

    async def _read(self, client: SecretsClient) -> str:
        try:
            with transient_aws_errors(f"reading the warehouse's secret {self._secret}"):
                async with asyncio.timeout(_READ_SECONDS):
                    answer = await client.get_secret_value(SecretId=self._secret)
        except ClientError as error:
            code = error_code(error)
            raise WarehouseSecretError(
                self._secret, f"cannot be read ({code})", _REMEDIES.get(code, _LOOK)
            ) from error
        # A secret of bytes has no string.
        return str(answer.get("SecretString", ""))


def connection_parameters(secret: str, text: str) -> dict[str, str]:
    """What a secret says, in libpq's words; `secret` names it in errors, which never quote it.

    Raises:
        WarehouseSecretError: it is not written as RDS writes the secret of a database.
    """
    try:
        written = _Written.model_validate_json(text)
    except ValidationError as error:
        fault = _fault(error)
    else:
        return {name: str(value) for name, value in written if value is not None}
    # Out of reach of the error, which holds the whole text.
    raise WarehouseSecretError(secret, fault, _AS_RDS_DOES)


def _without_nul(text: str) -> str:
    # libpq would take it for the end of the value.
    if "\0" in text:
        raise ValueError("a NUL")
    return text


_Text = Annotated[str, Field(min_length=1), AfterValidator(_without_nul)]


class _Written(BaseModel):
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    user: _Text = Field(alias="username")
    password: _Text
    host: _Text | None = None
    port: int | None = Field(None, ge=1, le=65_535)
    dbname: _Text | None = None


def _fault(error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return "is not a JSON object"
    name = first["loc"][0]
    return f"has no {name}" if first["type"] == "missing" else f"has a wrong {name}"
