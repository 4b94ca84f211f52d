"""The judges, answers and refusals of a rehearsed upgrade, on plain data."""

import subprocess

import pytest

from fixtures.config.readers import Usage
from fixtures.preflight.schema_heads import find_head_for
from fixtures.tools.rehearse import pairs
from fixtures.tools.rehearse.__main__ import main
from fixtures.tools.rehearse.answers import answer_questions, tabulate_operations
from fixtures.tools.rehearse.catalog_facts import compare_schemas
from fixtures.tools.rehearse.client_frame import LEFT_OUT, REFUSED, UNCLEAR, WORKS, WRONG
from fixtures.tools.rehearse.dump import choose_release, open_as_sql, read_dump
from fixtures.tools.rehearse.judges import SKLEARN, judge_outcome
from fixtures.tools.rehearse.outcome import (
    ClientRun,
    Killed,
    Migration,
    Operation,
    Outcome,
    Scene,
    ServerStart,
    TableLock,
)
from fixtures.tools.rehearse.pages import make_rehearsal_report
from fixtures.verdict.records import Status

OPS = ("create a run", "log a trace", SKLEARN)
SCENES = (Scene.OLD_OLD, Scene.OLD_NEW, Scene.NEW_NEW, Scene.NEW_OLD, Scene.LEFT)
DONE = Migration(0, "", 1.5, 0.5, "new", (TableLock("runs", "AccessExclusiveLock", 0.1, 0.4),))


def run_of(**changed):
    return ClientRun(tuple(Operation(op, changed.get(op.split()[-1], WORKS), "words") for op in OPS), {})


def outcome_of(**changed):
    """A sound rehearsal, but for what is changed."""
    sound = {
        "revision": "old",
        "rows": 10,
        "migration": DONE,
        "again": DONE,
        "writer": Migration(1, "permission denied", 1, 0, "old"),
        "killed": Killed("runs", (), DONE),
        "canary": "",
        "left_start": ServerStart(True, "new"),
        "again_start": ServerStart(False, "new", "no such revision"),
        "unmigrated": ServerStart(False, "old", "out of date"),
        "clients": {scene: run_of() for scene in SCENES},
    }
    return Outcome("3.16.1", "3.17.2", **{**sound, **changed})


def clients_with(scene, **changed):
    return {**outcome_of().clients, scene: run_of(**changed)}


def fallen(outcome, status=Status.FAIL):
    return [record.id.rpartition("::")[2] for record in judge_outcome(outcome) if record.status is status]


def test_a_sound_rehearsal_is_ready():
    assert [r.id for r in judge_outcome(outcome_of()) if r.status is not Status.PASS] == []
    report = make_rehearsal_report(outcome_of())
    assert (report.verdict.code, report.verdict.word) == (0, "READY")
    assert "3.16.1 to 3.17.2" in report.verdict.line


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"changes": ("metrics: 1 rows",)}, "every_row_is_what_it_was"),
        ({"objects": ("a/b",)}, "every_object_is_what_it_was"),
        ({"differences": ("missing: index",)}, "the_schema_is_that_of_a_fresh_database"),
        ({"again": Migration(1, "already exists", 1, 0, "new")}, "a_second_upgrade_changes_nothing"),
        ({"again_changes": ("params: 1 rows",)}, "a_second_upgrade_changes_nothing"),
        ({"killed": Killed("runs", ("column x",), DONE)}, "a_killed_upgrade_leaves_nothing_half"),
        ({"killed": Killed("runs", (), Migration(1, "no", 1, 0, "x"))}, "a_killed_upgrade_leaves_nothing_half"),
        ({"canary": "create a run: 500"}, "the_canary_passes_after_the_upgrade"),
        ({"clients": clients_with(Scene.NEW_NEW, trace=WRONG)}, "the_new_client_finds_all_of_before"),
        ({"clients": clients_with(Scene.OLD_NEW, run=UNCLEAR)}, "users_need_not_upgrade_their_clients_at_once"),
        ({"clients": clients_with(Scene.OLD_NEW, before=WRONG)}, "models_of_before_load_with_their_own_scikit_learn"),
        ({"owners": ("mlflow", "postgres")}, "the_owner_of_the_tables_may_upgrade"),
        (
            {"unmigrated": ServerStart(True, "old"), "clients": clients_with(Scene.UNMIGRATED, run=WRONG)},
            "the_new_server_does_not_serve_an_old_schema",
        ),
    ],
)
def test_each_judge_can_fail(changed, check):
    assert fallen(outcome_of(**changed)) == [check]
    assert make_rehearsal_report(outcome_of(**changed)).verdict.code == 1


