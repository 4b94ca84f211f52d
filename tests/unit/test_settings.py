"""Options and environment become settings: precedence, refusals, secrets."""

import subprocess
import sys

import pytest

from fixtures.config.environment import cleanse_environment, join_options
from fixtures.config.mlflow_readiness_usage import PATH_OPTIONS
from fixtures.config.readers import Walk, read_file, read_headers, read_path, refuse_unwritable
from fixtures.config.settings import OPTIONS, Settings, Usage, find_passwords, redact_uri, resolve_settings
from fixtures.core.files import ROOT
from fixtures.core.handover import load_record, save_record
from fixtures.load.plugin import refuse_bad_files

EXTERNAL = {"stack": "external", "mlflow-uri": "http://given:5000"}


def settings(tmp_path, environ=(), words=(), **given):
    return resolve_settings({k.replace("_", "-"): v for k, v in given.items()}, dict(environ), tmp_path, words)


def test_the_command_line_comes_before_the_variable_before_the_well_known_one(tmp_path):
    both = {"READINESS_MLFLOW_URI": "http://ours", "MLFLOW_TRACKING_URI": "http://known"}
    assert settings(tmp_path, both, stack="external", mlflow_uri="http://given").mlflow_uri == "http://given"
    assert settings(tmp_path, both, stack="external").mlflow_uri == "http://ours"
    del both["READINESS_MLFLOW_URI"]
    assert settings(tmp_path, both, stack="external").mlflow_uri == "http://known"


def test_defaults(tmp_path):
    found = settings(tmp_path)
    assert (found.stack, found.depth, found.keep_stack, found.mlflow_defaults) == ("auto", "default", False, False)
    assert found.report_dir.name == "reports"


def test_every_option_has_a_variable_of_the_same_name():
    assert {o.variable for o in OPTIONS} >= {"READINESS_STACK", "READINESS_DB_URI", "READINESS_KEEP_STACK"}


def test_the_options_that_name_paths_are_known_to_what_the_set_up_installs():
    assert set(PATH_OPTIONS) == {f"--{o.name}" for o in OPTIONS if o.read in (read_path, read_file, read_headers)}


@pytest.mark.parametrize("word", ["false", "0", "no", "False", ""])
def test_a_false_value_can_be_chosen(tmp_path, word):
    assert settings(tmp_path, {"READINESS_KEEP_STACK": word}).keep_stack is False


def test_an_empty_value_can_be_chosen(tmp_path):
    stray = {"MLFLOW_S3_ENDPOINT_URL": "http://minio:9000"}
    assert settings(tmp_path, stray, **EXTERNAL).s3_endpoint == "http://minio:9000"
    assert settings(tmp_path, stray, **EXTERNAL, s3_endpoint="").s3_endpoint is None
    assert settings(tmp_path, {**stray, "READINESS_S3_ENDPOINT": ""}, **EXTERNAL).s3_endpoint is None


