"""Artifacts: files of every size and name come back byte by byte, through MLflow and in the bucket."""

import json
import random
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from botocore.exceptions import NoCredentialsError
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from fixtures.clients.doors import describe_bytes
from fixtures.clients.mlflow_errors import find_symptom
from fixtures.core.outcomes import Finding, NotProven, Symptom, expect, expect_that, shorten_text

MIB = 1 << 20
SIZES = (0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB + 1)
NAMES = ["a b.txt", "a+b.txt", "a&b=c.txt", "100%.txt", "a,b;c@d.txt", "[x](y){z}~$!.txt", ".hidden", 'it\'s "x".txt']
WIDE_NAMES = ["ü.txt", "日本語.txt", "😀.txt", "ordner ü/файл.txt"]
MANGLED = ["a#b.txt", "a?b.txt", "a%20b.txt"]
LARGE = 8 * MIB  # test_sizes.py sends a larger one, one way


def content(size, seed=0):
    """Bytes that no compression, shift or swap leaves alike."""
    return random.Random(f"{seed}/{size}").randbytes(size)


@dataclass(frozen=True)
class Files:
    """Artifacts moved by the MLflow client; single files by its store, which needs no look at the run."""

    client: Any
    api: Any
    folder: Path

    def put(self, run: str, name: str, data: bytes) -> None:
        parent, _, leaf = name.rpartition("/")
        local = self.new() / leaf
        local.write_bytes(data)
        with keys():
            self.store(run).log_artifact(str(local), parent or None)

    def put_all(self, run: str, contents: dict[str, bytes]) -> None:
        """Log a folder of these files: name -> content."""
        local = self.new()
        for name, data in contents.items():
            (local / name).parent.mkdir(parents=True, exist_ok=True)
            (local / name).write_bytes(data)
        with keys():
            self.client.log_artifacts(run, str(local))

    def get_all(self, run: str, path: str = "") -> dict[str, bytes]:
        """Everything below `path`, downloaded as a folder: name below it -> content."""
        with keys():
            down = Path(self.client.download_artifacts(run, path, str(self.new())))
        return {p.relative_to(down).as_posix(): p.read_bytes() for p in down.rglob("*") if p.is_file()}

    def get(self, run: str, name: str) -> bytes:
        with keys():
            return Path(self.store(run).download_artifacts(name, str(self.new()))).read_bytes()

    def tree(self, run: str, path: str | None = None) -> dict[str, int | None]:
        """Everything under `path`: name -> size, None for a folder."""
        found: dict[str, int | None] = {}
        with keys():
            for item in self.store(run).list_artifacts(path):
                found[item.path] = None if item.is_dir else item.file_size or 0  # 0 is left out on the wire
                found |= self.tree(run, item.path) if item.is_dir else {}
        return found

    def store(self, run: str) -> Any:
        """The client's store of the run's artifacts. MlflowClient asks for logged models, too (not before MLflow 3)."""
        return get_artifact_repository(self.api.artifact_uri(run))

    def new(self) -> Path:
        """A fresh folder of ours."""
        made = self.folder / str(len(list(self.folder.iterdir())))
        made.mkdir()
        return made


@contextmanager
def keys():
    """A server that does not proxy artifacts sends clients to the bucket: without keys nothing is known about it."""
    try:
        yield
    except NoCredentialsError:
        raise NotProven(
            "artifacts lie in S3 directly and no keys are set; set AWS_ACCESS_KEY_ID and the like"
        ) from None


@pytest.fixture
def files(mlflow_client, api, tmp_path):
    """Artifacts moved by the MLflow client."""
    return Files(mlflow_client, api, tmp_path)


def comes_back(api, files, doors, run, name, data, why=""):
    """Finding unless the client, the server itself and the bucket give these bytes for `name`."""
    what = f"{name} of run {run}{why}"
    expect(f"{what}, downloaded by the client", describe_bytes(files.get(run, name)), describe_bytes(data))
    is_served(api, doors, run, name, data, what)


