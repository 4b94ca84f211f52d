"""What the server promises its newer clients: files straight from the object store."""

import pytest

from fixtures.core.outcomes import Lack, OutOfScope, expect_that
from fixtures.stack import Presigned


@pytest.mark.read_only
def test_presigned_downloads_reach_the_object_store(stack):
    """Clients from 3.17 on fetch files by URLs that the server signs: if those lead nowhere, each load hangs.

    Remedy: give the server an MLFLOW_S3_ENDPOINT_URL that clients can reach, too, and let them through to it; until
    then set MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD=false for every client.
    """
    if stack.presigned in (Presigned.NOT_OFFERED, Presigned.UNKNOWN):
        raise OutOfScope(Lack.PRESIGNED, "the server signs no URLs for downloads")
    what, seen = "a download by the URL that the server signed, from here", stack.facts["presigned downloads"]
    expect_that(stack.presigned is Presigned.FETCHED, what, Presigned.FETCHED.value, seen)
