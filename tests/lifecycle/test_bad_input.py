"""Bad input: one clear line with the option and the mend, the documented code, soon, and nothing left."""

import socket

import pytest

from fixtures.backends.venvs import MADE_RECORD, locate_venv
from tests.lifecycle.stub import Stub
from tests.lifecycle.support import Trace, both_ways, refused

EXTERNAL = ("--stack", "external")
HTML = {"Content-Type": "text/html"}


@pytest.fixture
def bad(examples, scratch):
    """bad(code, *words, args=..., workers=..., env=...): the run is refused so, and leaves nothing."""

    def check(code, *words, args, workers, env=None):
        selection = ["suites/health/test_answers.py"]
        done = examples.run(scratch, *args, *selection, workers=workers, env=env)
        refused(done, code, *words)
        assert Trace(scratch).left() == []
        return done

    return check


@both_ways
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--stack", "nope"], ("--stack", "'nope'", "embedded", "external")),
        (["--stack", "external"], ("--stack external", "--mlflow-uri URL")),
        (["--mlflow-uri", "http://h"], ("--mlflow-uri", "add --stack external")),
        ([*EXTERNAL, "--mlflow-uri", "http//h:5000"], ("--mlflow-uri", "not a URL", "http://")),
        ([*EXTERNAL, "--mlflow-uri", "http://h:5000000"], ("--mlflow-uri", "not a URL", "http://")),
        ([*EXTERNAL, "--mlflow-uri", "http://h/#/experiments"], ("--mlflow-uri", "base URL")),
        ([*EXTERNAL, "--mlflow-uri", "http://h", "--db-uri", "nonsense"], ("--db-uri", "postgresql://")),
        (
            [*EXTERNAL, "--mlflow-uri", "http://h", "--db-uri", "oracle://u@h/d"],
            ("--db-uri", "oracle", "postgresql://"),
        ),
        ([*EXTERNAL, "--mlflow-uri", "http://h", "--db-uri=@/no/file"], ("--db-uri", "/no/file")),
        ([*EXTERNAL, "--mlflow-uri", "http://h", "--workers", "two"], ("--workers", "'two'", "whole number")),
        (["--mlflow-port", "70000"], ("--mlflow-port", "65535")),
        (["--depth", "deep"], ("--depth", "'deep'", "full")),
        (["--waivers", "/no/file"], ("--waivers", "/no/file", "cannot be read")),
        (["--report-dir", "/proc/nope"], ("--report-dir", "/proc/nope", "cannot be written")),
    ],
    ids=lambda value: "-".join(value[:5]) if isinstance(value, list) else "",
)
def test_usage(bad, workers, args, words):
    bad(4, *words, args=args, workers=workers)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--report-dir", "/proc"], ("--report-dir", "/proc", "cannot be written")),
        (["--report-dir", "/etc/passwd"], ("--report-dir", "/etc/passwd", "is a file")),
        (["--report-dir=/etc/passwd/reports"], ("--report-dir", "/etc/passwd/reports", "cannot be written")),
        (["--mlflow-version", "3.9"], ("--mlflow-version", "'3.9'", "no release", "3.17.2")),
        (["--mlflow-version", "1.30.0"], ("--mlflow-version", "'1.30.0'", "older than 2.16.0")),
        (["--stack", "containers", "--mlflow-version", "3.9.0"], ("--mlflow-version", "--stack embedded", "--image")),
        ([*EXTERNAL, "--mlflow-uri", "http://h", "--mlflow-version", "3.9.0"], ("--mlflow-version", "starts")),
    ],
    ids=lambda value: "-".join(value[-2:]) if isinstance(value, list) else "",
)
def test_usage_of_folders_and_versions(bad, args, words):
    bad(4, *words, args=args, workers=0)


