"""A proxy between the services and the emulator that does what networks and AWS do at their worst.

It delays, resets before the request went on and after it did (the answer is lost), refuses with
500 and 503, throttles, delivers SQS messages twice, holds them back so that others overtake them,
and loses S3 events for good. The emulator does none of this by itself.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from yarl import URL

from headrace_local.resources import REGION
from tests.chaos.world import is_first_contract, is_later_contract

_HOST: Final = "127.0.0.1"
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"}
)
_SKIPPED: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_REMEMBERED: Final = 500
_START_SECONDS: Final = 10
_FALSE_RECEIPT: Final = "delivered again "


@dataclass(frozen=True)
class Rates:
    """How often each fault strikes a request, or a message.

    Args:
        delay_contract: at each delivery of the event of a contract that is not its table's first
            one, whether it is withheld until the visibility timeout has passed.
    """

    delay: float = 0.03
    reset_before: float = 0.012
    reset_after: float = 0.012
    refuse: float = 0.012
    throttle: float = 0.012
    deliver_again: float = 0.10
    hold_back: float = 0.02
    delay_contract: float = 0.6
    lose_event: float = 0.02
    longest_delay_seconds: float = 1.5


class FaultProxy:
    """Listens on a port of its own; passes everything on as long as it is `calm`.

    `deliveries` counts the messages of each queue, `copies` those of them that it made itself.
    `credentials` sign what it asks for itself; to be set before the first fault.
    """

    def __init__(self, target_port: int, seed: int, rates: Rates, most_lost: int) -> None:
        self.calm = True
        self.faults: Counter[str] = Counter()
        self.deliveries = Counter[str]()
        self.copies = Counter[str]()
        self.lost: list[str] = []
        self.port = 0
        self.credentials: Credentials | None = None
        self._target = f"http://{_HOST}:{target_port}"
        self._random = random.Random(seed)
        self._rates = rates
        self._most_lost = most_lost
        self._delivered: dict[str, list[dict[str, Any]]] = {}
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        """Returns when it listens."""
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise RuntimeError("the fault proxy did not start")

    def stop(self) -> None:
        """Ends it, and every connection through it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECONDS)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _listen(self) -> None:
        self._session = aiohttp.ClientSession(
            auto_decompress=False, connector=aiohttp.TCPConnector(limit=0)
        )
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = None if self.calm else self._fault()
        if fault == "delay":
            await asyncio.sleep(self._random.uniform(0.1, self._rates.longest_delay_seconds))
        if fault == "reset_before":
            return _reset(request)
        if fault in ("refuse", "throttle"):
            return _refusal(request, fault)
        target = request.headers.get("X-Amz-Target", "")
        if target.endswith(("DeleteMessageBatch", "DeleteMessage", "ChangeMessageVisibility")):
            answered = self._own(target, body)
            if isinstance(answered, web.Response):
                return answered
            if answered != body:
                return await self._delete_rest(request, target, answered)
        with suppress(aiohttp.ClientError, ConnectionError):
            return await self._pass_on(request, target, body, lose_answer=fault == "reset_after")
        return _reset(request)

    def _fault(self) -> str | None:
        luck = self._random.random()
        for name in ("delay", "reset_before", "reset_after", "refuse", "throttle"):
            luck -= getattr(self._rates, name)
            if luck < 0:
                self.faults[name] += 1
                return name
        return None

    async def _pass_on(
        self, request: web.Request, target: str, body: bytes, *, lose_answer: bool
    ) -> web.StreamResponse:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _HOP_BY_HOP - {"content-encoding"}
        }
        # The emulator looks at the signature, of which the host is a part.
        headers["Host"] = request.headers["Host"]
        url = URL(self._target + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=body, skip_auto_headers=_SKIPPED
        ) as answer:
            if lose_answer:
                await answer.read()
                return _reset(request)
            if target.endswith(".ReceiveMessage") and answer.status == 200:
                return await self._received(
                    request, json.loads(body), json.loads(await answer.read())
                )
            return await _streamed(request, answer)

    async def _received(
        self, request: web.Request, asked: dict[str, Any], answer: dict[str, Any]
    ) -> web.StreamResponse:
        queue, messages = asked["QueueUrl"].rpartition("/")[2], answer.get("Messages", [])
        if not self.calm:
            messages = [one for one in messages if await self._hands_over(queue, asked, one)]
            messages += self._again(queue, asked.get("MaxNumberOfMessages", 1) - len(messages))
        self.deliveries[queue] += len(messages)
        remembered = self._delivered.setdefault(queue, [])
        remembered += [one for one in messages if not _is_false(one["ReceiptHandle"])]
        del remembered[:-_REMEMBERED]
        return web.json_response({"Messages": messages} if messages else {})

    async def _hands_over(self, queue: str, asked: dict[str, Any], message: dict[str, Any]) -> bool:
        if self._random.random() < self._rates.hold_back:
            self.faults["held_back"] += 1
            return False  # it comes again when its visibility ends
        if "Object Created" not in message["Body"]:
            return True
        key = json.loads(message["Body"])["detail"]["object"]["key"]
        if is_later_contract(key) and self._random.random() < self._rates.delay_contract:
            self.faults["contract_delayed"] += 1
            return False
        # Without its first contract a table's files wait, and no inbox becomes empty.
        losable = len(self.lost) < self._most_lost and not is_first_contract(key)
        if losable and self._random.random() < self._rates.lose_event:
            receipt = {"QueueUrl": asked["QueueUrl"], "ReceiptHandle": message["ReceiptHandle"]}
            async with self._own_request("AmazonSQS.DeleteMessage", json.dumps(receipt)) as answer:
                answer.raise_for_status()
            self.lost.append(key)
            self.faults["event_lost"] += 1
            return False
        return True

    async def _delete_rest(
        self, request: web.Request, target: str, body: bytes
    ) -> web.StreamResponse:
        """A batch without the receipts that this proxy had made up."""
        with suppress(aiohttp.ClientError, ConnectionError):
            async with self._own_request(target, body.decode()) as answer:
                return await _streamed(request, answer)
        return _reset(request)

    def _own_request(
        self, target: str, body: str
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        signed = AWSRequest(
            "POST",
            f"{self._target}/",
            {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"},
            body,
        )
        assert self.credentials is not None
        SigV4Auth(self.credentials, "sqs", REGION).add_auth(signed)
        return self._session.post(
            f"{self._target}/",
            data=body,
            headers=dict(signed.headers),
            skip_auto_headers=_SKIPPED,
        )

    def _again(self, queue: str, room: int) -> list[dict[str, Any]]:
        known = self._delivered.get(queue, [])
        if room <= 0 or not known or self._random.random() >= self._rates.deliver_again:
            return []
        copies = self._random.sample(known, min(room, len(known), self._random.randint(1, 5)))
        self.faults["delivered_again"] += len(copies)
        self.copies[queue] += len(copies)
        return [
            {**one, "ReceiptHandle": f"{_FALSE_RECEIPT}{self._random.random()}"} for one in copies
        ]

    def _own(self, target: str, body: bytes) -> bytes | web.Response:
        """Answers for receipts of our own making; the rest goes on."""
        asked = json.loads(body)
        entries = asked.get("Entries")
        if entries is None:
            return web.json_response({}) if _is_false(asked["ReceiptHandle"]) else body
        real = [one for one in entries if not _is_false(one["ReceiptHandle"])]
        if len(real) == len(entries):
            return body
        if not real:
            done = [{"Id": one["Id"]} for one in entries]
            return web.json_response({"Successful": done, "Failed": []})
        # What is left out counts as done: the caller looks at failures alone.
        return json.dumps({**asked, "Entries": real}).encode()


def _is_false(receipt: str) -> bool:
    return receipt.startswith(_FALSE_RECEIPT)


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _refusal(request: web.Request, fault: str) -> web.Response:
    if "X-Amz-Target" not in request.headers:
        code = "SlowDown" if fault == "throttle" else "InternalError"
        text = f"<Error><Code>{code}</Code><Message>by chaos</Message></Error>"
        return web.Response(status=503, text=text, content_type="application/xml")
    if fault == "throttle":
        error = {"__type": "ThrottlingException", "message": "Rate exceeded"}
        return web.json_response(error, status=400)
    error = {"__type": "InternalFailure", "message": "by chaos"}
    return web.json_response(error, status=503)


async def _streamed(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
    passed = web.StreamResponse(status=answer.status, headers=headers)
    if answer.content_length is not None:
        passed.content_length = answer.content_length
    await passed.prepare(request)
    async for chunk in answer.content.iter_chunked(65_536):
        await passed.write(chunk)
    await passed.write_eof()
    return passed