def is_served(api, doors, run, name, data, what):
    """Finding unless the server itself and the bucket give these bytes for `name`."""
    # Clients from 3.17 on may fetch from the bucket by a presigned URL; browsers and other clients do not.
    route = api.artifact_route(run, name)
    if route is not None:
        answer = api.probe.get(route)
        seen = (
            describe_bytes(answer.content)
            if answer.status_code == 200
            else f"{answer.status_code} {shorten_text(answer.text, 200)}"
        )
        expect(f"{what}, downloaded from the server", seen, describe_bytes(data))
    doors.object_agrees(what, api.artifact_uri(run), name, data)


def come_back(api, files, doors, run, contents):
    """The same of a run's files, logged and fetched as one folder; each is listed with its size."""
    files.put_all(run, contents)
    sizes = {name: len(data) for name, data in contents.items()}
    listed = {name: size for name, size in files.tree(run).items() if size is not None}
    api.agree(f"artifacts of run {run}", sorted(listed.items()), sorted(sizes.items()))
    back = {name: describe_bytes(data) for name, data in files.get_all(run).items()}
    for name, data in contents.items():
        what = f"{name} of run {run}"
        expect(f"{what}, downloaded by the client", back.get(name), describe_bytes(data))
        is_served(api, doors, run, name, data, what)


def test_a_file_of_any_size_comes_back(api, files, make_run, doors):
    """A model file must come back byte by byte, from empty marker files to more than one part of an upload.

    Remedy: a 413 comes from a proxy (client_max_body_size in nginx); a short file from a time-out on the way
    (proxy_read_timeout) or a full temporary disk of the server: see its log for mlflow-artifacts.
    """
    come_back(api, files, doors, make_run(), {f"data-{size}.bin": content(size) for size in SIZES})


def test_a_large_file_comes_back(api, files, make_run, doors):
    """A file of 8 MiB goes up and comes down, past the buffers of proxies and the parts of an upload.

    Remedy: raise client_max_body_size and proxy_read_timeout in nginx (or the ingress's like), and give the server
    temporary disk (TMPDIR) for several times the largest file; see its log for mlflow-artifacts.
    """
    run, data = make_run(), content(LARGE)
    files.put(run, "large/model.bin", data)
    expect(f"artifacts of run {run}", files.tree(run), {"large": None, "large/model.bin": LARGE})
    comes_back(api, files, doors, run, "large/model.bin", data)


def test_a_folder_comes_back_whole(api, files, make_run, doors):
    """A model is a folder: every file of it, nested ones too, is listed with its size and comes back in its place.

    Remedy: list the run's prefix in the bucket; if the listing lacks files there, check the keys' right to list
    (s3:ListBucket) and that the store pages its listings (ListObjectsV2) rightly.
    """
    run = make_run()
    tree = {f"model/file{i:02}.bin": content(100 + i, i) for i in range(4)}
    tree |= {f"model/{deep}/last.bin": content(500, deep) for deep in ("a", "a/b", "a/b/c")}
    files.put_all(run, tree)
    back = [(f"model/{name}", describe_bytes(data)) for name, data in files.get_all(run, "model").items()]
    listed = {name: size for name, size in files.tree(run).items() if size is not None}
    api.agree(f"files of run {run}, listed", sorted(listed.items()), sorted((n, len(d)) for n, d in tree.items()))
    if api.artifact_uri(run).startswith("mlflow-artifacts:"):  # else the server itself may have no keys to the bucket
        shown = api.probe.ask("artifacts/list", {"run_id": run, "path": "model/a"}).get("files", [])
        nested = [(f.get("path"), f.get("is_dir"), int(f.get("file_size", 0))) for f in shown]
        expect(
            f"model/a of run {run}, as the UI lists it",
            sorted(nested),
            [("model/a/b", True, 0), ("model/a/last.bin", False, 500)],
        )
    api.agree(f"files of run {run}, downloaded", sorted(back), sorted((n, describe_bytes(d)) for n, d in tree.items()))
    for name, data in tree.items():
        doors.object_agrees(f"{name} of run {run}", api.artifact_uri(run), name, data)


def test_a_file_keeps_its_name(api, files, make_run, doors):
    """Files with spaces, plus and percent signs are found under the name that they were logged with.

    Remedy: look for a proxy that decodes or merges paths (merge_slashes, a rewrite with a decoded $uri in nginx), and
    list the run's prefix in the bucket.
    """
    come_back(api, files, doors, make_run(), {name: name.encode() * 3 for name in NAMES})


