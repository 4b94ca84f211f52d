"""The export: its manifest, the same bytes again, every change noticed, nothing half-written."""

import hashlib
import json
from types import SimpleNamespace

import pytest

from fixtures.workflow import export
from fixtures.workflow.errors import StoredDiffers, WorkflowError
from fixtures.workflow.versions import ModelVersion, StageOrAlias

FILES = {"model/MLmodel": b"flavors: {}\n", "model/model.pkl": bytes(range(256)), "artifacts/report/report.json": b"{}"}
VERSION = ModelVersion("fraud", "3", "r1", "Production", ("champion",), 1_700_000_000_123, {}, "models:/m-1")
CHAMPION = StageOrAlias("alias", "champion")


def client(**tags):
    """A registry whose one run has params, metrics and `tags`."""
    data = SimpleNamespace(
        params={"trees": "20", "depth": "6"},
        metrics={"recall": 0.9, "auc_roc": float("nan")},
        tags={"mlflow.source.git.commit": "4f9c0e1d", **tags},
    )
    return SimpleNamespace(
        get_run=lambda run_id: SimpleNamespace(
            data=data, info=SimpleNamespace(run_id=run_id, artifact_uri="mlflow-artifacts:/0")
        )
    )


@pytest.fixture(autouse=True)
def store(monkeypatch):
    """What the artifact store has, instead of a server; change it to tamper with it."""
    files = dict(FILES)

    def fetch(client, version, root, folder):
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)

    monkeypatch.setattr(export, "fetch_files", fetch)
    return files


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_manifest(tmp_path):
    """It has the promised fields, no others, and hash and size of every file."""
    done = export.export_version(client(), VERSION, CHAMPION, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(), parse_constant=pytest.fail)
    files = [
        {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for path, content in sorted(FILES.items())
    ]
    assert manifest == {
        "model": "fraud",
        "version": "3",
        "alias": "champion",
        "run_id": "r1",
        "git_sha": "4f9c0e1d",
        "params": {"trees": "20", "depth": "6"},
        "metrics": {"recall": 0.9, "auc_roc": "nan"},
        "created": "2023-11-14T22:13:20.123+00:00",
        "files": files,
    }
    assert tree(tmp_path / "out").keys() == {*FILES, "manifest.json"}
    assert not done.unchanged


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (StageOrAlias("stage", "Production"), {"stage": "Production"}),
        (None, {"stage": "Production"}),
        (CHAMPION, {"alias": "champion"}),
    ],
)
def test_stage_or_alias(target, field, tmp_path):
    """The manifest names that by which the version was asked for; by number, its stage."""
    manifest = export.export_version(client(), VERSION, target, tmp_path / "out").manifest
    assert {k: v for k, v in manifest.items() if k in ("stage", "alias")} == field


def test_again_gives_the_same_bytes(tmp_path):
    """Into another folder the same bytes; into the same one, nothing is touched."""
    for name in ("one", "two"):
        export.export_version(client(), VERSION, CHAMPION, tmp_path / name)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "one").rglob("*")}
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert export.export_version(client(), VERSION, CHAMPION, tmp_path / "one").unchanged
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "one").rglob("*")} == before


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    export.export_version(client(), VERSION, CHAMPION, tmp_path / "out")
    assert export.verify_export(tmp_path / "out") == []


