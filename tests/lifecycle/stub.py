"""Something that says it is MLflow, for runs whose checks need no real one."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Stub:
    """A server with the answers of `answers`, path -> (status, headers, body); what is missing is a 404."""

    def __init__(self, **answers: tuple[int, dict[str, str], str]) -> None:
        text = {"Content-Type": "text/plain"}
        self.answers = answers or {"version": (200, text, "3.17.2"), "health": (200, text, "OK")}
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/").partition("?")[0]
                status, headers, body = stub.answers.get(name, stub.answers.get("any", (404, {}, "no")))
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_PUT = do_GET

            def log_message(self, *arguments: object) -> None:
                """Be silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Stub:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def target(self) -> tuple[str, ...]:
        return ("--stack", "external", "--mlflow-uri", self.url, "--allow-load")