@pytest.mark.known_issue("F22-wide")
def test_a_file_keeps_a_name_of_any_language(api, files, make_run, doors):
    """Files named in any language are found and read under that name.

    Remedy: for a proxied server before MLflow 3.13 use ASCII names or upgrade; else see the server log for the
    download, and look for a proxy that rewrites paths.
    """
    run = make_run()
    try:
        come_back(api, files, doors, run, {name: name.encode() * 3 for name in WIDE_NAMES})
    except MlflowException as error:
        what = f"artifacts {', '.join(WIDE_NAMES)} of run {run}, downloaded from MLflow {api.version}"
        seen, symptom = f"cannot be downloaded: {error}", find_symptom(str(error))
        raise Finding(what, "each as it was logged", seen, symptom=symptom) from None


@pytest.mark.known_issue("F22")
@pytest.mark.parametrize("name", MANGLED)
def test_a_file_with_url_signs_in_its_name_is_kept_or_refused(files, make_run, name):
    """A file whose name has # or ? or %20 in it is kept under it or refused, never stored under another in silence.

    Remedy: leave # ? and % followed by digits out of artifact names; MLflow's client takes them for parts of a URL.
    """
    run, data = make_run(), name.encode() * 3
    try:
        files.put(run, name, data)
    except MlflowException as error:
        expect_that(files.tree(run) == {}, f"artifacts of run {run} after {name!r} was refused", "none", str(error))
        return
    listed = list(files.tree(run))
    try:
        back = files.get(run, name) == data
    except (MlflowException, OSError):
        back = False
    seen = f"listed as {listed}, {'read back' if back else 'not read back'}"
    as_url = unquote(urlsplit(name).path)
    symptom = Symptom.NAME_READ_AS_URL if listed in ([as_url], [name]) else None
    what, expected = f"artifact {name!r} of run {run}", f"listed as {[name]}, read back"
    expect_that(listed == [name] and back, what, expected, seen, symptom=symptom)


def test_a_file_logged_again_has_its_new_content(api, files, make_run, doors):
    """A report or checkpoint that is written again is the new one for every reader at once, also if it is shorter.

    Remedy: look for a cache between clients and server or between server and bucket, and for object locks on
    the bucket.
    """
    run, old, new = make_run(), content(5000, "old"), content(3000, "new")
    files.put(run, "report/last.bin", old)
    expect(f"report/last.bin of run {run}, listed first", files.tree(run, "report"), {"report/last.bin": len(old)})
    comes_back(api, files, doors, run, "report/last.bin", old, ", written first")
    files.put(run, "report/last.bin", new)
    expect(f"report/last.bin of run {run}, listed", files.tree(run, "report"), {"report/last.bin": len(new)})
    comes_back(api, files, doors, run, "report/last.bin", new, ", written again")


def test_files_of_one_name_stay_with_their_runs(api, files, make_run, make_experiment, doors):
    """Every run logs a model.bin: each run lists and gives its own, in one experiment and in two.

    Remedy: compare artifact_uri of the runs named (table runs): they must differ; look for a proxy that caches
    downloads.
    """
    runs = [make_run(), make_run(), make_run(make_experiment())]
    for run in runs:
        files.put_all(run, {"model.bin": run.encode(), f"only-{run}.txt": b"x"})
    for run in runs:
        comes_back(api, files, doors, run, "model.bin", run.encode())
        expect(f"artifacts of run {run}", files.tree(run), {"model.bin": len(run), f"only-{run}.txt": 1})


def test_text_and_json_are_logged_as_written(mlflow_client, files, make_run):
    """Notes, configurations and reports that a job logs with log_text and log_dict are read back as written.

    Remedy: see the server log for mlflow-artifacts; look for a proxy that changes line ends or encodings.
    """
    run, note = make_run(), "Bericht ü 日本\nline two\n\ttab"
    with keys():
        mlflow_client.log_text(run, note, "notes/report.md")
        mlflow_client.log_dict(run, {"threshold": 0.1, "labels": ["ü", None]}, "config.json")
    expect(f"notes/report.md of run {run}", repr(files.get(run, "notes/report.md").decode()), repr(note))
    config = json.loads(files.get(run, "config.json"))
    expect(f"config.json of run {run}", config, {"threshold": 0.1, "labels": ["ü", None]})
