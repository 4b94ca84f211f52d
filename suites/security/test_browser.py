"""What a foreign web page can do in the browser of somebody who may reach the server (F67, F68)."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
import requests

from fixtures.clients.families import API_FAMILY, BROWSER_FAMILIES, is_let_in
from fixtures.clients.routes import describe_answer, is_html
from fixtures.core.outcomes import CauseId, Finding, Lack, NotProven, OutOfScope, expect_that
from fixtures.stack import SignIn

pytestmark = pytest.mark.read_only
FOREIGN_HOST = "evil.example"
FOREIGN_ORIGIN = f"https://{FOREIGN_HOST}"
ADDRESS_LIKE = tuple(f"{start}.{FOREIGN_HOST}" for start in ("10", "192.168", "172.16"))
SECONDS = (5, 45)


@dataclass
class Doorway:
    """What a URL of the server answers to a browser that a foreign page leads there.

    Args:
        hosts, origins: family -> the answer to a foreign name of the server, and to a foreign page.
    """

    url: str
    hosts: dict[str, requests.Response] = field(default_factory=dict)
    origins: dict[str, requests.Response] = field(default_factory=dict)

    @property
    def readable(self):
        """Whose pages may read answers, and whether the browser's own sign-in is sent along."""
        headers = self.origins[API_FAMILY.name].headers
        credentials = headers.get("Access-Control-Allow-Credentials", "") == "true"
        return headers.get("Access-Control-Allow-Origin", ""), credentials

    @property
    def unguarded(self):
        """Whether nothing of MLflow's browser defences shows: they are off, or the version has none."""
        answer = self.origins[API_FAMILY.name]
        let_in = is_let_in(answer) and is_let_in(self.hosts[API_FAMILY.name])
        return let_in and "X-Content-Type-Options" not in answer.headers


@pytest.fixture(scope="module")
def doorways(stack, probe):
    """The server's URL and each public URL that is reached from here."""
    found = []
    for url in dict.fromkeys((probe.uri, *stack.public_urls)):
        door, asked = probe.fresh(url), BROWSER_FAMILIES if url == probe.uri else (API_FAMILY,)
        one = Doorway(url)
        try:
            for family in asked:
                method, path, options = family.make_request()
                for answers, header in ((one.hosts, {"Host": FOREIGN_HOST}), (one.origins, {"Origin": FOREIGN_ORIGIN})):
                    answers[family.name] = door.request(method, path, **{**options, "headers": header}, timeout=SECONDS)
        except (Finding, NotProven):
            if url == probe.uri:
                raise
            continue
        found.append(one)
    return found


def find_let_in(doorways, kind):
    """{where: status} of each family that a foreign name or page was let in to; the answer may hold what is others'."""
    return {
        f"{name} at {one.url}": answer.status_code
        for one in doorways
        for name, answer in getattr(one, kind).items()
        if is_let_in(answer)
    }


def find_common_cause(doorways, cause):
    return CauseId.SERVER_NO_DEFENCES if doorways[0].unguarded else cause


def is_harmless(stack, url):
    """Whether a name that leads elsewhere gives nothing away: the certificate or the sign-in stops the page."""
    return urlsplit(url).scheme == "https" or stack.sign_in not in (SignIn.NONE, SignIn.UNKNOWN)


def test_a_foreign_host_name_is_refused(stack, doorways, note):
    """A page whose name is led to this server (DNS rebinding) reads and deletes in the browser of whoever opens it.

    Remedy: name the server's hosts in MLFLOW_SERVER_ALLOWED_HOSTS (or --allowed-hosts), without `*`; let a proxy in
    front pass on the Host that it got, or refuse names that are not its own (nginx: a default server with return 444).
    """
    let_in = find_let_in(doorways, "hosts")
    harmless = [one.url for one in doorways if is_harmless(stack, one.url)]
    for where in [w for w in let_in if w.rpartition(" at ")[2] in harmless]:
        note(f"{where} answers to the host name {FOREIGN_HOST}; TLS or the sign-in makes that harmless")
        del let_in[where]
    cause = find_common_cause(doorways, CauseId.SERVER_ANY_HOST)
    what = f"Host: {FOREIGN_HOST} with {', '.join(let_in)}"
    expect_that(not let_in, what, "refused", let_in, cause=cause, cases=let_in)


