"""The load engine or Locust's FastHttpUser as a process of its own, told by lines what to send.

python -m tests.bench_engine.generators engine|locust URL

Each line of standard input is a JSON object, and so is each line of the answer: {"done", "bad", "cpu"}, with the CPU
seconds that this process took for the load and its accounting. {} asks for a block against a null server; the engine
also takes {"kind", "runs", "count"}: so many requests to each of the runs, by a client for each.
"""

import json
import sys
import time

CLIENTS, EACH, SECONDS, SIZE = 16, 2500, 1.0, 10
RUN = "a" * 32


def said(done, bad, cpu):
    print(json.dumps({"done": done, "bad": bad, "cpu": cpu}), flush=True)


def engine(uri):
    """Blocks of the load engine: encoded requests, ledger, histograms, all that the load suite pays for."""
    from fixtures.load import payloads
    from fixtures.load.engine import drive_load
    from fixtures.load.latency import MeasuredLoad
    from fixtures.load.target import LoadTarget

    def script(kind, run, count):
        if kind == "log-batch":
            return payloads.spread_batches([run], count, SIZE)[0]
        return [payloads.metric_request(payloads.metric_point(run, "loss", n)) for n in range(count)]

    for line in sys.stdin:
        given = json.loads(line)
        asked = {"kind": "log-metric", "runs": [RUN] * CLIENTS, "count": EACH} | given
        scripts = [script(asked["kind"], run, asked["count"]) for run in asked["runs"]]
        greeting = (
            payloads.health_request() if "runs" in given else None
        )  # or one of MLflow's workers would have most clients
        begun = time.process_time()
        history = drive_load(LoadTarget.of(uri), scripts, greeting=greeting, limit=600)
        MeasuredLoad.of(history)
        cpu = time.process_time() - begun
        said(len(history.ok), sum(history.offered.values()) - len(history.ok), cpu)


def fast_http_user(uri):
    """Blocks of Locust, in which so many users post the same bytes without a pause, once all of them are there."""
    import gevent
    import locust  # before all that it patches, or ssl never ends calling itself
    from locust.env import Environment

    from fixtures.load import payloads

    request = payloads.metric_request(payloads.metric_point(RUN, "loss", 0))
    path, body = request.path, request.body

    class Client(locust.FastHttpUser):
        host = uri
        wait_time = locust.constant(0)

        @locust.task
        def post(self):
            self.client.post(path, data=body, headers={"Content-Type": "application/json"})

    environment = Environment(user_classes=[Client])
    runner, stats = environment.create_local_runner(), environment.stats
    for _ in sys.stdin:
        runner.start(CLIENTS, spawn_rate=100)
        while runner.user_count < CLIENTS:
            gevent.sleep(0.05)
        sent, bad, begun = stats.total.num_requests, stats.total.num_failures, time.process_time()
        gevent.sleep(SECONDS)
        cpu = time.process_time() - begun
        sent, bad = stats.total.num_requests - sent, stats.total.num_failures - bad
        said(sent - bad, bad, cpu)
        runner.stop()


if __name__ == "__main__":
    {"engine": engine, "locust": fast_http_user}[sys.argv[1]](sys.argv[2])
