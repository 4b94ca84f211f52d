"""Claims and objects side by side, on plain data: what is matched, what is a fault, what a sample shows."""

import json
from datetime import UTC, datetime
from itertools import islice

import pytest

from fixtures.tools.stored_data.claims import Claim, ClaimKind, list_needs_of_run, make_claim, order_of_key
from fixtures.tools.stored_data.inspection import find_model_faults, find_trace_faults
from fixtures.tools.stored_data.listing import StoredObject, find_unit
from fixtures.tools.stored_data.matching import Holding, StrayObject, match_streams
from fixtures.tools.stored_data.resume import RESUME_FILE, ResumePoint, read_resume_point, save_resume_point
from fixtures.tools.stored_data.tally import MOST_SHOWN, DataTally, GroupedCount

RUN, NOW = "a" * 32, datetime.now(UTC)


def claim(root, kind=ClaimKind.RUN, required=False, **more):
    return Claim(root, kind, root, "1", 0, required, **more)


def stored(*keys, size=1):
    return [StoredObject(key, size, NOW) for key in keys]


def matched(roots, keys):
    """(root -> number of objects, keys of strays) of these claims and objects, in the order of the streams."""
    claims = [claim(root) for root in sorted(roots, key=order_of_key)]
    found = list(match_streams(claims, stored(*sorted(keys, key=order_of_key))))
    strays = [one.found.key for one in found if isinstance(one, StrayObject)]
    return {one.claim.root: one.objects for one in found if isinstance(one, Holding)}, strays


def test_each_claim_has_its_objects_and_the_rest_are_strays():
    roots = ["p/1/a/artifacts", "p/1/b/artifacts", "p/10/c/artifacts", "p/2/d/artifacts"]
    keys = ["p/1/a/artifacts/x", "p/1/a/artifacts/y/z", "p/1/x", "p/10/c/artifacts/x", "p/3/e/artifacts/x", "a/b"]
    held, strays = matched(roots, keys)
    assert held == {roots[0]: 2, roots[1]: 0, roots[2]: 1, roots[3]: 0}
    assert sorted(strays) == ["a/b", "p/1/x", "p/3/e/artifacts/x"]


def test_neighbours_whose_names_begin_alike_are_told_apart():
    held, strays = matched(["m/a", "m/a-b", "m/a.c"], ["m/a/1", "m/a-b/1", "m/a-b/2", "m/a.c/1", "m/ab/1"])
    assert (held, strays) == ({"m/a": 1, "m/a-b": 2, "m/a.c": 1}, ["m/ab/1"])


def test_claims_within_claims_share_objects():
    """A version of a client before MLflow 3 lies in its run's folder; two versions may have one place."""
    claims = [
        claim("1/r/artifacts"),
        claim("1/r/artifacts/model"),
        claim("1/r/artifacts/model"),
        claim("1/s/artifacts"),
    ]
    found = list(match_streams(claims, stored("1/r/artifacts/a", "1/r/artifacts/model/MLmodel", "1/s/artifacts/b")))
    assert [(one.claim.root, one.objects) for one in found] == [
        ("1/r/artifacts/model", 1),
        ("1/r/artifacts/model", 1),
        ("1/r/artifacts", 2),
        ("1/s/artifacts", 1),
    ]
    assert [one.outermost for one in found] == [False, False, True, True]


def test_streams_are_read_as_they_come():
    """After any number of objects only those of the claims under way are in memory."""
    read = []

    def claims():
        for number in range(10**6):
            read.append(number)
            yield claim(f"{number:07}")

    objects = (StoredObject(f"{number:07}/x", 1, NOW) for number in range(10**6))
    assert [one.objects for one in islice(match_streams(claims(), objects), 3)] == [1, 1, 1]
    assert len(read) < 10


def test_faults_of_a_claim():
    holding = Holding(claim("r", required=True, needs=("t.json", "images")))
    assert holding.find_faults() == ["no object"]
    for one in stored("r/t.json", "r/images-of-me/x"):
        holding.add(one)
    assert holding.find_faults() == ["images is missing"]
    model = Holding(claim("m", ClaimKind.LOGGED_MODEL, required=True))
    for one in stored("m/weights.bin"):
        model.add(one)
    assert model.find_faults() == []
    for one in stored("m/conda.yaml"):
        model.add(one)
    assert model.find_faults() == ["MLmodel is missing"]
    for one in stored("m/MLmodel", size=0):
        model.add(one)
    assert model.find_faults() == ["MLmodel is empty"]
    assert Holding(claim("r")).find_faults() == []


@pytest.mark.parametrize(
    ("key", "root", "experiment"),
    [
        (f"artifacts/12/{RUN}/artifacts/a/b", f"artifacts/12/{RUN}/artifacts", "12"),
        (f"12/models/m-{RUN}/artifacts/MLmodel", f"12/models/m-{RUN}/artifacts", "12"),
        (f"team/x/traces/tr-{RUN}/artifacts/traces.json", f"team/x/traces/tr-{RUN}/artifacts", "x"),
        (f"1/{RUN}/artifacts/{RUN}/artifacts/a", f"1/{RUN}/artifacts", "1"),
        (f"{RUN}/artifacts/a", f"{RUN}/artifacts", ""),
        (f"12/{RUN}/other/a", None, None),
        ("12/report.html", None, None),
    ],
)
def test_keys_say_whose_they_are(key, root, experiment):
    found = find_unit(key)
    assert (found and found.root, found and found.experiment) == (root, experiment)


