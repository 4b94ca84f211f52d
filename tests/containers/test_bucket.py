"""`make bucket` against MinIO: what it makes is there, a second time changes nothing, a dry run makes nothing."""

import base64
import os
import secrets
import subprocess
import sys

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from fixtures.config.images import image_references
from fixtures.core.files import ROOT
from fixtures.core.waiting import NotYet, wait_for
from fixtures.tools.bucket import has_bucket, make_s3_client
from tests.containers.support import docker, free_ports

pytestmark = pytest.mark.timeout(120)
KEYS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "something"}


@pytest.fixture(scope="module")
def minio(chosen):
    """(endpoint, boto3 client) of a MinIO that has a key to encrypt with."""
    port = free_ports()["MINIO_PORT"]
    kms = "key:" + base64.b64encode(secrets.token_bytes(32)).decode()
    given = {"MINIO_ROOT_USER": "someone", "MINIO_ROOT_PASSWORD": "something", "MINIO_KMS_SECRET_KEY": kms}
    words = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
    image = image_references(chosen)["minio"]
    number = docker("run", "-d", "--rm", "-p", f"127.0.0.1:{port}:9000", *words, image, "server", "/data").strip()
    url = f"http://127.0.0.1:{port}"
    s3 = make_s3_client(KEYS, "us-east-1", url)

    def look():
        try:
            s3.list_buckets()
        except (BotoCoreError, ClientError) as error:
            raise NotYet(str(error)) from None

    try:
        wait_for("MinIO", look, 60)
        yield url, s3
    finally:
        docker("rm", "-f", "-v", number)


def bucket(*words, folder=ROOT):
    """(exit code, what `python -m fixtures.tools.bucket` said)."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | KEYS
    argv = [sys.executable, "-m", "fixtures.tools.bucket", *words]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_it_makes_the_bucket_once(minio):
    url, s3 = minio
    words = ("models-1", "--endpoint-url", url)
    code, said = bucket(*words, "--dry-run")
    assert (code, said.count("would be turned on")) == (0, 3)
    assert not has_bucket(s3, "models-1")
    code, said = bucket(*words)
    assert (code, said.count(": turned on")) == (0, 2)
    assert s3.get_bucket_versioning(Bucket="models-1")["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket="models-1")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    code, said = bucket(*words)
    assert (code, said.count("on already")) == (0, 2)
    assert "public access blocked: not checked, this store does not offer it" in said


def test_name_and_endpoint_come_from_the_env_file(minio, tmp_path):
    url, s3 = minio
    text = f"N=7\nMLFLOW_S3_ENDPOINT_URL={url}\nMLFLOW_ARTIFACTS_DESTINATION=s3://models-${{N}}/root\n"
    (tmp_path / ".env.mlflow").write_text(text)
    assert bucket(folder=tmp_path)[0] == 0
    assert has_bucket(s3, "models-7")


def test_a_template_that_was_not_filled_in_is_refused(tmp_path):
    (tmp_path / ".env.mlflow").write_text((ROOT / ".env.mlflow.aws").read_text())
    code, said = bucket(folder=tmp_path)
    assert code == 4
    assert "fill in .env.mlflow (AWS_ACCOUNT_ID)" in said


def test_a_store_that_is_not_there_is_one_line():
    code, said = bucket("models-1", "--endpoint-url", "http://127.0.0.1:9")
    assert (code, len(said.strip().splitlines())) == (1, 1)
    assert "--endpoint-url" in said
