"""Is the load engine fast enough? Beside Locust and wrk, and at MLflow's saturation (`make bench-engine`).

Prints one table. Exit code 0: the demands are kept; 1: one is not, or could not be shown to be; 4: it cannot be run.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import requests

from fixtures.backends.private import open_private_stack
from fixtures.core.waiting import StartFailure
from fixtures.load import fleet_process, payloads
from fixtures.load.target import LoadTarget
from fixtures.processes import guard
from tests.bench_engine.generators import CLIENTS, RUN, SECONDS
from tests.bench_engine.judge import LOCUST, OURS, WRK, Block, Saturated, broken, table

ROUNDS = 9
CROWD = 40  # closed-loop clients that saturate MLflow
WARM = 5  # requests of each before it counts
EACH = {"log-metric": 40, "log-batch": 30}  # requests of each client
WITHOUT_WRK = "wrk is not installed, so there is no line for it: apt-get install wrk"


warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")


@contextmanager
def program(*arguments):
    """A Python process that is told what to do by its standard input, and ends when that ends."""
    pipe = subprocess.PIPE
    argv, environment = fleet_process.locust_command(*arguments), fleet_process.locust_environment()
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process, **asked):
    """What the process answers to one line."""
    try:
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())
    except (ValueError, BrokenPipeError):
        process.kill()
        last = process.stderr.read().strip().splitlines()[-1:]
        raise SystemExit(f"bench-engine: a generator failed: {' '.join(last) or 'it said nothing'}") from None


def wrk(uri, folder):
    """One block of wrk: the same bytes, as many connections, one thread."""
    request = payloads.metric_request(payloads.metric_point(RUN, "loss", 0))
    script = Path(folder, "post.lua")
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [[{request.body.decode()}]]\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
        'done = function(s) io.write(string.format("%d %d", s.requests, s.errors.status + s.errors.connect '
        "+ s.errors.read + s.errors.write + s.errors.timeout)) end\n"
    )
    argv = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{SECONDS:g}s", "-s", str(script), uri + request.path]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    done, bad = map(int, said.splitlines()[-1].split()[-2:])
    return {"done": done - bad, "bad": bad, "cpu": used.ru_utime + used.ru_stime}


def side_by_side(rounds):
    """Blocks of all generators in turn, in an order that chance gives each round."""
    blocks, dice = [], random.Random(7)
    with ExitStack() as left:
        folder = left.enter_context(tempfile.TemporaryDirectory())
        server = left.enter_context(program("-m", "tests.bench_engine.null"))
        uri = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        ways = {}
        for name in (OURS, LOCUST):
            process = left.enter_context(program("-m", "tests.bench_engine.generators", name, uri))
            ways[name] = lambda p=process: told(p)
        if shutil.which("wrk"):
            ways[WRK] = lambda: wrk(uri, folder)
        for number in range(-1, rounds):  # the first round warms up
            for name in dice.sample([*ways], len(ways)):
                found = Block(name, **ways[name]())
                blocks += [found] if number >= 0 else []
    return sorted(blocks, key=lambda b: [OURS, LOCUST, WRK].index(b.generator))


def taken(processes):
    """CPU seconds of each process and of the children that it has waited for."""
    found = {}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # its time is with its parent's children
            found[process.pid] = sum(process.cpu_times()[:4])
    return found


def since(before, after):
    """CPU seconds of each process that is still there."""
    return {pid: seconds - before.get(pid, 0.0) for pid, seconds in after.items()}


def busy():
    """(CPU seconds of the whole machine that were used, those there were) since it started."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    return sum(times[:8]) - idle, sum(times[:8])


def at_saturation():
    """What engine and stack took while so many clients kept MLflow busy, for each kind of request."""
    found = []
    with open_private_stack() as (stack, begin):
        uri = stack.mlflow_uri
        api = uri + payloads.API_PREFIX
        experiment = requests.post(f"{api}experiments/create", json={"name": "bench-engine"}, timeout=60).json()
        runs = payloads.make_load_runs(
            LoadTarget.of(uri), experiment["experiment_id"], [f"bench-{n}" for n in range(CROWD)]
        )
        with program("-m", "tests.bench_engine.generators", OURS, uri) as process:
            generator = [psutil.Process(process.pid)]
            for kind, count in EACH.items():
                told(process, kind=kind, runs=runs, count=WARM)
                stack_processes = [p for p in guard.find_processes([begin.home]) if p.pid != process.pid]
                used, there = busy()
                before, begun = (taken(generator), taken(stack_processes)), time.monotonic()
                answer = told(process, kind=kind, runs=runs, count=count)
                mine, theirs = since(before[0], taken(generator)), since(before[1], taken(stack_processes))
                now_used, now_there = busy()
                machine = (now_used - used) / (now_there - there)
                core = max(theirs.values()) / (time.monotonic() - begun)
                share = max(machine, core)
                found.append(
                    Saturated(kind, sum(mine.values()), sum(theirs.values()), share, answer["done"], answer["bad"])
                )
    return found


def main():
    if not fleet_process.has_locust():
        print(f"bench-engine: {fleet_process.LOCUST_MISSING}", file=sys.stderr)
        return 4
    begun = time.monotonic()
    blocks = side_by_side(ROUNDS)
    try:
        saturated = at_saturation()
    except StartFailure as error:
        print(f"bench-engine: no stack: {error}", file=sys.stderr)
        return 4
    print(table(blocks, saturated, "" if shutil.which("wrk") else WITHOUT_WRK))
    wrong = broken(blocks, saturated)
    print(f"\n{'kept' if not wrong else 'NOT KEPT: ' + '; '.join(wrong)} ({time.monotonic() - begun:.0f} s)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
