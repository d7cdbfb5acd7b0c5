"""AWS's errors told apart: what a later try may not meet is transient, the rest passes."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from headrace_shared.aws import error_code, transient_aws_errors
from headrace_shared.errors import TransientError


def a_client_error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Call")


@pytest.mark.parametrize(
    "error",
    [
        a_client_error("SlowDown", 503),
        a_client_error("ThrottlingException"),
        a_client_error("ProvisionedThroughputExceededException"),
        a_client_error("ExpiredToken"),
        a_client_error("Whatever", 500),
        a_client_error("Whatever", 429),
        ConnectTimeoutError(endpoint_url="x"),
        ReadTimeoutError(endpoint_url="x"),
        EndpointConnectionError(endpoint_url="x"),
        ResponseStreamingError(error="broke off"),
        NoCredentialsError(),
        CredentialRetrievalError(provider="container", error_msg="later"),
        aiohttp.ClientPayloadError("broke off"),
        TimeoutError(),
        ConnectionResetError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_transient(error: Exception) -> None:
    with (
        pytest.raises(TransientError, match="polling") as raised,
        transient_aws_errors("polling"),
    ):
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchKey", "ValidationException"])
def test_what_will_not_pass_is_left_to_the_adapter(code: str) -> None:
    with pytest.raises(ClientError) as raised, transient_aws_errors("reading"):
        raise a_client_error(code, 403)
    assert error_code(raised.value) == code


def test_error_without_a_code_has_an_empty_one() -> None:
    assert error_code(ClientError({}, "Call")) == ""
