"""The API's settings."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from headrace_shared.api_keys import Scope
from headrace_shared.settings import WarehouseSettings

_SCOPES: Final = "headrace.read=read,headrace.rows=rows,headrace.operate=operate"


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _scopes_of(value: object) -> object:
    if not isinstance(value, str):
        return value
    parted = (part.rpartition("=") for part in value.split(",") if part.strip())
    return {claim.strip(): scope.strip() for claim, _, scope in parted}


Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
ScopesOfClaims = Annotated[dict[str, Scope], NoDecode, BeforeValidator(_scopes_of)]


def _pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [one.strip().partition("=") for one in value.split(",") if one.strip()]
    if any(not service or not url for service, _, url in pairs):
        raise ValueError("write service=url pairs, separated by commas")
    return {service.strip(): url.strip() for service, _, url in pairs}


QueueUrls = Annotated[Mapping[str, str], NoDecode, BeforeValidator(_pairs)]
"""Service -> URL of a queue, written `router=https://...,loader=https://...`."""


class ApiSettings(WarehouseSettings):
    """Read once at the start."""

    log_table: str = Field(min_length=1, description="Name of the DynamoDB table of the log.")
    cursor_secret: str = Field(
        min_length=16,
        description="Signs the cursors of pages; the same for every process of the API.",
    )
    api_host: str = Field("127.0.0.1", description="Address to listen on.")
    keys_table: str = Field("", description="Name of the DynamoDB table of API keys; empty: none.")
    anonymous: bool = Field(
        default=False,
        description="Answer everybody, with every right; on a loopback address only.",
    )
    api_port: int = Field(8080, ge=1, le=65_535, description="Port to listen on.")
    api_fd: int | None = Field(
        None,
        ge=3,
        description="Descriptor of a listening socket that the parent process handed over; then "
        "the API listens there, not on the address and port above.",
    )
    instance_id: str = Field(
        "",
        description="The answer of `/readyz` carries it in the header `Headrace-Instance`, so that "
        "who started this process knows it again; empty: no header.",
    )
    warehouse_connections: int = Field(
        4, ge=1, le=100, description="The most warehouse connections that one process holds."
    )
    statement_timeout_seconds: float = Field(
        5, gt=0, description="How long one query of the warehouse may take."
    )
    download_rows: int = Field(
        1_000_000, ge=1, description="The most rows of one streamed answer (CSV, newline JSON)."
    )
    download_seconds: float = Field(
        300, gt=0, description="How long one streamed answer may take, its query included."
    )
    stall_seconds: float = Field(
        30, gt=0, description="How long a client may take nothing of an answer."
    )
    event_listeners: int = Field(
        200, ge=1, description="The most streams of events and live pages that one process feeds."
    )
    bus_name: str = Field(
        "",
        description="Name or ARN of the bus on which replays are asked for; empty: they are not.",
    )
    quarantine_bucket: str = Field(
        "", description="The bucket in which the loader keeps bad rows; empty: they are not shown."
    )
    dead_letter_queues: QueueUrls = Field(
        {},
        description="The dead-letter queues, as `service=url` pairs separated by commas; without "
        "them dead letters are neither shown nor moved.",
    )
    inboxes: QueueUrls = Field(
        {}, description="The inbox of each of them, written likewise: where dead letters go back."
    )
    liveness_file: Path | None = Field(
        None, description="A file touched every few seconds, for health checks."
    )
    jwt_issuer: str = Field(
        "", description="OIDC issuer whose tokens are taken, as their `iss` says; empty: none."
    )
    jwt_audience: str = Field("", description="What the tokens' `aud` has to name.")
    jwt_jwks_url: str = Field(
        "", description="Where the issuer's keys are; empty: where its discovery document says."
    )
    jwt_scopes_claim: str = Field(
        "scope", min_length=1, description="The claim with a caller's scopes."
    )
    jwt_scopes: ScopesOfClaims = Field(
        _SCOPES,
        validate_default=True,
        description="What a value of that claim allows: `value=scope`, with commas between.",
    )
    jwt_tables_claim: str = Field(
        "headrace_tables",
        min_length=1,
        description="The claim with the patterns of tables that a caller sees; without it, none.",
    )
    rate_per_second: float = Field(
        200,
        ge=0,
        description="Requests that one caller may make in a second, in the long run, of one "
        "process; 0: any number.",
    )
    rate_burst: int = Field(
        1_000, ge=1, description="Requests that a caller may make at once after a pause."
    )
    body_limit_bytes: int = Field(
        65_536, ge=1, description="The largest body that a request may have."
    )
    cors_origins: Origins = Field(
        (), description="Origins whose pages may ask from a browser, with commas between."
    )

    @model_validator(mode="after")
    def _there_is_a_way_back(self) -> ApiSettings:
        if set(self.dead_letter_queues) != set(self.inboxes):
            raise ValueError("dead_letter_queues and inboxes must name the same services")
        return self

    @field_validator("jwt_issuer", "jwt_jwks_url")
    @classmethod
    def _is_not_spoofed(cls, url: str) -> str:
        if url and not safe_url(url):
            raise ValueError("an https:// URL is needed, or http:// on a loopback address")
        return url

    @field_validator("cors_origins")
    @classmethod
    def _names_them(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in origins:
            raise ValueError("every origin is too many: name them")
        return origins

    @field_validator("api_fd")
    @classmethod
    def _listens(cls, descriptor: int | None) -> int | None:
        if descriptor is not None and not _is_socket(descriptor):
            raise ValueError("this process has no open socket of that number")
        return descriptor

    @property
    def listens_on(self) -> str:
        """The address that the API can be reached at."""
        if self.api_fd is None:
            return self.api_host
        with socket.socket(fileno=os.dup(self.api_fd)) as handed_over:
            return str(handed_over.getsockname()[0])

    @model_validator(mode="after")
    def _knows_who_asks(self) -> ApiSettings:
        if self.anonymous and not is_loopback(self.listens_on):
            raise ValueError(
                "HEADRACE_ANONYMOUS is for a loopback address alone, and HEADRACE_API_HOST is none"
            )
        if not (self.anonymous or self.keys_table or self.jwt_issuer):
            raise ValueError(
                "nobody could ask: HEADRACE_KEYS_TABLE or HEADRACE_JWT_ISSUER is missing "
                "(or HEADRACE_ANONYMOUS=true, on a loopback address)"
            )
        if self.jwt_issuer and not self.jwt_audience:
            raise ValueError("HEADRACE_JWT_AUDIENCE is missing beside HEADRACE_JWT_ISSUER")
        return self


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def safe_url(url: str) -> bool:
    """Whether nobody on the way can answer in its place."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and is_loopback(parts.hostname or "")
