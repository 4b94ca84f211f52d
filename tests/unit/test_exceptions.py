"""What an exception says about its check, by its class."""

import http.client

import psycopg2.errors
import pytest
import requests
import urllib3.exceptions
from botocore.exceptions import ClientError, ReadTimeoutError
from mlflow.exceptions import MlflowException, RestException

from fixtures.clients.exceptions import classify_exception, is_silent
from fixtures.clients.rest import RestError
from fixtures.core.outcomes import Finding, Lack, LostCapability, NotProven, OutOfScope, Reason
from fixtures.verdict.records import Raised

POOL = "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30"
SERVERS_OWN = RestException({"error_code": "INTERNAL_ERROR", "message": "S3: Read timed out."})
READ_LATE = urllib3.exceptions.ReadTimeoutError(None, "/x", "Read timed out.")


def raised_from(error, cause):
    """`error` as it is after it was raised while `cause` was handled."""
    try:
        try:
            raise cause
        except type(cause):
            raise error from None
    except type(error) as found:
        return found


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (Finding("x", 1, "Read timed out"), Raised.FINDING),
        (AssertionError("Read timed out"), Raised.REFUSAL),
        (RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone"}), Raised.REFUSAL),
        (requests.ConnectionError("refused"), Raised.REFUSAL),
        (http.client.RemoteDisconnected(), Raised.REFUSAL),
        (ClientError({"Error": {"Code": "403"}}, "PutObject"), Raised.REFUSAL),
        (RestException({"error_code": "INTERNAL_ERROR", "message": POOL}), Raised.REFUSAL),
        (SERVERS_OWN, Raised.REFUSAL),
        (MlflowException("API request failed: Read timed out. (read timeout=45)"), Raised.LATE),
        (raised_from(MlflowException("in other words"), requests.ReadTimeout()), Raised.LATE),
        (requests.ReadTimeout("late"), Raised.LATE),
        (requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/x", READ_LATE)), Raised.LATE),
        (urllib3.exceptions.NewConnectionError(None, "refused"), Raised.REFUSAL),
        (ReadTimeoutError(endpoint_url="http://h", error="late"), Raised.LATE),
        (psycopg2.errors.QueryCanceled(), Raised.LATE),
        (TimeoutError(), Raised.LATE),
        (RestError("GET x", "an answer", "none", late=True), Raised.LATE),
        (RestError("GET x", "status 200", "no", status=500), Raised.REFUSAL),
        (pytest.fail.Exception("Timeout (>60.0s) from pytest-timeout."), Raised.DEADLINE),
        (pytest.fail.Exception("DID NOT RAISE"), Raised.REFUSAL),
        (NotProven("no answer"), Raised.NOT_PROVEN),
        (KeyError("run"), Raised.BROKEN),
        (NotImplementedError(), Raised.BROKEN),
        (RuntimeError(), Raised.UNEXPECTED),
        (OutOfScope(Lack.SQL, "not configured"), Raised.OUT_OF_SCOPE),
        (LostCapability("the server was lost"), Raised.LOST_CAPABILITY),
        (pytest.skip.Exception("nah"), Raised.UNTYPED_SKIP),
        (pytest.xfail.Exception("nah"), Raised.UNTYPED_SKIP),
    ],
)
def test_an_exception_is_known_by_its_class(error, raised):
    """Its words decide nothing, except MLflow's own."""
    assert classify_exception(error) is raised


@pytest.mark.parametrize(
    ("error", "silent"),
    [
        (NotProven("x", Reason.SILENT), True),
        (NotProven("no answer within 45 s"), False),
        (raised_from(Finding("the request", "an answer", "none"), NotProven("x", Reason.SILENT)), True),
        (Finding("the request", "an answer", "no answer within 45 s"), False),
        (MlflowException("API request failed with exception Read timed out."), True),
        (SERVERS_OWN, False),
        (TimeoutError("a wait of ours"), False),
    ],
)
def test_a_server_that_is_silent_is_told_by_type(error, silent):
    """Also if the check made a finding of it."""
    assert is_silent(error) is silent