def test_stray_variables_aim_at_nothing(tmp_path):
    stray = {
        "MLFLOW_TRACKING_URI": "http://production",
        "READINESS_MLFLOW_URI": "http://production",
        "READINESS_DB_URI": "postgresql://u:secret@production/db",
        "MLFLOW_S3_ENDPOINT_URL": "http://production:9000",
        "AWS_ACCESS_KEY_ID": "production",
    }
    found = settings(tmp_path, stray)
    assert (found.stack, found.mlflow_uri, found.db_uri, found.s3_endpoint) == ("auto", None, None, None)
    assert found.s3_keys.access_key is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stack": "nope"}, ["--stack", "'nope'", "embedded"]),
        ({"stack": "external"}, ["--stack external", "--mlflow-uri URL"]),
        ({"mlflow-uri": "http://h"}, ["--mlflow-uri", "--stack external"]),
        ({"public-url": ["http://h"]}, ["--public-url", "--stack external"]),
        ({**EXTERNAL, "keep-stack": "true"}, ["--keep-stack", "leave it out"]),
        ({"largest-file": "none"}, ["--largest-file", "'none' is not a size"]),
        ({"largest-file": "0"}, ["--largest-file", "'0' is not a size"]),
        ({**EXTERNAL, "largest-file": "1GB"}, ["--largest-file", "--max-bytes 300000000", "larger budget"]),
        ({**EXTERNAL, "mlflow-uri": "localhost:5000"}, ["--mlflow-uri", "not a URL"]),
        ({**EXTERNAL, "probe-listener": "8099"}, ["--probe-listener", "'8099' is no HOST:PORT"]),
        ({**EXTERNAL, "probe-listener": "203.0.113.9:8099"}, ["--probe-listener", "cannot listen", "free port"]),
        ({**EXTERNAL, "mlflow-uri": "http://a b"}, ["--mlflow-uri", "not a URL"]),
        ({**EXTERNAL, "mlflow-uri": "http://h:99999"}, ["--mlflow-uri", "not a URL"]),
        ({**EXTERNAL, "mlflow-uri": "http://h?x=1"}, ["--mlflow-uri", "base URL"]),
        ({**EXTERNAL, "public-url": ["ftp://h"]}, ["--public-url", "not a URL"]),
        ({**EXTERNAL, "db-uri": "host=h dbname=d"}, ["--db-uri", "postgresql://"]),
        ({**EXTERNAL, "db-uri": "redis://x/db"}, ["--db-uri", "postgresql://"]),
        ({**EXTERNAL, "db-uri": "@nowhere"}, ["--db-uri", "nowhere"]),
        ({**EXTERNAL, "pool-size": "-1"}, ["--pool-size", "whole number"]),
        ({**EXTERNAL, "admin-user": "boss"}, ["--admin-user", "READINESS_ADMIN_PASSWORD", "both"]),
        ({**EXTERNAL, "admin-password": "secret"}, ["--admin-password", "process list", "=@FILE"]),
        ({**EXTERNAL, "admin-user": "boss", "admin-password": "@nowhere"}, ["--admin-password", "cannot read nowhere"]),
        ({"mlflow-port": "0"}, ["--mlflow-port", "65535"]),
        ({"depth": "deep"}, ["--depth", "full"]),
        ({"load-scale": "0"}, ["--load-scale", "whole number from 1 to 1000"]),
    ],
)
def test_what_is_refused(tmp_path, given, words):
    with pytest.raises(Usage) as caught:
        resolve_settings(given, {}, tmp_path)
    assert [w for w in words if w not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


def test_a_refusal_shows_no_password(tmp_path):
    with pytest.raises(Usage) as caught:
        settings(tmp_path, **EXTERNAL, db_uri="redis://u:canary@h/d")
    assert "canary" not in str(caught.value)


def test_the_database_uri_can_stand_in_a_file(tmp_path):
    (tmp_path / "db").write_text("postgresql://u:canary@h/d\n")
    found = settings(tmp_path, words=["--db-uri=@db"], **EXTERNAL, db_uri="@db")
    assert found.db_uri == "postgresql://u:canary@h/d"
    assert found.warnings == ()
    assert "canary" in found.secrets


def test_a_password_on_the_command_line_is_warned_of(tmp_path):
    uri = "postgresql://u:canary@h/d"
    (warning,) = settings(tmp_path, words=["--db-uri", uri], **EXTERNAL, db_uri=uri).warnings
    assert "process list" in warning
    assert "canary" not in warning
    assert settings(tmp_path, {"READINESS_DB_URI": uri}, **EXTERNAL).warnings == ()


def test_everything_secret_is_known_as_such(tmp_path):
    given = {
        "READINESS_DB_URI": "postgresql://u:s%40one@h/d",
        "AWS_SECRET_ACCESS_KEY": "s-two",
        "MLFLOW_TRACKING_PASSWORD": "s-three",
        "MLFLOW_TRACKING_TOKEN": "s-four",
        "PGPASSWORD": "s-five",
        "READINESS_ADMIN_USER": "boss",
        "READINESS_ADMIN_PASSWORD": "s-nine",
        "READINESS_PUBLIC_URL": "http://a:s-six@h, http://b:s-seven@h",
    }
    found = settings(tmp_path, given, stack="external", mlflow_uri="http://u:s-eight@h")
    known = {"s%40one", "s@one", "s-two", "s-three", "s-four", "s-five", "s-six", "s-seven", "s-eight", "s-nine"}
    assert known <= set(found.secrets)
    assert not [s for s in known if s in repr(found).replace(found.mlflow_uri, "").replace(str(found.public_urls), "")]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://h", []),
        ("http://u@h", []),
        ("postgresql://u:p%3Aw@h/d", ["p%3Aw", "p:w"]),
        ("postgresql://u:p@w@h/d", ["p@w"]),
        ("postgresql://h/d?user=u&password=pw", ["pw"]),
    ],
)
def test_passwords_in_uris(uri, expected):
    assert find_passwords(uri) == expected
    assert not [p for p in expected if p in redact_uri(uri)]


def test_foreign_variables_are_taken_away():
    names = ["MLFLOW_RUN_ID", "_MLFLOW_X", "AWS_PROFILE", "PGHOST", "https_proxy", "READINESS_X"]
    noise = dict.fromkeys(names, "noise")
    environ = {**noise, "PATH": "/bin"}
    cleanse_environment(environ, "embedded")
    assert not [n for n, value in environ.items() if value == "noise"]
    assert environ["PATH"] == "/bin"
    assert {"127.0.0.1", "localhost"} <= set(environ["NO_PROXY"].split(","))


def test_an_external_server_keeps_what_it_is_reached_with():
    kept = dict.fromkeys(["MLFLOW_TRACKING_TOKEN", "AWS_PROFILE", "PGPASSFILE", "HTTPS_PROXY"], "kept")
    environ = kept | {"MLFLOW_TRACKING_URI": "stray", "MLFLOW_RUN_ID": "stray", "PGHOST": "stray"}
    cleanse_environment(environ, "external")
    assert environ.items() >= kept.items()
    assert "stray" not in environ.values()


