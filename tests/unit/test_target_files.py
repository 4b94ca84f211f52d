"""A target file: every option, secrets from elsewhere, and one line for what is wrong."""

import pytest

from fixtures.config.settings import OPTIONS, Usage, resolve_settings
from fixtures.config.target_files import NOT_OF_A_TARGET, read_target

LIVE = 'stack = "external"\nmlflow-uri = "http://h:5000"\n'
NAMES = [o.name for o in OPTIONS]


@pytest.fixture
def resolve(tmp_path):
    """resolve(text, environ, **given): the settings with this target file."""

    def find(text, environ=(), **given):
        (tmp_path / "a.toml").write_text(text)
        options = {"target": str(tmp_path / "a.toml")} | {k.replace("_", "-"): v for k, v in given.items()}
        return resolve_settings(options, dict(environ), tmp_path / "elsewhere")

    return find


def test_every_kind_of_value(resolve, tmp_path):
    text = f"""{LIVE}
    allow-load = true
    workers = 4
    max-bytes = "1GB"
    public-url = ["http://a", "http://b"]
    s3-upload-args = {{ServerSideEncryption = "aws:kms"}}
    registry-steps = 50
    waivers = "w.toml"
    """
    found = resolve(text)
    assert (found.mlflow_uri, found.allow_load, found.workers, found.max_bytes) == ("http://h:5000", True, 4, 10**9)
    assert found.public_urls == ("http://a", "http://b")
    assert found.s3_upload_args == (("ServerSideEncryption", "aws:kms"),)
    assert found.registry_walk.steps == 50
    assert found.waivers == tmp_path / "w.toml"


def test_the_command_line_comes_before_the_file_before_the_variables(resolve):
    stray = {"READINESS_MLFLOW_URI": "http://stray", "MLFLOW_TRACKING_URI": "http://known", "READINESS_WORKERS": "9"}
    assert resolve(LIVE, stray).mlflow_uri == "http://h:5000"
    assert resolve(LIVE, stray, mlflow_uri="http://given").mlflow_uri == "http://given"
    assert resolve(LIVE, stray).workers == 9


def test_secrets_come_from_variables_and_files_and_are_known_as_such(resolve, tmp_path):
    (tmp_path / "key").write_text("file-secret\n")
    text = f"""{LIVE}
    db-uri = "env:DB"
    [environment]
    MLFLOW_TRACKING_USERNAME = "ci"
    MLFLOW_TRACKING_PASSWORD = "env:PASSWORD"
    AWS_ACCESS_KEY_ID = "env:KEY"
    AWS_SECRET_ACCESS_KEY = "file:key"
    """
    environ = {"DB": "postgresql://u:db-secret@h/d", "PASSWORD": "sign-in-secret", "KEY": "key-id"}
    found = resolve(text, environ)
    assert found.db_uri == environ["DB"]
    assert found.s3_keys.secret_key == "file-secret"
    assert found.variables["MLFLOW_TRACKING_PASSWORD"] == "sign-in-secret"
    assert {"db-secret", "sign-in-secret", "file-secret", "key-id"} <= set(found.secrets)
    assert [word for word in ("db-secret", "sign-in-secret", "file-secret") if word in repr(found)] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("worker = 4", ["worker", "unknown key", "the nearest is workers"]),
        ("sweep = true", ["sweep", "belongs on the command line"]),
        ('target = "b.toml"', ["target", "belongs on the command line"]),
        ("x = ", ["is no TOML"]),
        (f'{LIVE}db-uri = "postgresql://u:clear@h/d"', ["db-uri", "password in clear", "env:NAME"]),
        (f'{LIVE}public-url = ["http://a", "http://u:clear@h"]', ["public-url", "password in clear"]),
        (f'{LIVE}[environment]\nMLFLOW_TRACKING_PASSWORD = "clear"', ["MLFLOW_TRACKING_PASSWORD", "secret in clear"]),
        (f'{LIVE}[environment]\nAWS_SESSION_TOKEN = "clear"', ["AWS_SESSION_TOKEN", "secret in clear", "file:PATH"]),
        (f'{LIVE}[environment]\nPATH = "/"', ["PATH", "is no variable that signs in"]),
        (f"{LIVE}[environment]\nAWS_REGION = 1", ["AWS_REGION", "in quotes"]),
        ("environment = 1", ["environment is no table"]),
        (f'{LIVE}db-uri = "env:NONE"', ["db-uri", "NONE is not set"]),
        (f'{LIVE}db-uri = "file:none"', ["db-uri", "cannot read none"]),
        (f"{LIVE}workers = 4.5", ["workers", "4.5"]),
        (f"{LIVE}workers = 0", ["a.toml: workers", "whole number"]),
        ("workers = 4", ["a.toml: workers", "--stack external"]),
    ],
)
def test_what_is_refused(resolve, text, words):
    with pytest.raises(Usage) as caught:
        resolve(text)
    said = str(caught.value)
    assert [word for word in words if word not in said] == []
    assert "\n" not in said and "clear@" not in said


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Usage, match=r"--target .*none\.toml: cannot be read \(No such file"):
        read_target(tmp_path / "none.toml", NAMES, {})


def test_what_to_do_is_no_property_of_a_target():
    assert set(NOT_OF_A_TARGET) <= set(NAMES)
