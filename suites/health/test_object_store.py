"""The bucket itself: what MLflow and its clients do to it, done with a scratch key of ours (step 3, F29)."""

import os
from contextlib import suppress

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from fixtures.clients.doors import describe_bytes
from fixtures.clients.s3 import s3_errors_as_findings
from fixtures.core.outcomes import Lack, OutOfScope, expect

pytestmark = pytest.mark.requires("s3")

DENIALS = ("AccessDenied", "MethodNotAllowed")  # by a policy, or a lock on the objects
PART = 5 * 1024 * 1024  # the smallest part that S3 takes, but for the last one


@pytest.fixture
def may_delete(s3):
    """Whether our keys may delete what they write: a bucket can deny that on purpose.

    Keys that may only read are a good choice for a door, if the server itself evidently writes.
    """
    key = s3.scratch("may-we-write")
    try:
        s3.client.put_object(Bucket=s3.bucket, Key=key, Body=b"")
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDenied" and s3.where.prefix is not None:
            raise OutOfScope(Lack.S3_WRITE, "the declared S3 keys may only read; the server's own do write") from None
        return True  # the check itself will say what fails
    except BotoCoreError:
        return True
    try:
        s3.client.delete_object(Bucket=s3.bucket, Key=key)
    except ClientError as error:
        return error.response["Error"]["Code"] not in DENIALS
    except BotoCoreError:
        return True
    return True


@pytest.fixture
def scratch(s3, request, may_delete):
    """scratch("a") -> a key of ours in the bucket, beside the artifacts; all of them are taken away at the end."""
    prefix = s3.scratch(request.node.name)
    keys = []

    def key(name):
        keys.append(f"{prefix}/{name}")
        return keys[-1]

    yield key
    for name in keys if may_delete else ():  # else the clean-up says what remains
        s3.client.delete_object(Bucket=s3.bucket, Key=name)


def put(s3, key, content):
    """Store `content`; a refusal is a finding."""
    with s3_errors_as_findings(f"PUT of s3://{s3.bucket}/{key}", "stored"):
        s3.client.put_object(Bucket=s3.bucket, Key=key, Body=content)


def test_bucket_can_be_written_read_and_deleted_from(s3, scratch, may_delete, note):
    """Step 3 of the checklist: without a bucket that takes and gives objects no artifact is ever logged.

    Remedy: create the bucket, or let the keys do s3:PutObject, s3:GetObject, s3:DeleteObject and s3:ListBucket on it.
    """
    key, content = scratch("object"), os.urandom(100_003)
    with s3_errors_as_findings(f"bucket {s3.bucket}", "there, and open to these keys"):
        s3.client.head_bucket(Bucket=s3.bucket)
    put(s3, key, content)
    with s3_errors_as_findings(f"reading and deleting s3://{s3.bucket}/{key}", "done"):
        expect(f"s3://{s3.bucket}/{key}", describe_bytes(s3.read(key)), describe_bytes(content))
        expect(f"size of {key} by HEAD", s3.size(key), len(content))
        if not may_delete:
            note(f"the declared S3 keys may not delete in {s3.bucket}, on purpose or not: what is deleted there stays")
            return
        s3.client.delete_object(Bucket=s3.bucket, Key=key)
        expect(f"{key} after its deletion", s3.exists(key), False)


def test_overwritten_object_shows_its_new_bytes(s3, scratch):
    """A model that is logged again under its name must not be served from an old copy.

    Remedy: put no cache in front of the object store; a store with replicas must read what it wrote.
    """
    key = scratch("object")
    for content in (b"first\n" * 1000, b"second\n" * 500, b""):
        put(s3, key, content)
        with s3_errors_as_findings(f"reading s3://{s3.bucket}/{key}", "the bytes just written"):
            expect(f"s3://{s3.bucket}/{key}", describe_bytes(s3.read(key)), describe_bytes(content))


