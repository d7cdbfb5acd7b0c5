"""AWS clients (aiobotocore), and the one place that tells their errors apart.

Endpoints, region and credentials come from the standard AWS_* environment, so nothing here knows
whether it speaks to AWS or to an emulator.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Literal, overload

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from headrace_shared.errors import TransientError
from headrace_shared.item_parser import ItemParsers

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_events import EventBridgeClient
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_sqs import SQSClient

    from headrace_shared.warehouse_access import SecretsClient

_ATTEMPTS: Final = 4
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 15
_LONG_POLL_MARGIN_SECONDS: Final = 15

_TRANSIENT_CODES: Final = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        # Credentials of a role are renewed in the background: the next try has fresh ones.
        "ExpiredToken",
        "ExpiredTokenException",
    }
)

# A role's credentials come over HTTP from the task's or the host's own endpoint.
_CREDENTIALS_ERRORS: Final = (NoCredentialsError, CredentialRetrievalError, MetadataRetrievalError)


class AwsClients:
    """Opens clients and closes them all with the stack that it was given.

    Args:
        stack: whoever owns it closes the clients.
        connections: the most connections that one client may hold open.
        attempts: how often a call is tried.
        read_seconds: how long one try waits for an answer.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        *,
        connections: int,
        attempts: int = _ATTEMPTS,
        read_seconds: float = _READ_SECONDS,
    ) -> None:
        self._session: AioSession = get_session()
        self._session.register_component("response_parser_factory", ItemParsers())
        self._stack = stack
        self.connections = connections
        self._attempts = attempts
        self._read_seconds = read_seconds

    @overload
    async def open(self, service: Literal["s3"]) -> S3Client: ...
    @overload
    async def open(self, service: Literal["sqs"], *, poll_seconds: int = 0) -> SQSClient: ...
    @overload
    async def open(self, service: Literal["events"]) -> EventBridgeClient: ...
    @overload
    async def open(self, service: Literal["dynamodb"]) -> DynamoDBClient: ...
    @overload
    async def open(self, service: Literal["secretsmanager"]) -> SecretsClient: ...
    async def open(
        self,
        service: Literal["s3", "sqs", "events", "dynamodb", "secretsmanager"],
        *,
        poll_seconds: int = 0,
    ) -> object:
        """A client; `poll_seconds` is the longest that one of its answers may take by design."""
        config = AioConfig(
            retries={"mode": "standard", "max_attempts": self._attempts},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=max(self._read_seconds, poll_seconds + _LONG_POLL_MARGIN_SECONDS),
            max_pool_connections=self.connections,
        )
        return await self._stack.enter_async_context(
            self._session.create_client(service, config=config)
        )


@contextmanager
def transient_aws_errors(what: str) -> Iterator[None]:
    """Raises TransientError in place of every AWS error that a later try may not meet.

    Other AWS errors (denied, not found, wrong parameters) pass through: the adapter that called
    knows what they mean, and where it does not, they are bugs.
    """
    try:
        yield
    except ClientError as error:
        if not is_transient(error):
            raise
        raise TransientError(f"{what}: {error}") from error
    except (HTTPClientError, BotoConnectionError, *_CREDENTIALS_ERRORS) as error:
        raise TransientError(f"{what}: {error}") from error
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        # The body of a streamed answer is read outside botocore's own error handling.
        raise TransientError(f"{what}: {type(error).__name__} {error}") from error


def is_transient(error: ClientError | BotoCoreError) -> bool:
    """Whether AWS says, by code or by HTTP status, that the same call may succeed later."""
    if not isinstance(error, ClientError):
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error_code(error) in _TRANSIENT_CODES or status >= 500 or status == 429


def error_code(error: ClientError) -> str:
    """AWS's own name of the error (`NoSuchKey`), or an empty text."""
    return str(error.response.get("Error", {}).get("Code", ""))
