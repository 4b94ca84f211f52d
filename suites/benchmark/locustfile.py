"""The mixed load for a fleet of Locust workers, if one machine cannot send enough: see docs/load.md, "A fleet".

    make locust
    make fleet ARGS="--master --expect-workers 2 -u 100 -r 10 -t 5m"
    make fleet ARGS="--worker --master-host HOST"                       on each machine, once for each core

The server and how it is entered are given by the same variables as to the suites. Each user makes a run with the
fleet's prefix and sends the operations of the mixed load to it, each when the one before was answered; nothing is
repeated. What became of each request is handed to the master, which writes it for `pytest --fleet-results FILE`.
"""

import os
import secrets
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import locust  # before all that it patches
from gevent.event import Event
from locust.runners import MasterRunner, WorkerRunner

from fixtures.config.settings import Usage, resolve_settings
from fixtures.core.exit_codes import ExitCode
from fixtures.guardrails.journal import JOURNAL_FOLDER, Journal, JournalEntry
from fixtures.load import payloads
from fixtures.load.connection import FRESH_SECONDS, describe_refusal, word_transport_error
from fixtures.load.engine import ENGINE_ANSWER_SECONDS
from fixtures.load.history import RequestOutcome
from fixtures.load.locust_results import FLEET_START_KIND, FleetBook, FleetRun, name_extra_run
from fixtures.load.operations import DEFAULT_RATES, operation_request
from fixtures.load.target import LoadTarget

FLEET, LEDGER = "fleet", "fleet-ledger"
WAIT_SECONDS = 30.0


class Here:
    """What this process knows of the fleet."""

    target = None
    experiment = prefix = ""
    told = Event()
    book = FleetBook()
    handed_in: set = set()  # noqa: RUF012 - workers whose ledger is whole
    known: set = set()  # noqa: RUF012 - workers that have sent
    users = 0


def stop(why):
    """One line, and exit code 4."""
    print(f"ERROR: {why}", file=sys.stderr)
    raise SystemExit(ExitCode.USAGE)


@locust.events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--fleet-results", default="fleet.json", metavar="FILE", help="what the master writes")
    parser.add_argument("--user-rate", type=float, default=0.0, help="requests a second of each user (0: no pause)")
    parser.add_argument("--each", type=int, default=0, help="so many requests of each user, then it ends (0: no end)")


@locust.events.init.add_listener
def begin(environment, runner, **_):
    try:
        settings = resolve_settings({"stack": "external", "mlflow-uri": environment.host}, os.environ, Path.cwd())
    except Usage as error:
        stop(error)
    if settings.read_only or settings.max_runs or settings.max_rate:
        stop("a fleet keeps no --profile, --max-runs or --max-rate: unset READINESS_PROFILE, _MAX_RUNS and _MAX_RATE")
    Here.target = target = LoadTarget.of(settings.mlflow_uri, settings.access.session())
    if target.proxy:
        stop("a fleet sends to the server itself, not through a proxy: unset http_proxy and https_proxy, or NO_PROXY=*")
    environment.host = target.uri
    environment.stop_timeout = (
        environment.stop_timeout or ENGINE_ANSWER_SECONDS
    )  # what was sent has its answer in the ledger
    Client.host, Client.default_headers = target.uri, {**target.headers, "Accept-Encoding": "identity"}
    Client.insecure, Client.ssl_context_factory = target.verify is False, staticmethod(lambda: target.tls)
    rate = environment.parsed_options.user_rate if environment.parsed_options else 0.0
    Client.wait_time = locust.constant_throughput(rate) if rate else locust.constant(0)
    if isinstance(runner, WorkerRunner):
        runner.register_message(FLEET, learn)
        environment.events.report_to_master.add_listener(
            lambda client_id, data: data.update(fleet=Here.book.hand_over())
        )
        environment.events.test_stop.add_listener(lambda **_: runner.send_message(LEDGER, Here.book.hand_over()))
    else:
        lead(environment, runner, settings, Path(environment.parsed_options.fleet_results).absolute())


def learn(environment, msg, **_):
    """A worker hears what it works in."""
    Here.experiment, Here.prefix = msg.data["experiment"], msg.data["prefix"]
    Here.told.set()


