"""The database and the bucket behind MLflow: who else gets in, and with what."""

import dataclasses
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from fixtures.clients.reach import is_on_loopback, is_only_here, list_open_addresses
from fixtures.clients.rest import RestClient, RestError
from fixtures.clients.s3 import open_s3_client
from fixtures.config.settings import find_passwords
from fixtures.core.files import ROOT
from fixtures.core.outcomes import Lack, OutOfScope, expect_that

WELL_KNOWN_KEYS = (("minioadmin", "minioadmin"), ("minioadmin", "minioadmin123"))  # MinIO's own, the guide's
TEMPLATE_PASSWORDS = ("mlflow_password", "mlflow", "postgres")
# Who writes here: roles that own MLflow's tables or write them now; tools of people say who they are.
WRITING_ROLES = """
SELECT r.rolname, r.rolsuper FROM pg_roles r
WHERE r.oid = (SELECT relowner FROM pg_class WHERE oid = 'runs'::regclass)
   OR has_table_privilege(r.oid, 'runs', 'INSERT') AND r.rolname IN (
      SELECT usename FROM pg_stat_activity WHERE datname = current_database() AND application_name = '')
ORDER BY 1
"""
OTHER_DATABASES = """
SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname NOT IN (current_database(), 'postgres')
AND pg_get_userbyid(datdba) = ANY (%s) ORDER BY 1
"""


@pytest.fixture
def unsigned(stack):
    """The bucket as somebody sees it who has no keys."""
    return open_s3_client(stack.s3, stack.speed.silence_seconds, signed=False)


@pytest.fixture
def attempts(unsigned, s3, stack):
    """What a stranger may try on the bucket, by name: on a key of ours, where anything may be made."""
    where = {"Bucket": s3.bucket}
    tried = {"list": lambda: unsigned.list_objects_v2(**where, MaxKeys=1)}
    if stack.read_only:
        yield tried
        return
    mine, theirs = s3.scratch("read-by-strangers"), s3.scratch("written-by-strangers")
    try:
        s3.client.put_object(**where, Key=mine, Body=b"for us")
        tried["read"] = lambda: unsigned.get_object(**where, Key=mine)["Body"].read()
    except ClientError:
        pass  # keys that only read are a good choice for a door
    tried["write"] = lambda: unsigned.put_object(**where, Key=theirs, Body=b"from anybody")
    yield tried
    for key, client in ((mine, s3.client), (theirs, s3.client if "read" in tried else unsigned)):
        succeeds(lambda key=key, client=client: client.delete_object(**where, Key=key))


def succeeds(attempt):
    """Whether the store does it; no answer at all is none."""
    try:
        attempt()
    except (ClientError, BotoCoreError):
        return False
    return True


def judge_nearby(what, found, uri, note, ours=False):
    """A finding, or a note if nobody but this machine reaches `uri`, or if it is this run's own and ends with it."""
    if found and (ours or is_only_here(uri)):
        note(f"{what}: {found}; {'it is of this run only' if ours else 'only this machine reaches it'}")
        return
    expect_that(not found, what, "none", found)


@pytest.mark.requires("s3")
@pytest.mark.read_only
def test_bucket_is_closed_to_strangers(attempts, s3, stack, note):
    """Whoever finds the bucket's name takes the models, or puts one of theirs in their place.

    Remedy: close the bucket to the public (AWS: block public access; MinIO: mc anonymous set none).
    """
    for line in () if stack.ours else describe_bucket(s3):
        note(line)
    done = [name for name, attempt in attempts.items() if succeeds(attempt)]
    expect_that(not done, f"bucket {s3.bucket} without keys", "closed", f"open to {', '.join(done)}", cases=done)


def describe_bucket(s3):
    """What would make the bucket safer, a line each; what its keys may not ask is left out."""
    where = {"Bucket": s3.bucket}
    try:
        if s3.client.get_bucket_versioning(**where).get("Status") != "Enabled":
            yield f"bucket {s3.bucket} has no versioning: what is overwritten or deleted is gone"
    except (ClientError, BotoCoreError):
        pass
    try:
        s3.client.get_bucket_encryption(**where)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ServerSideEncryptionConfigurationNotFoundError":
            yield f"bucket {s3.bucket} does not encrypt what it stores"
    except BotoCoreError:
        pass
    endpoint = s3.where.endpoint or ""
    if endpoint.startswith("http:") and not is_on_loopback(endpoint):
        yield f"{endpoint}: keys and models cross the network without TLS"
    places = {"the object store": endpoint, "the store's console": find_console(endpoint)} if endpoint else {}
    for what, url in places.items():
        yield from (f"{what} is open to others at {address}" for address in list_open_addresses(url))


