"""The door s3 speaks as the store asks for: where the bucket's name stands, and what each upload carries."""

import io

import pytest
from botocore.awsrequest import AWSResponse

from fixtures.clients.s3 import open_s3_client
from fixtures.config.settings import Usage, resolve_settings
from fixtures.stack import Bucket

KEYS = {"access_key": "a", "secret_key": "b"}


class Raw(io.BytesIO):
    def stream(self, **_):
        yield self.read()


def sent_by(bucket):
    """The request that a PutObject makes."""
    seen = []
    client = open_s3_client(bucket)
    client.meta.events.register(
        "before-send.s3", lambda request, **_: (seen.append(request), AWSResponse(request.url, 200, {}, Raw()))[1]
    )
    client.put_object(Bucket=bucket.name, Key="k", Body=b"")
    return seen[0]


@pytest.mark.parametrize(
    ("style", "url"),
    [
        (None, "http://store.example/files/k"),
        ("path", "http://store.example/files/k"),
        ("virtual", "http://files.store.example/k"),
    ],
)
def test_the_name_of_the_bucket_stands_where_the_store_wants_it(style, url):
    assert sent_by(Bucket("http://store.example", "files", addressing=style, **KEYS)).url == url


def test_an_upload_carries_what_the_bucket_demands():
    bucket = Bucket("http://store.example", "files", upload_arguments={"ServerSideEncryption": "aws:kms"}, **KEYS)
    assert sent_by(bucket).headers["x-amz-server-side-encryption"] in ("aws:kms", b"aws:kms")


def test_mlflows_own_variables_count_for_a_live_server(tmp_path):
    environ = {"MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"ACL": "private"}', "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "virtual"}
    found = resolve_settings({"stack": "external", "mlflow-uri": "http://x"}, environ, tmp_path)
    assert (found.s3_addressing, dict(found.s3_upload_args)) == ("virtual", {"ACL": "private"})


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("s3-addressing", "host", "--s3-addressing: unknown style 'host'"),
        ("s3-upload-args", "{", "--s3-upload-args: '{' is not a JSON object"),
        ("s3-upload-args", '{"a": 1}', "is not a JSON object of texts"),
        ("pooler", "pgbouncer:6432", "--pooler: 'pgbouncer:6432' is not a database URI"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, option, text, words):
    with pytest.raises(Usage, match=words):
        resolve_settings({"stack": "external", "mlflow-uri": "http://x", option: text}, {}, tmp_path)