def lead(environment, runner, settings, file):
    """The master, or a Locust without workers: makes the experiment, collects the ledgers, writes the results."""
    run = secrets.token_hex(4)
    Here.prefix = settings.prefix or f"rdy-{run}-"
    journal, left = Journal(settings.report_dir / JOURNAL_FOLDER / f"fleet-{run}.jsonl"), ExitStack()
    left.enter_context(journal.begun(f"fleet-{run}", Here.prefix, settings.mlflow_uri))

    def announce(client_id=None, **_):
        if Here.experiment and isinstance(runner, MasterRunner):
            runner.send_message(FLEET, {"experiment": Here.experiment, "prefix": Here.prefix}, client_id)

    def make(**_):
        name = f"{Here.prefix}fleet"
        journal.add(JournalEntry("experiment", name))
        answer = settings.access.session().post(
            f"{Here.target.uri}{payloads.API_PREFIX}experiments/create",
            json={"name": name},
            timeout=ENGINE_ANSWER_SECONDS,
        )
        if answer.status_code != 200:
            environment.process_exit_code = 1
            print(f"ERROR: no experiment: {answer.status_code} {describe_refusal(answer.content)}", file=sys.stderr)
            runner.quit()
            return
        Here.experiment = answer.json()["experiment_id"]
        announce()
        Here.told.set()

    def report(client_id, data):
        Here.known.add(client_id)
        Here.users = max(Here.users, runner.user_count)
        Here.book.add(data.get("fleet", FleetBook().data()))

    def whole(environment, msg, **_):
        Here.book.add(msg.data)
        Here.handed_in.add(msg.node_id)

    def end(**_):
        if not Here.experiment:
            journal.end()
        elif Here.book.outcomes:
            lost = len(Here.known - Here.handed_in)
            workers = len(Here.known | Here.handed_in) or 1
            uri = settings.mlflow_uri
            FleetRun(uri, Here.experiment, Here.prefix, workers, lost, Here.users, Here.book).save(file)
            print(f"results of {workers} worker(s) in {file}; judge them: pytest suites/load/test_fleet.py "
                  f"--stack external --mlflow-uri {uri} --allow-load --fleet-results {file}\n"
                  f"then delete what was made: make sweep ARGS='--stack external --mlflow-uri {uri} "
                  f"--report-dir={settings.report_dir}'", file=sys.stderr)  # fmt: skip
        left.close()

    environment.events.test_start.add_listener(make)
    environment.events.worker_connect.add_listener(announce)
    environment.events.quitting.add_listener(end)
    if isinstance(runner, MasterRunner):
        runner.register_message(LEDGER, whole)
        environment.events.worker_report.add_listener(report)


class Client(locust.FastHttpUser):
    """One client with a run of its own."""

    network_timeout = connection_timeout = ENGINE_ANSWER_SECONDS
    max_retries = 0

    def on_start(self):
        """Make the run."""
        if not Here.told.wait(WAIT_SECONDS):
            raise locust.exception.StopUser
        Here.users = max(Here.users, self.environment.runner.user_count)
        self.last = self.sent = 0
        name = f"{Here.prefix}user-{secrets.token_hex(6)}"
        answer = self.send(FLEET_START_KIND, name, payloads.create_run_request(Here.experiment, name))
        self.run_id = payloads.run_id_of(answer)
        if not self.run_id:
            raise locust.exception.StopUser

    @locust.task
    def operate(self):
        """One operation, as often as its rate among them says."""
        each = self.environment.parsed_options.each
        if each and self.sent > each:
            raise locust.exception.StopUser
        operation = DICE.choices([*DEFAULT_RATES], [*DEFAULT_RATES.values()])[0]
        number = Here.book.number(self.run_id, operation)
        name = name_extra_run(Here.prefix, self.run_id, number)
        self.send(operation, self.run_id, operation_request(operation, number, self.run_id, Here.experiment, name))

    def send(self, operation, run, made):
        """Send it once; the body of the answer. What became of it is in the ledger, also if the user is ended."""
        self.sent += 1
        if time.monotonic() - self.last > FRESH_SECONDS:  # the server may close an idle connection as we use it
            self.client.client.clientpool.close()
        begun, outcome, status, said, body = time.monotonic(), RequestOutcome.UNKNOWN, None, "the user was ended", b""
        given = {"name": operation, "data": made.body or None, "allow_redirects": False, "catch_response": True}
        try:
            with self.client.request(made.method, made.path, **given) as answer:
                status, body = answer.status_code or None, answer.content or b""
                if status == 200:
                    outcome, said = RequestOutcome.OK, ""
                elif status:
                    outcome, said = RequestOutcome.REFUSED, describe_refusal(body)
                else:
                    error = answer.error
                    outcome = (
                        RequestOutcome.REFUSED if isinstance(error, ConnectionRefusedError) else RequestOutcome.UNKNOWN
                    )
                    what = "no whole answer" if outcome is RequestOutcome.UNKNOWN else "no connection"
                    said = f"{what}: {word_transport_error(error)}"
        finally:
            self.last = time.monotonic()
            Here.book.enter(run, operation, outcome, self.last - begun, time.time(), status, said)
        return body


DICE = secrets.SystemRandom()