def test_a_host_name_that_begins_like_an_address_is_refused(stack, probe, doorways, note):
    """MLflow's default list has `10.*` for private addresses, and lets in the foreign name 10.evil.example, too.

    Remedy: name the server's hosts in MLFLOW_SERVER_ALLOWED_HOSTS (or --allowed-hosts) without patterns such as `10.*`;
    the list replaces MLflow's default, so name localhost with its port, too, if it is used.
    """
    method, path, options = API_FAMILY.make_request()
    let_in = {}
    for name in ADDRESS_LIKE:
        answer = probe.request(method, path, **{**options, "headers": {"Host": name}})
        if is_let_in(answer):
            let_in[name] = answer.status_code
    if let_in and is_harmless(stack, probe.uri):
        note(f"{probe.uri} answers to the host names {', '.join(let_in)}; TLS or the sign-in makes that harmless")
        return
    any_host = is_let_in(doorways[0].hosts[API_FAMILY.name])
    cause = find_common_cause(doorways, CauseId.SERVER_ANY_HOST if any_host else None)
    expect_that(not let_in, f"Host: {', '.join(let_in)} at {probe.uri}", "refused", let_in, cause=cause, cases=let_in)


def test_a_post_from_a_foreign_page_is_refused(doorways):
    """A page of somebody else, open in the browser of a user, must not write with that user's rights.

    Remedy: name the pages' origins in MLFLOW_SERVER_CORS_ALLOWED_ORIGINS (or --cors-allowed-origins), without `*`;
    leave out --disable-security-middleware; let the proxy in front pass on the header Origin. MLflow before 3.10
    asks for it on /api only: upgrade.
    """
    let_in = find_let_in(doorways, "origins")
    cause = find_common_cause(doorways, CauseId.SERVER_ANY_ORIGIN)
    what = f"Origin: {FOREIGN_ORIGIN} with {', '.join(let_in)}"
    expect_that(not let_in, what, "refused", let_in, cause=cause, cases=let_in)


def test_a_foreign_page_cannot_read_answers(stack, doorways, note):
    """If answers carry Access-Control-Allow-Origin for anybody, each page that a user opens reads what the user may.

    Remedy: name the pages' origins in MLFLOW_SERVER_CORS_ALLOWED_ORIGINS (or --cors-allowed-origins), without `*`; let
    the proxy in front add no Access-Control-Allow headers of its own. MLflow before 3.10 sets `*` by itself: upgrade.
    """
    wide = {}
    for one in doorways:
        origin, credentials = one.readable
        if origin == FOREIGN_ORIGIN or (origin == "*" and not is_harmless(stack, "")):
            wide[one.url] = f"Access-Control-Allow-Origin: {origin}{', with credentials' if credentials else ''}"
        elif origin == "*":
            note(f"{one.url}: Access-Control-Allow-Origin: *; browsers send no sign-in along, so nothing is read")
    what = f"answers to pages of {FOREIGN_ORIGIN} at {', '.join(wide)}"
    expect_that(not wide, what, "not readable", wide, cause=CauseId.SERVER_ANY_ORIGIN, cases=wide)


def test_no_foreign_page_shows_this_one_in_a_frame(probe, doorways):
    """In a frame of a foreign page a user's clicks go where that page wants; a guessed type can make a file a script.

    Remedy: leave MLFLOW_SERVER_X_FRAME_OPTIONS at SAMEORIGIN (or DENY); let the proxy in front keep X-Frame-Options and
    X-Content-Type-Options, or set a Content-Security-Policy with frame-ancestors.
    """
    answer = probe.get("/")
    if answer.status_code != 200 or not is_html(answer):
        raise OutOfScope(Lack.PAGE, f"GET /: {describe_answer(answer)}")
    given = {name.lower(): value.lower() for name, value in answer.headers.items()}
    framed = given.get("x-frame-options", "") not in ("deny", "sameorigin")
    missing = ["X-Frame-Options"] * (framed and "frame-ancestors" not in given.get("content-security-policy", ""))
    missing += ["X-Content-Type-Options"] * (given.get("x-content-type-options", "") != "nosniff")
    what = f"headers of the page {probe.uri}/"
    seen = f"without {', '.join(missing)}"
    cause = find_common_cause(doorways, None)
    expect_that(not missing, what, "SAMEORIGIN and nosniff", seen, cause=cause, cases=missing)