def test_an_upgrade_that_fails_says_whether_a_superuser_may():
    refused = Migration(1, "must be owner of table runs", 1, 0, "old")
    (record,) = [r for r in judge_outcome(outcome_of(migration=refused, stronger=DONE)) if r.status is Status.FAIL]
    assert record.seen == "exit code 1: must be owner of table runs; a superuser may"
    nobody = outcome_of(migration=refused, stronger=refused)
    assert fallen(nobody) == ["the_owner_of_the_tables_may_upgrade"]
    assert len(fallen(nobody, Status.NOT_CHECKED)) == 10


def test_what_does_not_work_on_its_own_server_is_not_blamed_on_the_pair():
    both = {Scene.OLD_OLD: run_of(trace=UNCLEAR), Scene.OLD_NEW: run_of(trace=UNCLEAR)}
    assert fallen(outcome_of(clients={**outcome_of().clients, **both})) == []


def test_a_clear_refusal_is_a_note_and_what_was_not_tried_is_not_proven():
    refused = outcome_of(clients=clients_with(Scene.OLD_NEW, trace=REFUSED))
    (record,) = [r for r in judge_outcome(refused) if r.id.endswith("at_once")]
    assert (record.status, record.notes) == (Status.PASS, ("refused: log a trace: words",))
    untried = outcome_of(clients=clients_with(Scene.NEW_NEW, trace=LEFT_OUT))
    assert fallen(untried, Status.NOT_CHECKED) == ["the_new_client_finds_all_of_before"]
    assert make_rehearsal_report(untried).verdict.code == 6


def test_another_scikit_learn_is_not_checked():
    clients = {**clients_with(Scene.OLD_NEW, before=LEFT_OUT), Scene.NEW_NEW: run_of(before=LEFT_OUT)}
    found = outcome_of(clients=clients)
    assert fallen(found) == []
    assert fallen(found, Status.OUT_OF_SCOPE) == ["models_of_before_load_with_their_own_scikit_learn"]


def test_a_pair_without_a_migration_has_nothing_to_kill():
    same = outcome_of(revision="new", killed=None, writer=None)
    assert fallen(same, Status.OUT_OF_SCOPE) == [
        "a_killed_upgrade_leaves_nothing_half",
        "the_new_server_does_not_serve_an_old_schema",
    ]


@pytest.mark.parametrize(
    ("changed", "begins"),
    [
        ({}, "a worker of FROM that is left running loses and refuses nothing; but a worker of FROM that is restarted"),
        ({"clients": clients_with(Scene.LEFT, trace=WRONG)}, "no: it fails: log a trace: words"),
        ({"clients": {**outcome_of().clients, Scene.LEFT_READ: run_of(run=WRONG)}}, "no: TO does not find"),
        ({"left_start": ServerStart(False, "new")}, "no: the old worker ended"),
    ],
)
def test_whether_workers_may_roll_is_said(changed, begins):
    answers = dict(answer_questions(outcome_of(**changed)))
    assert answers["Is a rolling upgrade possible?"].startswith(begins)


def test_the_answers_are_plain():
    answers = dict(answer_questions(outcome_of()))
    assert "A role that may only read and write rows was refused and changed nothing" in str(answers)
    assert answers["What does FROM's server do on the new schema?"].startswith("it does not start: no such revision")
    assert answers["What does TO's server do without db upgrade?"] == "it does not start: out of date"
    by_itself = dict(answer_questions(outcome_of(unmigrated=ServerStart(True, "new"))))
    assert by_itself["What does TO's server do without db upgrade?"].startswith("it upgrades the database by itself")
    columns, rows = tabulate_operations(outcome_of(clients=clients_with(Scene.NEW_OLD, trace=WRONG)))
    assert columns[:2] == ("operation", Scene.OLD_OLD)
    assert rows[1][columns.index(Scene.NEW_OLD)] == "WRONG: words"


def test_the_default_pairs_are_the_last_major_and_the_minor_before():
    assert pairs.choose_pairs(None, None, "3.17.2") == [("2.22.5", "3.17.2"), ("3.16.1", "3.17.2")]
    assert pairs.choose_pairs(None, None, "3.17.2", last_minor=True) == [("3.16.1", "3.17.2")]
    assert pairs.choose_pairs(None, None, "2.21.0") == [("2.20.4", "2.21.0")]
    assert pairs.choose_pairs("3.17.1", None, "3.17.2") == [("3.17.1", "3.17.2")]


