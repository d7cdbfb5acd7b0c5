"""A DynamoDB that answers at once what the emulator has answered once before.

The emulator takes longer for a query than the API, the more the fuller a table is: behind it every
server looks the same. A test double, for no DynamoDB can be had that is as fast as the real one.
`python -m benchmarks.remembering PORT EMULATORS_PORT` runs until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from headrace_local.ports import LOOPBACK

_END_OF_HEAD: Final = b"\r\n\r\n"


class Remembering:
    """Answers to requests, by operation and body."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._known: dict[tuple[bytes, bytes], bytes] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        try:
            while True:
                head = await reader.readuntil(_END_OF_HEAD)
                body = await reader.readexactly(int(_header(head, b"content-length")))
                asked = (_header(head, b"x-amz-target"), body)
                if asked not in self._known:
                    self._known[asked] = await self._fetched(head, body)
                writer.write(self._known[asked])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _fetched(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(LOOPBACK, self._behind)
        writer.write(head + body)
        answer = await reader.readuntil(_END_OF_HEAD)
        answer += await reader.readexactly(int(_header(answer, b"content-length")))
        writer.close()
        return answer


def _header(head: bytes, name: bytes) -> bytes:
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    return next(value.strip() for key, _, value in lines if key.lower() == name)


async def main() -> None:
    """Serves until it is ended."""
    port, behind = map(int, sys.argv[1:])
    server = await asyncio.start_server(Remembering(behind).serve, LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
