"""A server with a known delay and a known stall; run as a program, so that nothing but the machine disturbs it.

It prints its port, answers each GET /N `delay` seconds after it came, takes a break of `stall` seconds when the request
number `at` comes, in which nothing is answered, and prints when it sent each answer (monotonic clock) once its standard
input ends.
"""

import asyncio
import json
import sys
import time


class Connection(asyncio.Protocol):
    """One client."""

    sent: dict[int, float] = {}  # noqa: RUF012 - of all connections
    came = 0
    until = 0.0
    delay = stall = 0.0
    at = 0

    def connection_made(self, transport):
        self.transport, self.loop = transport, asyncio.get_running_loop()

    def data_received(self, data):
        kind, now = Connection, time.monotonic()
        if kind.came == kind.at:
            kind.until = now + kind.stall
        kind.came += 1
        number = int(data.split(b" ", 2)[1][1:])
        self.loop.call_at(max(now, kind.until) + kind.delay, self.answer, number)

    def answer(self, number):
        Connection.sent[number] = time.monotonic()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps(Connection.sent))


if __name__ == "__main__":
    Connection.delay, Connection.stall, Connection.at = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    asyncio.run(serve())