@both_ways
def test_a_folder_that_exists_can_be_named_with_a_space(examples, scratch, stub, workers):
    """pytest takes it for a path too; the checkout's settings count all the same, since a suite is named."""
    (folder := scratch / "reports-of-ci").mkdir()
    done = examples.run(
        scratch, "suites/health/test_answers.py", *stub.target, "--report-dir", str(folder), workers=workers
    )
    assert done.code == 0 and (folder / "readiness.json").exists(), done.out


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_alone_with_a_space_it_ends_with_the_word_to_write(examples, scratch, kind):
    """pytest reads nothing of the checkout then; what the set-up has installed into .venv says so."""
    place = scratch / kind
    place.mkdir() if kind == "folder" else place.write_text("")
    words = (f"--report-dir {place}: ", f"write --report-dir={place}")
    refused(examples.run(scratch, "--report-dir", str(place)), 4, *words)
    assert Trace(scratch).left() == []


def test_a_missing_file_behind_a_space_is_named(examples, scratch):
    """pytest itself reads a word that begins with @, before it knows us."""
    refused(examples.run(scratch, *EXTERNAL, "--db-uri", "@/no/file"), 4, "No such file", "/no/file")


@both_ways
def test_a_variable_is_named_where_it_is_to_blame(bad, workers):
    env = {"READINESS_STACK": "nope"}
    bad(4, "READINESS_STACK", "'nope'", "embedded", args=[], workers=workers, env=env)


HTML_PAGE = ((200, HTML, "<html>welcome</html>"), ("not an MLflow", "text/html"))
REDIRECT = ((302, {"Location": "https://login.example/"}, ""), ("redirects to https://login.example/", "final URL"))
STRANGER = ((401, {}, "who are you?"), ("401", "MLFLOW_TRACKING_USERNAME"))


@pytest.mark.parametrize(
    ("answer", "words", "workers"),
    [
        (*HTML_PAGE, 0),
        (*HTML_PAGE, 2),
        (*REDIRECT, 0),
        (*REDIRECT, 2),
        (*STRANGER, 0),
        (*STRANGER, 2),
        ((403, {}, "Invalid Host header"), ("403", "MLFLOW_SERVER_ALLOWED_HOSTS"), 0),
        ((404, HTML, "<h1>Not found</h1>"), ("not an MLflow", "404", "MLFLOW_TRACKING_URI"), 0),
        ((200, {"Content-Type": "application/json"}, '{"version": "2.0"}'), ("not an MLflow", "application/json"), 0),
        ((502, HTML, "<h1>Bad gateway</h1>"), ("reaches no MLflow", "502"), 0),
    ],
    ids=["html", "html-n2", "redirect", "redirect-n2", "401", "401-n2", "403", "404", "json", "502"],
)
def test_something_else_answers(bad, workers, answer, words):
    with Stub(any=answer) as other:
        bad(7, "NOT PROVEN: --mlflow-uri", *words, args=other.target, workers=workers)


@both_ways
def test_nobody_answers(bad, workers):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        args = (*EXTERNAL, "--mlflow-uri", url)
        bad(7, f"NOT PROVEN: --mlflow-uri {url}", "does not answer within", args=args, workers=workers)


def test_a_name_that_does_not_resolve(bad):
    args = (*EXTERNAL, "--mlflow-uri", "http://no-such-host.invalid:5000")
    bad(7, "NOT PROVEN: --mlflow-uri", "no-such-host.invalid", "DNS", args=args, workers=0)


