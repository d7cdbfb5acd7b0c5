"""Settings of services: read once from the environment, frozen, and told in one sentence if wrong.

A service's own `settings.py` extends these models; nothing else in a service reads the environment.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from headrace_shared.identifiers import RULE, lowered_ascii, safe_schema

PREFIX = "HEADRACE_"


class ServiceSettings(BaseSettings):
    """What every service reads."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe log line that is written."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is `console` on a terminal and `json` elsewhere."
    )
    metrics_stack: str = Field(
        "",
        # A dimension's value is printable ASCII and begins with no colon:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html
        pattern=r"^[A-Za-z0-9._-]{0,128}$",
        description="Name of the stack under which metrics are written into the log lines "
        "(CloudWatch embedded metric format); empty: none.",
    )

    @model_validator(mode="after")
    def _metrics_are_in_lines_that_are_written(self) -> ServiceSettings:
        if self.metrics_stack and self.log_level not in ("debug", "info"):
            raise ValueError("metrics are lines of level info: log_level must let them through")
        return self


class InboxSettings(ServiceSettings):
    """What every service with an inbox reads."""

    inbox_url: str = Field(
        description="URL of the SQS queue that this service reads.", min_length=1
    )
    bus_name: str = Field(description="Name or ARN of the EventBridge bus for facts.", min_length=1)
    concurrency: int = Field(
        8, ge=1, le=500, description="Messages that one process works on at a time."
    )
    visibility_seconds: int = Field(
        30,
        ge=3,
        le=43_200,
        description="How long a message stays hidden unless a heartbeat comes (12 hours at most).",
    )
    poll_seconds: int = Field(
        20,
        ge=0,
        le=20,
        description="How long one poll waits for messages (SQS: 20 at most).",
    )
    grace_seconds: float = Field(
        90, ge=0, description="After SIGTERM, how long work under way may go on."
    )
    liveness_file: Path | None = Field(
        None, description="A file touched at each turn of the loop, for health checks."
    )
    protect_tasks: bool = Field(
        default=False,
        description="Ask ECS not to scale this task in while it works on messages.",
    )
    ecs_agent_uri: str | None = Field(
        None,
        validation_alias="ECS_AGENT_URI",
        description="Where the task's ECS agent answers; ECS sets it by itself.",
    )


ANY_DATABASE: Final = "*"


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return frozenset(lowered_ascii(name.strip()) for name in value.split(",") if name.strip())


def _safe(names: frozenset[str]) -> frozenset[str]:
    unsafe = sorted(name for name in names - {ANY_DATABASE} if safe_schema(name) is None)
    if unsafe:
        raise ValueError(f"{unsafe[0]!r} cannot be a database name; use {RULE}")
    return names


Databases = Annotated[frozenset[str], NoDecode, BeforeValidator(_split), AfterValidator(_safe)]
"""Names of databases, separated by commas; `*` among them is any. Each is a schema of the
warehouse."""


class WarehouseSettings(ServiceSettings):
    """What every service that speaks to the warehouse reads."""

    warehouse_dsn: str = Field(
        "",
        description="Postgres connection string (`postgresql://user:password@host:5432/db`); "
        "needed, as far as there is no secret that says all of it.",
    )
    warehouse_secret: str = Field(
        "",
        description="Name or ARN of a Secrets Manager secret, JSON as RDS writes it (username, "
        "password; optionally host, port, dbname), read at every new connection: what it says "
        "wins over the DSN.",
    )

    warehouse_ca_file: str = Field(
        "",
        description="A PEM file of the authorities that sign the warehouse's certificate, or "
        "`system` for the public ones; used with `sslmode=verify-ca` or `verify-full`. Empty: "
        "those of RDS and Aurora, which the services ship.",
    )
    allow_superuser: bool = Field(
        default=False,
        description="Work as a superuser of the database server, too: a fault of Headrace or of a "
        "contract then reaches the whole server.",
    )

    @model_validator(mode="after")
    def _says_where(self) -> WarehouseSettings:
        dsn = self.warehouse_dsn
        if not dsn and not self.warehouse_secret:
            raise ValueError("HEADRACE_WAREHOUSE_DSN or HEADRACE_WAREHOUSE_SECRET is missing")
        if dsn and "://" not in dsn and "=" not in dsn:
            raise ValueError("warehouse_dsn is neither a postgresql:// URL nor key=value pairs")
        return self


class LakeSettings(ServiceSettings):
    """What every service reads that compares the warehouse's lake with its own."""

    lake_bucket: str = Field(min_length=1, description="Name of the bucket that is the lake.")
    lake_id: str = Field(
        "",
        description="What tells the lake from another one whose bucket has the same name, which "
        "emulators allow; AWS does not.",
    )

    @property
    def lake_name(self) -> str:
        """What the warehouse is marked with."""
        return f"{self.lake_bucket} ({self.lake_id})" if self.lake_id else self.lake_bucket


Settings = TypeVar("Settings", bound=ServiceSettings)


def load_settings(model: type[Settings]) -> Settings:
    """The settings from the environment; ends the process with status 2 if they are not good."""
    try:
        return model()
    except ValidationError as error:
        sys.stderr.write(f"{describe(error)}\n")
        raise SystemExit(2) from None


def describe(error: ValidationError) -> str:
    """One sentence that names every setting that is missing or wrong, without its value."""
    return (
        "Settings: " + "; ".join(_describe_one(part["loc"], part) for part in error.errors()) + "."
    )


def _describe_one(location: tuple[int | str, ...], part: object) -> str:
    assert isinstance(part, dict)
    if not location:
        return str(part["msg"]).removeprefix("Value error, ")
    name = variable(str(location[0]))
    if part["type"] == "missing":
        return f"{name} is missing"
    return f"{name} is wrong ({str(part['msg']).removeprefix('Value error, ')})"


def variable(name: str) -> str:
    """The environment variable of a setting. Fields have small letters; an alias, which somebody
    else's variable has, is the whole name."""
    return name if name.isupper() else f"{PREFIX}{name}".upper()