def test_settings_reach_the_workers_whole_and_privately(tmp_path):
    uri = "postgresql://u:canary@h/d"
    given = settings(tmp_path, {"READINESS_DB_URI": uri, "AWS_ACCESS_KEY_ID": "k"}, **EXTERNAL, workers="4")
    save_record(given, tmp_path / "settings.json")
    assert load_record(Settings, tmp_path / "settings.json") == given
    assert (tmp_path / "settings.json").stat().st_mode & 0o077 == 0


def test_the_walk_through_the_registry(tmp_path):
    """By default always the same; a number of steps alone asks for a new one, which its seed repeats."""
    assert settings(tmp_path).registry_walk == Walk()
    assert settings(tmp_path, **{"registry_steps": "500:7"}).registry_walk == Walk(500, 7)
    assert settings(tmp_path, {"READINESS_REGISTRY_STEPS": "9:0"}).registry_walk == Walk(9, 0)
    asked = [settings(tmp_path, registry_steps="500").registry_walk for _ in range(8)]
    assert {walk.steps for walk in asked} == {500}
    assert len({walk.seed for walk in asked}) > 1


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "5:", ":5", "5:x", "5:-1", "٣", "9999999"])
def test_a_walk_that_is_none_is_refused(value, tmp_path):
    with pytest.raises(pytest.UsageError, match=r"--registry-steps: .* is no number of steps"):
        settings(tmp_path, registry_steps=value)


def test_limits_reach_the_workers_and_wrong_ones_are_refused(tmp_path):
    (tmp_path / "slo.toml").write_text('[log-batch]\np95 = "200 ms"\n')
    given = settings(tmp_path, {"READINESS_SLO": "slo.toml"}, load_scale="5")
    assert (given.slo, given.load_scale) == (tmp_path / "slo.toml", 5)
    save_record(given, tmp_path / "settings.json")
    assert load_record(Settings, tmp_path / "settings.json") == given
    (tmp_path / "slo.toml").write_text('[log-batch]\np95 = "200"\n')
    with pytest.raises(Usage, match=r"^--slo: .*slo.toml: log-batch.p95: '200' is no number with a unit; write "):
        refuse_bad_files(settings(tmp_path, slo="slo.toml"))
    with pytest.raises(Usage, match=r"^READINESS_SLO: .*nowhere.toml: cannot be read"):
        refuse_bad_files(settings(tmp_path, {"READINESS_SLO": "nowhere.toml"}))


def test_an_unwritable_report_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(pytest.UsageError, match=r"--report-dir .*cannot be written"):
        refuse_unwritable(tmp_path / "file" / "reports")


def test_options_and_values_reach_workers_as_one_word():
    given = ["suites/health", "--report-dir", "/tmp/out", "--stack=embedded", "--keep-stack", "-k", "x", "--depth"]
    expected = ("suites/health", "--report-dir=/tmp/out", "--stack=embedded", "--keep-stack", "-k", "x", "--depth")
    assert join_options(given, {"--report-dir", "--stack", "--depth"}) == expected


def test_a_variable_for_another_kind_of_stack_is_not_read(tmp_path):
    stray = {"READINESS_AUTH": "nonsense", "READINESS_MLFLOW_PORT": "nonsense", "READINESS_STORE": "seaweedfs"}
    found = settings(tmp_path, stray, **EXTERNAL)
    assert (found.auth, found.mlflow_port, found.store) == ("none", None, "minio")
    assert settings(tmp_path, {"READINESS_STORE": "seaweedfs"}, stack="compose").store == "minio"
    assert settings(tmp_path, {"READINESS_MAX_RUNS": "nonsense"}).max_runs is None


def test_other_databases_are_named_and_not_entered(tmp_path):
    found = settings(tmp_path, **EXTERNAL, db_uri="mysql+pymysql://u:canary@h/d")
    assert (found.db_uri, found.db_kind) == (None, "MySQL")
    assert "canary" in found.secrets


def test_a_certificate_that_is_not_verified_is_warned_of(tmp_path):
    found = settings(tmp_path, {"MLFLOW_TRACKING_INSECURE_TLS": "true"}, **EXTERNAL)
    assert found.warnings == ("MLFLOW_TRACKING_INSECURE_TLS: the server's certificate is not verified",)


def test_configuration_imports_nothing_heavy():
    heavy = ("boto3", "matplotlib", "mlflow", "numpy", "scipy")
    code = f"import sys, fixtures.config.settings; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_load_has_a_budget_of_its_own_for_each_scale(tmp_path):
    usual = settings(tmp_path, **EXTERNAL).max_bytes
    once, thrice = (settings(tmp_path, **EXTERNAL, allow_load=True, load_scale=n).max_bytes for n in ("1", "3"))
    assert (usual, once, thrice) == (300_000_000, 400_000_000, 600_000_000)
    assert settings(tmp_path, **EXTERNAL, allow_load=True, max_bytes="20MB").max_bytes == 20_000_000
