"""Start `mlflow server`, and make the object store answer on this container's loopback as it does on the host's.

MLflow signs URLs for its clients with its own endpoint of the store. An endpoint of http://localhost:9000 is right for
clients on the host, where the store's port is published; here inside, this passes it on to S3_FORWARD_TO.

With MLFLOW_AUTH=basic MLflow asks for a sign-in (its app basic-auth); the users lie in its own database.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from importlib.metadata import version
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


def choose_sign_in() -> list[str]:
    """The options of the sign-in that MLFLOW_AUTH names; what MLflow reads in a file is written into one."""
    asked = os.environ.get("MLFLOW_AUTH") or "none"
    if asked == "none":
        return []
    needed = ("MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_BACKEND_STORE_URI")
    if asked != "basic":
        sys.exit(f"MLFLOW_AUTH is {asked!r}; say none or basic")
    if missing := [name for name in needed if not os.environ.get(name)]:
        sys.exit(f"MLFLOW_AUTH=basic needs {' and '.join(missing)}")
    if tuple(map(int, version("mlflow").split(".")[:2])) < (3, 16):  # the admin's password, the table of revisions
        sys.exit(f"MLFLOW_AUTH=basic needs an image of MLflow 3.16 or newer; this one has {version('mlflow')}")
    given = {
        "default_permission": os.environ.get("MLFLOW_AUTH_DEFAULT_PERMISSION") or "NO_PERMISSIONS",
        "database_uri": os.environ["MLFLOW_BACKEND_STORE_URI"].replace("%", "%%"),
        "admin_username": os.environ.get("MLFLOW_AUTH_ADMIN_USERNAME") or "admin",
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": "60",
    }
    path = os.path.join(tempfile.mkdtemp(), "basic_auth.ini")
    with open(path, "w") as file:
        file.write("[mlflow]\n" + "".join(f"{name} = {value}\n" for name, value in given.items()))
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = path
    return ["--app-name", "basic-auth"]


options = choose_sign_in()
endpoint = urlsplit(os.environ.get("MLFLOW_S3_ENDPOINT_URL", ""))
host, _, port = os.environ.get("S3_FORWARD_TO", "").partition(":")
if host and endpoint.hostname in ("localhost", "127.0.0.1") and os.fork() == 0:
    try:
        asyncio.run(listen())
    finally:  # without its store the server is of no use: let the restart policy act
        os.kill(os.getppid(), signal.SIGTERM)
os.execvp("mlflow", ["mlflow", "server", *options, *sys.argv[1:]])