def test_multipart_upload_is_put_together_in_order(s3, scratch):
    """Models of more than a few megabytes are uploaded in parts, and must be one file again.

    Remedy: allow s3:AbortMultipartUpload and the upload of parts; with older stores set
    AWS_REQUEST_CHECKSUM_CALCULATION=when_required on server and clients.
    """
    key, parts = scratch("parts"), [os.urandom(PART), os.urandom(70_001)]
    where = {"Bucket": s3.bucket, "Key": key}
    with s3_errors_as_findings(f"multipart upload of s3://{s3.bucket}/{key}", "two parts put together"):
        upload = s3.client.create_multipart_upload(**where)["UploadId"]
        try:
            done = []
            for number, part in enumerate(parts, start=1):
                tag = s3.client.upload_part(**where, UploadId=upload, PartNumber=number, Body=part)["ETag"]
                done.append({"PartNumber": number, "ETag": tag})
            s3.client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": done})
        except BaseException:
            with suppress(ClientError, BotoCoreError):  # the first error is the one to tell
                s3.client.abort_multipart_upload(**where, UploadId=upload)
            raise
        expect(f"s3://{s3.bucket}/{key}", describe_bytes(s3.read(key)), describe_bytes(b"".join(parts)))


def test_ranged_get_gives_just_that_range(s3, scratch):
    """Large artifacts are downloaded in ranges; a store that ignores them corrupts the file.

    Remedy: look for a proxy in front of the object store that drops the Range header.
    """
    key, content = scratch("range"), os.urandom(300_001)
    put(s3, key, content)
    for first, last in ((0, 0), (1000, 99_999), (300_000, 300_000)):
        with s3_errors_as_findings(f"GET of bytes {first}-{last} of {key}", "206"):
            answer = s3.client.get_object(Bucket=s3.bucket, Key=key, Range=f"bytes={first}-{last}")
            seen = (answer["ResponseMetadata"]["HTTPStatusCode"], describe_bytes(answer["Body"].read()))
        expect(f"bytes {first}-{last} of {key}", seen, (206, describe_bytes(content[first : last + 1])))


def test_delete_objects_removes_every_key_it_names(s3, scratch, may_delete):
    """`mlflow gc` deletes artifacts by the batch; stores that refuse the request's checksum keep them for ever.

    Remedy: set AWS_REQUEST_CHECKSUM_CALCULATION=when_required (MissingContentMD5, XAmzContentSHA256Mismatch), or
    upgrade the object store; AccessDenied means that the keys lack s3:DeleteObject.
    """
    if not may_delete:
        raise OutOfScope(Lack.S3_DELETE, "the declared S3 keys may not delete")
    keys = [scratch(name) for name in ("one", "two", "kept")]
    for key in keys:
        put(s3, key, key.encode())
    with s3_errors_as_findings(f"DeleteObjects of two keys in {s3.bucket}", "both deleted"):
        batch = {"Objects": [{"Key": key} for key in keys[:2]]}
        answer = s3.client.delete_objects(Bucket=s3.bucket, Delete=batch)
        expect("errors of DeleteObjects", answer.get("Errors", []), [])
        left = [key for key in keys if s3.exists(key)]
    expect("objects left after DeleteObjects of the first two", left, keys[2:])


def test_listing_names_every_object_once(s3, scratch):
    """MLflow finds artifacts by listing the bucket, in pages and by folder.

    Remedy: allow s3:ListBucket; look for a gateway that does not pass prefix, delimiter or continuation tokens on.
    """
    keys = [scratch(name) for name in ("a/1", "a/2", "b c/3", "d", "e+f", "ü")]
    for key in keys:
        put(s3, key, b"x")
    prefix = keys[0].removesuffix("a/1")
    with s3_errors_as_findings(f"listing of {prefix}", "an answer"):
        pages = s3.client.get_paginator("list_objects_v2")
        found = [
            item["Key"]
            for page in pages.paginate(Bucket=s3.bucket, Prefix=prefix, PaginationConfig={"PageSize": 2})
            for item in page.get("Contents", [])
            if item["Size"] or not item["Key"].endswith("/")  # some stores leave an empty mark of each folder
        ]
        top = s3.client.list_objects_v2(Bucket=s3.bucket, Prefix=prefix, Delimiter="/")
    expect(f"keys under {prefix} in pages of two", sorted(found), sorted(keys))
    folders = sorted(p["Prefix"] for p in top.get("CommonPrefixes", []))
    expect(f"folders under {prefix}", folders, sorted({f"{prefix}a/", f"{prefix}b c/"}))