@pytest.mark.parametrize(
    ("tags", "needs"),
    [
        ({"mlflow.loggedArtifacts": '[{"path": "t.json", "type": "table"}, {"path": "t.json"}]'}, ["t.json"]),
        ({"mlflow.loggedImages": "True"}, ["images"]),
        (
            {"mlflow.log-model.history": '[{"artifact_path": "model"}, {"artifact_path": "b", "model_id": "m"}]'},
            ["model"],
        ),
        ({"mlflow.log-model.history": '[{"artifact_path": "mod'}, []),
        ({"mlflow.loggedArtifacts": "7"}, []),
        ({"mlflow.loggedArtifacts": '[{"path": 7}, "x", {"path": "/"}]'}, []),
        ({}, []),
    ],
)
def test_tags_of_a_run_name_files(tags, needs):
    assert list_needs_of_run(tags) == needs


def test_rows_become_claims():
    trace = make_claim("r", ClaimKind.TRACE, "tr-1", "1", None, True, {"spans": "3"})
    assert (trace.needs, trace.spans, trace.made) == (("traces.json",), 3, 0)
    assert make_claim("r", ClaimKind.TRACE, "tr-1", "1", 1, True, {"archive": True}).needs == ("traces.pb",)
    assert make_claim("r", ClaimKind.TRACE, "tr-1", "1", 1, None, {"spans": None}).needs == ()
    run = make_claim("r", ClaimKind.RUN, "a", "1", 1, False, {"mlflow.loggedImages": "true"})
    assert (run.required, run.needs) == (True, ("images",))
    version = make_claim("r", ClaimKind.MODEL_VERSION, "m 1", "m", 1, True, {"aliases": "a,b", "digest": None})
    assert str(version) == "model version m 1 (@a, @b)"


def test_a_models_folder_is_held_to_its_mlmodel():
    content = b"flavors:\n  python_function: {data: model.bin, env: {conda: conda.yaml}}\nmodel_size_bytes: 100\n"
    whole = {"MLmodel": 80, "model.bin": 90, "conda.yaml": 20}
    assert list(find_model_faults(content, whole)) == []
    assert list(find_model_faults(content, whole | {"model.bin": 10})) == [
        "30 bytes in 3 files, MLmodel says at least 100"
    ]
    lost = {"MLmodel": 80, "conda.yaml": 200}
    assert list(find_model_faults(content, lost)) == ["model.bin is missing, MLmodel names it"]
    assert list(find_model_faults(content, {"MLmodel": 80, "model.bin/x": 90, "conda.yaml": 20})) == []
    for cut in (b"", b"flavors", b"{", b"a: 1", None):
        assert list(find_model_faults(cut, whole)) == ["MLmodel cannot be read"]
    assert list(find_model_faults(b"flavors: {}\n", whole)) == []


def test_a_traces_file_is_held_to_its_row():
    assert list(find_trace_faults(b'{"spans": [1, 2]}', 2)) == []
    assert list(find_trace_faults(b'{"spans": [1, 2]}', None)) == []
    assert list(find_trace_faults(b'{"spans": [1]}', 2)) == ["traces.json has 1 spans, the database says 2"]
    for cut in (b'{"spans": [1', b"", b"[]", None):
        assert list(find_trace_faults(cut, 2)) == ["traces.json cannot be read"]


def test_a_sample_depends_on_the_seed_and_not_on_the_order():
    def sample(seed, keys):
        tally = DataTally(seed=seed, most=5)
        for key in keys:
            tally.sample_file(key, 1)
        return sorted(one.key for _, one in tally.files)

    keys = [f"k{number}" for number in range(300)]
    assert sample(1, keys) == sample(1, keys[::-1]) == sample(1, keys + keys)
    assert len(sample(1, keys)) == 5
    assert sample(1, keys) != sample(2, keys)


def test_counts_stay_small():
    counted = GroupedCount()
    for number in range(20_000):
        counted.add(str(number), "under a day", f"example {number}", 10)
    assert (counted.total, counted.bytes, len(counted.examples)) == (20_000, 200_000, MOST_SHOWN)
    assert len(counted.groups) < 10_002
    assert counted.describe_groups(1) == "others (10000 under a day) and 10000 more"


def test_a_resume_point_comes_back(tmp_path):
    tally = DataTally(seed=3, most=7)
    tally.sample_file("k", 2)
    tally.add_fault(claim("r"), ["no object"])
    save_resume_point(tmp_path, ResumePoint("s", "r", tally))
    found = read_resume_point(tmp_path, "s", 3, 7)
    assert (found.root, found.tally.files, found.tally.faults["run"].total) == ("r", tally.files, 1)
    found.tally.sample_file("k2", 1)
    assert (tmp_path / RESUME_FILE).stat().st_mode & 0o077 == 0
    for server, seed, word in (("other", 3, "another server, s"), ("s", 4, "--verify-sample 7:3")):
        with pytest.raises(ValueError, match=word):
            read_resume_point(tmp_path, server, seed, 7)


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"server": "s"}), '{"server": "s", "root": 7, "tally": 1}'])
def test_a_resume_file_that_is_none_is_one_line(tmp_path, content):
    (tmp_path / RESUME_FILE).write_text(content)
    with pytest.raises(ValueError, match="is not what an interrupted verification has written; remove the file"):
        read_resume_point(tmp_path, "s", 0, 50)
    assert read_resume_point(tmp_path / "none", "s", 0, 50) is None