@both_ways
def test_a_port_that_is_taken(bad, workers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        args = ("--stack", "embedded", "--mlflow-port", str(port))
        bad(7, f"NOT PROVEN: --mlflow-port {port}", "in use", "choose another", args=args, workers=workers)


@both_ways
def test_containers_without_an_engine(bad, workers):
    env = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    words = ("no Docker engine answers at unix:///nonexistent/docker.sock", "DOCKER_HOST", "--stack embedded")
    bad(7, "NOT PROVEN: --stack containers", *words, args=("--stack", "containers"), workers=workers, env=env)


@pytest.fixture
def cache(scratch):
    """Variables of a cache of environments that nothing can be installed into."""
    return {"READINESS_CACHE": str(scratch / "cache"), "UV_OFFLINE": "1", "UV_CACHE_DIR": str(scratch / "uv")}


@both_ways
def test_a_version_that_cannot_be_installed(bad, cache, workers):
    words = ("NOT PROVEN: --mlflow-version 3.9.0", "cannot be installed", "mlflow was not found")
    bad(7, *words, args=("--mlflow-version", "3.9.0"), workers=workers, env=cache)


def test_the_server_is_started_by_the_python_of_its_version(bad, cache):
    """The one in the cache is not made anew; this one says what it is asked for, and ends."""
    python = locate_venv("3.9.0", cache) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho the python of 3.9.0: $*\nexit 9\n")
    python.chmod(0o755)
    (python.parents[1] / MADE_RECORD).write_text("{}")
    words = ("NOT PROVEN: MLflow at http://127.0.0.1:", "exited with 9")
    done = bad(7, *words, args=("--mlflow-version", "3.9.0"), workers=0, env=cache)
    assert "the python of 3.9.0: -m mlflow server --host 127.0.0.1" in done.out


@pytest.fixture
def doors(bad, real_stack):
    """doors(*words, db=..., key=..., ...): the real server with doors of its own that are wrong somewhere."""
    s3 = real_stack.s3

    def check(*words, workers, db=real_stack.db_uri, endpoint=s3.endpoint, bucket=s3.name, secret=s3.secret_key):
        args = (*EXTERNAL, "--mlflow-uri", real_stack.mlflow_uri, "--s3-endpoint", endpoint, "--s3-bucket", bucket)
        env = {"READINESS_DB_URI": db, "AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": secret}
        bad(7, *words, args=args, workers=workers, env=env)

    return check


@both_ways
def test_a_wrong_database_password(doors, real_stack, workers):
    wrong = real_stack.db_uri.replace(real_stack.secrets[0], "not-the-password")
    doors("NOT PROVEN: --db-uri", "password authentication failed", "check host", db=wrong, workers=workers)


def test_a_database_without_mlflow(doors, real_stack):
    other = real_stack.db_uri.removesuffix("/mlflow") + "/postgres"
    doors("NOT PROVEN: --db-uri", "no MLflow tables", "MLFLOW_BACKEND_STORE_URI", db=other, workers=0)


@both_ways
def test_a_database_of_another_server(doors, other_database, workers):
    words = ("another server's database", "MLFLOW_BACKEND_STORE_URI")
    doors("NOT PROVEN: --db-uri", *words, db=other_database, workers=workers)


@both_ways
def test_wrong_keys(doors, workers):
    doors("NOT PROVEN: --s3-bucket", "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY", secret="wrong", workers=workers)


@both_ways
def test_a_missing_bucket(doors, workers):
    doors("NOT PROVEN: --s3-bucket nope", "NoSuchBucket", "create it", bucket="nope", workers=workers)


def test_a_bucket_of_another_server(doors, other_bucket):
    words = ("another server's bucket", "MLFLOW_ARTIFACTS_DESTINATION")
    doors(f"NOT PROVEN: --s3-bucket {other_bucket}", *words, bucket=other_bucket, workers=0)


def test_an_object_store_that_never_answers(doors):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        doors("NOT PROVEN: --s3-bucket", "timeout", "--s3-endpoint", endpoint=endpoint, workers=0)


@pytest.fixture(scope="session")
def other_database(real_stack):
    """A copy of the database's schema, as another server's would have it."""
    import psycopg2

    from fixtures.clients.sql import SqlDoor

    link = psycopg2.connect(SqlDoor(real_stack.db_uri)._dsn)
    link.autocommit = True
    with link.cursor() as cursor:
        cursor.execute("CREATE DATABASE other")
    link.close()
    uri = real_stack.db_uri.removesuffix("/mlflow") + "/other"
    link = psycopg2.connect(SqlDoor(uri)._dsn)
    with link, link.cursor() as cursor:
        cursor.execute("CREATE TABLE experiments (experiment_id int, name text)")
        cursor.execute("CREATE TABLE alembic_version (version_num text)")
    link.close()
    return uri


@pytest.fixture(scope="session")
def other_bucket(real_stack):
    from fixtures.clients.s3 import open_s3_client

    open_s3_client(real_stack.s3).create_bucket(Bucket="other")
    return "other"