DUMP = """--
-- PostgreSQL database dump
CREATE TABLE public.alembic_version (version_num character varying(32) NOT NULL);
ALTER TABLE public.alembic_version OWNER TO tracking;
COPY public.alembic_version (version_num) FROM stdin;
{revision}
\\.
-- PostgreSQL database dump complete
"""


def write_dump(folder, version="3.16.1", text=DUMP):
    (folder / "dump.sql").write_text(text.format(revision=find_head_for(version)))
    return folder / "dump.sql"


def test_a_program_reads_all_of_a_dump_of_sql(tmp_path):
    file = tmp_path / "dump.sql"
    file.write_text("".join(f"SELECT {n};\n" for n in range(100_000)))
    with open_as_sql(file) as lines:
        assert subprocess.run(["cat"], stdin=lines, capture_output=True, check=True).stdout == file.read_bytes()
    with open_as_sql(file) as lines:
        assert b"".join(lines) == file.read_bytes()


def test_a_dump_says_which_release_it_is_of(tmp_path):
    dump = read_dump(write_dump(tmp_path))
    assert (dump.revision, dump.roles, choose_release(dump, None, "3.17.2")) == (
        "b7e2c1a4d9f3",
        ("tracking",),
        "3.16.1",
    )
    assert choose_release(dump, "3.16.0", "3.17.2") == "3.16.0"


@pytest.fixture
def rehearse(monkeypatch):
    """The command, without what it does to its process."""
    for name in ("cleanse_environment", "raise_on_signals", "resend_lost_interrupts"):
        monkeypatch.setattr(f"fixtures.tools.rehearse.__main__.{name}", lambda *given: None)
    return main


@pytest.mark.parametrize(
    ("version", "text", "words", "why"),
    [
        ("3.16.1", "nothing of the kind\n", [], "has no row of alembic_version; it is no dump of a database of MLflow"),
        (
            "3.16.1",
            DUMP.replace("-- PostgreSQL database dump complete\n", ""),
            [],
            "is cut off; its last line is missing",
        ),
        ("3.16.1", "PGDMP and then nothing", [], "cannot be read (pg_restore: error: "),
        ("3.16.1", "CREATE DATABASE x;\n" + DUMP, [], "makes or enters a database of its own"),
        ("3.17.2", DUMP, ["--to", "3.16.1"], "is of MLflow 3.17.0, which is not older than --to 3.16.1"),
        ("9.9.9", DUMP, [], "its revision None is that of no release known here"),
        ("3.16.1", DUMP, ["--from", "3.10.0"], "--from 3.10.0: the dump is of MLflow 3.16.0 to 3.16.1"),
    ],
)
def test_a_dump_that_will_not_do_is_refused_in_one_line(rehearse, tmp_path, capsys, version, text, words, why):
    assert rehearse(["--dump", str(write_dump(tmp_path, version, text)), *words]) == 4
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert why in said[0]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--from", "x"], "rehearse: --from x: is no version; such as "),
        (["--from", "3.17.2", "--to", "3.16.1"], "rehearse: --from 3.17.2: is not older than --to 3.16.1"),
        (["--from", "3.17.2", "--to", "3.17.2"], "rehearse: --from 3.17.2: is not older than --to 3.17.2"),
        (["--dump", "/no/such/file"], "rehearse: --dump /no/such/file: cannot be read (No such file or directory)"),
        (["--nonsense"], "rehearse: No such option"),
    ],
)
def test_bad_words_are_refused_in_one_line(rehearse, capsys, words, why):
    assert rehearse(words) == 4
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(why)


def test_a_disk_without_room_is_refused_before_anything_is_made(monkeypatch):
    monkeypatch.setattr(pairs.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 2**30})())
    with pytest.raises(Usage, match=r"1\.0 GiB are free, 2\.0 GiB are needed; set TMPDIR"):
        pairs.require_room(pairs.LEAST_ROOM)


def test_a_check_that_a_dump_writes_otherwise_is_the_same():
    loaded = "CHECK (((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))"
    fresh = "CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))"
    assert compare_schemas({"constraint k": loaded}, {"constraint k": fresh}) == []
    assert compare_schemas({"constraint k": loaded}, {"constraint k": fresh.replace("'b'", "'c'")}) != []
