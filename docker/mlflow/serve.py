"""Start `mlflow server`, and make the object store answer on this container's loopback as it does on the host's.

MLflow signs URLs for its clients with its own endpoint of the store. An endpoint of http://localhost:9000 is right for
clients on the host, where the store's port is published; here inside, this passes it on to S3_FORWARD_TO.
"""

import asyncio
import contextlib
import os
import signal
import sys
from urllib.parse import urlsplit


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(1 << 18):
            sink.write(data)
            await sink.drain()
    sink.close()


async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        there = await asyncio.open_connection(host, int(port))
    except OSError:
        writer.close()
        return
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))


async def listen() -> None:
    port = endpoint.port or 80
    with contextlib.suppress(OSError):  # where the container has IPv6, localhost is that as well
        await asyncio.start_server(passed_on, "::1", port)
    await (await asyncio.start_server(passed_on, "127.0.0.1", port)).serve_forever()


endpoint = urlsplit(os.environ.get("MLFLOW_S3_ENDPOINT_URL", ""))
host, _, port = os.environ.get("S3_FORWARD_TO", "").partition(":")
if host and endpoint.hostname in ("localhost", "127.0.0.1") and os.fork() == 0:
    try:
        asyncio.run(listen())
    finally:  # without its store the server is of no use: let the restart policy act
        os.kill(os.getppid(), signal.SIGTERM)
os.execvp("mlflow", ["mlflow", "server", *sys.argv[1:]])
