"""The page without a browser (F75, F76): it opens, and whatever it loads is there, of the right type, and not HTML."""

import itertools
import math
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import pytest
from requests import Response

from fixtures.clients.rest import parse_body
from fixtures.clients.routes import describe_answer, is_html, is_sign_in, read_json_path
from fixtures.core.outcomes import Finding, Lack, NotProven, OutOfScope, expect_that

pytestmark = pytest.mark.read_only
MANIFEST = "/static-files/asset-manifest.json"  # names everything that the page may load
FETCHED, FEWEST = 10, 4  # scripts that are fetched whole, and styles; on a slow server fewer of each
HEAD_SECONDS, AT_ONCE = 5, 4  # the others by HEAD; on a slow server fewer are asked for, and a note says how many
NO_HEAD = (403, 405, 501)
CONNECT_SECONDS, ANSWER_SECONDS = 5, 45


@dataclass(frozen=True)
class Page:
    """The page at `url`: what it names, as paths below `url`."""

    url: str
    scripts: tuple[str, ...]
    styles: tuple[str, ...]


def read_page(url: str, answer: Response) -> Page:
    """The page in `answer`, which came from `url` with a slash at its end.

    Raises:
        OutOfScope: if it is a sign-in.
        Finding: if it is no page of MLflow's.
    """
    if is_sign_in(answer):
        raise OutOfScope(Lack.PAGE, f"{url}/: {answer.status_code}, a sign-in for browsers")
    tags = re.findall(r"<(?:script|link)\b[^>]*>", answer.text) if answer.status_code == 200 and is_html(answer) else []
    named = [(tag, found[1]) for tag in tags if (found := re.search(r"""(?:src|href)=["']?([^"' >]+)""", tag))]
    scripts = [name for tag, name in named if tag.startswith("<script")]
    styles = [name for tag, name in named if "stylesheet" in tag]
    root = re.search(r"""id=["']?root\b""", answer.text)
    expect_that(scripts and root, f"GET {url}/", "MLflow's page, which names its script", describe_answer(answer))
    return Page(url, tuple(resolve_name(url, name) for name in scripts), tuple(resolve_name(url, n) for n in styles))


def resolve_name(url, name):
    """The path below `url` of what a page at `url`/ calls `name`; a browser finds it nowhere else."""
    full = urljoin(f"{url}/", name)
    expect_that(full.startswith(f"{url}/"), f"{name!r} on the page {url}/", f"something below {url}/", full)
    return full.removeprefix(url)


def find_fault(path, answer):
    """What is wrong with a script or style, in one line; None if nothing is."""
    kind, wanted = answer.headers.get("Content-Type", ""), "css" if path.endswith(".css") else "javascript"
    if answer.status_code != 200 or is_html(answer):
        return f"{path}: {describe_answer(answer)}"
    # Browsers take a script of any type, unless the server says that types are meant; a style never.
    if wanted not in kind and (wanted == "css" or answer.headers.get("X-Content-Type-Options", "") == "nosniff"):
        return f"{path}: type {kind or 'none'}, which no browser takes for {wanted}"
    return f"{path}: no bytes" if answer.request.method != "HEAD" and not answer.content else None


def refuse_faults(what, faults, asked):
    if faults := list(filter(None, faults)):
        raise Finding(what, f"{asked} scripts and styles", f"{len(faults)} are wrong: {'; '.join(faults[:3])}")


@pytest.fixture(scope="module")
def assets(probe, stack, run_prefix):
    """(what is fetched whole, other scripts) that the page may load, by chance; empty if nobody lists them."""
    files = read_json_path(parse_body(probe.get(MANIFEST)), ("files",)) or {}
    scripts, styles = (sorted(path for path in files.values() if path.endswith(end)) for end in (".js", ".css"))
    for paths in (scripts, styles):
        random.Random(run_prefix).shuffle(paths)
    fetched = stack.speed.scale_count(FETCHED, FEWEST)
    return [*styles[: stack.speed.scale_count(len(styles), FEWEST)], *scripts[:fetched]], scripts[fetched:]


def test_the_page_opens_with_its_scripts_and_styles(probe, assets, note):
    """A page whose script or style is missing, cut, or answered with HTML stays white for everybody.

    Remedy: let /static-files/ pass as it is, below the path of the server's URL; look for a proxy that answers its
    start page for what it does not know, changes types, or caches another version; replicas must run one version.
    """
    page, (fetched, _) = read_page(probe.uri, probe.get("/")), assets
    if not fetched:
        note(f"{MANIFEST} does not answer: only what the page names was looked at")
    paths = list(dict.fromkeys([*page.scripts, *page.styles, *fetched]))
    faults = [find_fault(path, answer) for path, answer in ask_each(probe, "GET", paths)]
    refuse_faults(f"GET of what {page.url}/ loads", faults, len(paths))


def test_no_script_of_the_page_is_missing(probe, assets, note):
    """Each view of the page loads scripts of its own: one that is missing leaves that view empty.

    Remedy: all replicas behind the address must run one version of MLflow; purge caches in front after an upgrade.
    """
    paths = assets[1]
    if not paths:
        raise OutOfScope(Lack.PAGE, f"{MANIFEST} lists no scripts")
    answers = ask_each(probe, "HEAD", paths, HEAD_SECONDS)
    if len(answers) < len(paths):
        note(f"{len(answers)} of {len(paths)} scripts were asked for in {HEAD_SECONDS} s, chosen by chance")
    if all(answer.status_code in NO_HEAD for _, answer in answers):
        raise OutOfScope(Lack.PAGE, "HEAD is not answered here: most scripts of the page were not asked for")
    refuse_faults("HEAD of the page's scripts", itertools.starmap(find_fault, answers), len(answers))


def ask_each(probe, method, paths, seconds=math.inf):
    """(path, answer) of each path that is asked for within `seconds`."""
    end = time.monotonic() + seconds

    def ask(path):
        return (path, probe.fresh().request(method, path)) if time.monotonic() < end else None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(filter(None, pool.map(ask, paths)))


@pytest.mark.requires("public-url")
def test_the_page_opens_under_each_public_url(stack, probe, note):
    """People open the public URL, with its host name and path, which the address that scripts use need not have.

    Remedy: the proxy for that URL must pass /static-files/ below its path, and add the slash at the path's end.
    """
    faults, closed = [], []
    for url in stack.public_urls:
        if url == probe.uri:
            continue
        public = probe.fresh(url)
        try:
            answer = public.get("/", timeout=(CONNECT_SECONDS, ANSWER_SECONDS))
        except (Finding, NotProven) as error:
            note(f"{url} is not reached from here, the page was not looked at there: {error}")
            continue
        try:
            page = read_page(url, answer)
        except OutOfScope as sign_in:
            closed.append(str(sign_in))
            continue
        faults += [find_fault(path, ask_head(public, path)) for path in (*page.scripts, *page.styles)]
        if urlsplit(url).path and is_html(bare := public.get("")) and bare.status_code == 200:
            note(f"{url} without a slash at its end opens a page that does not find its scripts; redirect it")
    refuse_faults("HEAD of what the page loads under its public URLs", faults, "all")
    if closed:
        raise OutOfScope(Lack.PAGE, "; ".join(closed))


def ask_head(server, path):
    """The answer to HEAD, or to GET if a server or proxy knows no HEAD, which no browser sends."""
    answer = server.request("HEAD", path)
    return server.get(path) if answer.status_code in NO_HEAD else answer