def test_another_folder_is_refused(tmp_path):
    """A folder with other files stays as it is."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(WorkflowError, match=r"not empty, .*missing"):
        export.export_version(client(), VERSION, CHAMPION, tmp_path)
    assert tree(tmp_path) == {"mine.txt": b"mine"}


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(WorkflowError, match="a file"):
        export.export_version(client(), VERSION, CHAMPION, tmp_path / "out")


def test_nothing_is_left_when_it_fails(tmp_path, monkeypatch):
    """Neither the folder, nor what was made aside, nor the folders above it."""
    monkeypatch.setattr(export.shutil, "copytree", lambda made, part: (part.mkdir(), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        export.export_version(client(), VERSION, CHAMPION, tmp_path / "a" / "b" / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkflowError, match="out cannot be written: "):
        export.export_version(client(), VERSION, CHAMPION, tmp_path / "file" / "out")


def test_files_changed_in_the_store_are_noticed(tmp_path, store):
    """The training logged a digest of what it stored; other bytes are not exported."""
    export.export_version(client(), VERSION, CHAMPION, tmp_path / "first")
    logged = client(model_sha256=export.digest_files(export.list_files(tmp_path / "first" / "model")))
    export.export_version(logged, VERSION, CHAMPION, tmp_path / "same")
    store["model/model.pkl"] = bytes(reversed(range(256)))
    with pytest.raises(StoredDiffers, match="are not those that its training stored"):
        export.export_version(logged, VERSION, CHAMPION, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("model/model.pkl", bytes(reversed(range(256))), "model/model.pkl was changed"),
        ("model/MLmodel", b"", "model/MLmodel was changed"),
        ("model/MLmodel", None, "model/MLmodel is missing"),
        ("model/added.py", b"import os", "model/added.py does not belong to it"),
    ],
)
def test_verify_notices(path, content, says, tmp_path):
    """A file that was changed (also with its size kept), removed or added is named."""
    export.export_version(client(), VERSION, CHAMPION, tmp_path / "out")
    file = tmp_path / "out" / path
    file.unlink() if content is None else file.write_bytes(content)
    (line,) = export.verify_export(tmp_path / "out")
    assert line.startswith(says)
    with pytest.raises(WorkflowError, match=says):  # nor is it taken for the same export
        export.export_version(client(), VERSION, CHAMPION, tmp_path / "out")


def test_a_wrong_hash_in_the_manifest_is_noticed(tmp_path):
    export.export_version(client(), VERSION, CHAMPION, tmp_path / "out")
    file = tmp_path / "out" / "manifest.json"
    file.write_text(file.read_text().replace(hashlib.sha256(FILES["model/MLmodel"]).hexdigest(), "0" * 64))
    assert [line.split()[0] for line in export.verify_export(tmp_path / "out")] == ["model/MLmodel"]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"files": [{"path": "x"}]}', '{"files": 3}'])
def test_verify_without_a_manifest(text, tmp_path):
    """Not a list of changes but one line: this is no export."""
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(WorkflowError, match=r"manifest\.json"):
        export.verify_export(tmp_path)


def test_a_version_without_a_run_is_refused(tmp_path):
    orphan = ModelVersion("fraud", "3", "", "None", (), 0, {}, "s3://elsewhere")
    with pytest.raises(WorkflowError, match="has no run"):
        export.export_version(client(), orphan, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


OLDER = ModelVersion("fraud", "2", "r1", "Archived", (), 1_600_000_000_000, {}, "models:/m-0")


def test_an_older_export_gives_way_if_asked(tmp_path, store):
    out = tmp_path / "out"
    export.export_version(client(), OLDER, None, out)
    with pytest.raises(WorkflowError, match="not this export"):
        export.export_version(client(), VERSION, CHAMPION, out)
    store["model/new.bin"] = b"new"
    done = export.export_version(client(), VERSION, CHAMPION, out, replace=True)
    assert (done.unchanged, export.read_manifest(out)["version"]) == (False, "3")
    assert export.verify_export(out) == [] and tree(out)["model/new.bin"] == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert export.export_version(client(), VERSION, CHAMPION, out, replace=True).unchanged


@pytest.mark.parametrize("exchanged", [True, False], ids=["at once", "in two steps"])
def test_a_replacement_that_fails_leaves_the_old_one(tmp_path, monkeypatch, exchanged):
    out = tmp_path / "out"
    export.export_version(client(), OLDER, None, out)
    before = tree(out)
    if not exchanged:
        monkeypatch.setattr("fixtures.workflow.output.exchange_paths", lambda one, other: False)
    with monkeypatch.context() as patch:
        patch.setattr("fixtures.workflow.output.shutil.copytree", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(WorkflowError, match="cannot be replaced: full"):
            export.export_version(client(), VERSION, CHAMPION, out, replace=True)
    assert tree(out) == before and [path.name for path in tmp_path.iterdir()] == ["out"]
    export.export_version(client(), VERSION, CHAMPION, out, replace=True)
    assert export.read_manifest(out)["version"] == "3" and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_foreign_is_replaced(tmp_path):
    out = tmp_path / "out"
    export.export_version(client(), OLDER, None, out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(WorkflowError, match=r"notes\.txt does not belong to it"):
        export.export_version(client(), VERSION, CHAMPION, out, replace=True)
    (out / "notes.txt").unlink()
    other = ModelVersion("other", "1", "r1", "None", (), 1, {}, "")
    with pytest.raises(WorkflowError, match="an export of 'fraud', not of 'other'"):
        export.export_version(client(), other, None, out, replace=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(WorkflowError, match="manifest"):
        export.export_version(client(), VERSION, CHAMPION, tmp_path / "full", replace=True)