def find_console(endpoint):
    """Where the store sends a browser, as MinIO does; empty if it does not."""
    try:
        answer = RestClient(endpoint).get("/", headers={"User-Agent": "Mozilla/5.0", "Accept": "text/html"})
    except RestError:
        return ""
    return answer.headers.get("Location", "") if 300 <= answer.status_code < 400 else ""


@pytest.mark.requires("s3")
@pytest.mark.read_only
def test_well_known_keys_do_not_open_the_store(stack, note):
    """MinIO's own keys and those of the guide stand in every manual: each reads and deletes all models.

    Remedy: give the store other root keys (MINIO_ROOT_USER, MINIO_ROOT_PASSWORD) and the server the same; `make
    setup-local` writes random ones.
    """
    endpoint = stack.s3.endpoint
    if endpoint is None:
        raise OutOfScope(Lack.S3_ENDPOINT, "the bucket is AWS's, which has no well-known keys")
    if (file := ROOT / ".env.mlflow").exists() and file.stat().st_mode & 0o077:
        note(f"{file} holds secrets and others may read it: chmod 600 {file.name}")
    found = []
    for key, secret in WELL_KNOWN_KEYS:
        theirs = dataclasses.replace(stack.s3, access_key=key, secret_key=secret, session_token=None)
        client = open_s3_client(theirs, stack.speed.silence_seconds)
        if succeeds(lambda client=client: client.list_objects_v2(Bucket=stack.s3.name, MaxKeys=1)):
            found.append(f"{key} with {'itself' if secret == key else 'that of the guide'} as its secret")
    judge_nearby(f"well-known keys at {endpoint}", " and ".join(found), endpoint, note)


@pytest.mark.requires("s3")
@pytest.mark.read_only
def test_keys_open_no_foreign_bucket(s3, foreign_bucket):
    """Whoever may create an experiment may place it in any bucket that the server's keys open, and read it there.

    Remedy: let the keys' policy name MLflow's own bucket, not all of them (Resource: arn:aws:s3:::BUCKET and /*).
    """
    opened = succeeds(lambda: s3.client.head_bucket(Bucket=foreign_bucket))
    expect_that(not opened, f"HEAD of bucket {foreign_bucket} with the declared keys", "refused", "200")


@pytest.mark.requires("sql")
@pytest.mark.read_only
def test_database_role_of_the_server_is_no_superuser(sql, stack, note):
    """A superuser reads files and runs programs on the database's machine: one hole in MLflow opens all of it.

    Remedy: CREATE ROLE mlflow LOGIN; make it the owner of MLflow's database and tables (REASSIGN OWNED), and name it in
    MLFLOW_BACKEND_STORE_URI.
    """
    roles = dict(sql.rows(WRITING_ROLES))
    for line in () if stack.ours else describe_database(stack.db_uri, roles, sql):
        note(line)
    if not all(roles.values()):
        return  # a superuser beside the server's own role is somebody else's
    judge_nearby("superusers that write MLflow's tables", ", ".join(roles), stack.db_uri, note, stack.ours)


def describe_database(uri, roles, sql):
    """What would make the database safer, a line each."""
    others = [name for (name,) in sql.rows(OTHER_DATABASES, list(roles))]
    if others:
        yield f"the server's role {', '.join(roles)} owns other databases, too: {', '.join(others)}"
    if set(find_passwords(uri)) & set(TEMPLATE_PASSWORDS):
        yield "the database's password stands in a template or manual"
    if not is_on_loopback(uri) and not sql.insists_on_tls():
        yield f"the database takes connections from other hosts in clear text ({urlsplit(uri).hostname})"
    yield from (f"the database is open to others at {address}" for address in list_open_addresses(uri))
