"""Who may read, write and delete what under MLflow's basic auth, with users and objects of ours (F63)."""

import dataclasses

import pytest

from fixtures.clients.guarded_extras import EXTRA_OBJECTS, EXTRA_ROUTES
from fixtures.clients.guarded_routes import ROUTES_OF_PERMISSIONS, GuardedObjects, RouteDeed
from fixtures.clients.mlflow_errors import is_permission_denied
from fixtures.clients.rest import ARTIFACT_API, REST_API
from fixtures.clients.routes import read_json_path
from fixtures.clients.spans import make_span_body, make_trace_id, post_spans
from fixtures.clients.users import GRANT_FIELDS, ask_default_permission
from fixtures.core.outcomes import CauseId, Finding, Lack, NotProven, OutOfScope, Symptom, expect_that, shorten_text
from fixtures.core.uris import is_proxied, proxied_path
from fixtures.preflight.canary import require_field

PERMISSIONS = CauseId.SIGN_IN_PERMISSIONS
NOTHING = ("NO_PERMISSIONS", "DENY")
OF_THEMSELVES = ("scorer", "endpoint")  # objects with permissions of their own: default_permission opens them
ADMIN_ROUTE = f"{REST_API}/users/update-admin"
OF_EXPERIMENTS = ("dataset", "schema")  # further objects on which an experiment's permissions hold


@pytest.fixture(scope="module")
def make_guarded(probe, admin, unique, make_experiment):
    """make_guarded(user, level) -> objects of ours on which this user has this permission.

    Objects of the kinds `extras` (guarded_extras.py) are among them, as far as the server has such.
    """

    def make(user, level, extras=()):
        name = unique("guarded")
        experiment = make_experiment(name)
        body = {"experiment_id": experiment, "run_name": name, "start_time": 1}
        body["tags"] = [{"key": "guarded", "value": name}]
        info = require_field(probe.call("runs/create", body), "run", "info")
        run, source = require_field(info, "run_id"), require_field(info, "artifact_uri")
        probe.call("runs/log-metric", {"run_id": run, "key": name, "value": 1.0, "timestamp": 1, "step": 0})
        if root := proxied_path(source) or "":
            probe.put_artifact(f"{root}/{name}.txt", name.encode())
        probe.call("registered-models/create", {"name": name})
        probe.call("model-versions/create", {"name": name, "source": source, "run_id": run})
        probe.call("registered-models/alias", {"name": name, "alias": "guarded", "version": "1"})
        trace, logged = make_trace_id(), ""
        traced = post_spans(probe, experiment, make_span_body(trace, [name])).status_code == 200
        if traced:
            body = {"key": "guarded", "value": name}
            probe.request("PATCH", f"/api/3.0/mlflow/traces/tr-{trace}/tags", json=body)
        answer = probe.post(f"{REST_API}/logged-models", json={"experiment_id": experiment, "name": name})
        if answer.status_code == 200:
            logged = require_field(answer.json(), "model", "info", "model_id")
        if level:
            grant(admin, user, level, "experiment", experiment)
            grant(admin, user, level, "registered_model", name)
        objects = GuardedObjects(name, experiment, run, root, f"tr-{trace}" if traced else "", logged)
        return dataclasses.replace(objects, more=make_extras(probe, objects, extras))

    return make


def make_extras(probe, objects, kinds):
    """{kind: id} of further objects that are guarded, as far as they can be made here."""
    more = {}
    for extra in EXTRA_OBJECTS:
        objects = dataclasses.replace(objects, more=more)
        if extra.kind in kinds:
            answer = probe.post(objects.fill(extra.path), json=objects.fill(extra.body))
            if answer.status_code == 200:
                more[extra.kind] = str(read_json_path(answer.json(), extra.where))
    return more


def describe_grant(kind, key):
    """{route: fields that say for what a permission is granted}; older versions have a route for each kind."""
    return {
        "/api/3.0/mlflow/users/permissions/grant": {"resource_type": kind, "resource_id": key},
        f"{REST_API}/{kind.replace('_', '-')}s/permissions/create": {GRANT_FIELDS[kind]: key},
    }


def grant(admin, user, level, kind, key):
    """Give the user this permission on an experiment or a registered model, by the API of this MLflow version."""
    words = (level, "NO_PERMISSIONS") if level == "DENY" else (level,)  # older versions know no DENY
    ways = describe_grant(kind, key).items()
    asked = ((path, {**body, "username": user, "permission": word}) for word in words for path, body in ways)
    answers = []
    for path, body in asked:
        answers.append(admin.post(path, json=body))
        if answers[-1].status_code == 200:
            return
    seen = "; ".join(f"{answer.status_code} {shorten_text(answer.text, 80)}" for answer in answers)
    raise NotProven(f"permission {level} on {kind} {key} is not granted to a user of ours: {seen}")


@pytest.fixture
def prepare(make_member, make_guarded):
    """prepare(word, level) -> (a new user of ours, objects on which the user has that permission, if any)."""

    def make(word, level, extras=()):
        member = make_member(word)
        return member, make_guarded(member.access.username, level, extras)

    return make


def ask_each(member, objects, *deeds, once=False):
    """{route: whether it was granted} for the routes of these deeds, or for the first of each family."""
    routes = (*ROUTES_OF_PERMISSIONS, *(route for route in EXTRA_ROUTES if route.needs or not once))
    fit = [route for route in routes if route.deed in deeds and route.fits(objects)]
    firsts = {(route.family, route.deed): route for route in reversed(fit)}
    found = {}
    for route in fit if not once else reversed(firsts.values()):
        method, path, options = route.make_request(objects)
        found[route] = route.is_granted(member.request(method, path, **options), objects)
    return found


def judge(what, found, expected):
    """Raise a finding if a route was granted that should not have been, or the other way round; `expected` by deed."""
    wrong = [route.name for route, granted in found.items() if granted != expected[route.deed]]
    words = ", ".join(f"{deed}: {'granted' if may else 'refused'}" for deed, may in expected.items())
    seen = f"the contrary: {', '.join(wrong)}"
    expect_that(not wrong, what, words, seen, cause=PERMISSIONS, cases=wrong)


def test_a_reader_reads_and_does_not_write(prepare):
    """READ on an experiment and a model must open them, and let nobody change them.

    Remedy: upgrade MLflow; if a plug-in asks for the sign-in, correct its rules for the routes named.
    """
    found = ask_each(*prepare("reader", "READ", OF_EXPERIMENTS), *RouteDeed, once=True)
    judge("routes as a user with READ", found, {RouteDeed.READ: True, RouteDeed.WRITE: False, RouteDeed.DELETE: False})


def test_an_editor_writes_and_does_not_delete(prepare):
    """EDIT is what training jobs have: they log, and cannot delete what others rely on.

    Remedy: upgrade MLflow; if a plug-in asks for the sign-in, correct its rules for the routes named.
    """
    found = ask_each(*prepare("editor", "EDIT"), RouteDeed.WRITE, RouteDeed.DELETE, once=True)
    judge("routes as a user with EDIT", found, {RouteDeed.WRITE: True, RouteDeed.DELETE: False})


def test_a_user_without_permission_gets_nothing(prepare):
    """A user who may not see an experiment or a model must not reach it by any route: files, traces, pages, searches.

    Remedy: upgrade MLflow: older versions leave routes out (CVE-2025-14297, CVE-2025-15381, CVE-2026-2651); if a
    plug-in asks for the sign-in, correct its rules for the routes named.
    """
    denied, objects = prepare("denied", "DENY", [extra.kind for extra in EXTRA_OBJECTS])
    if ask_default_permission(denied, denied.access.username) not in NOTHING:
        objects = dataclasses.replace(objects, more={k: v for k, v in objects.more.items() if k not in OF_THEMSELVES})
    found = ask_each(denied, objects, *RouteDeed)
    judge(f"{len(found)} routes as a user without permission", found, dict.fromkeys(RouteDeed, False))


def test_a_user_gives_themselves_no_rights(make_member, make_experiment):
    """Whoever can make themselves an admin, or give themselves a permission, has all that is on the server.

    Remedy: upgrade MLflow; if a plug-in asks for the sign-in, correct its rules for the routes named.
    """
    member, experiment = make_member("climber"), make_experiment()
    name = member.access.username
    asked = {
        "PATCH users/update-admin": member.request("PATCH", ADMIN_ROUTE, json={"username": name, "is_admin": True})
    }
    for path, body in describe_grant("experiment", experiment).items():
        asked[f"POST {path}"] = member.post(path, json={**body, "username": name, "permission": "MANAGE"})
    given = [route for route, answer in asked.items() if answer.status_code == 200]
    what, cause = "rights that a user asks for themselves", PERMISSIONS
    expect_that(not given, what, "refused", f"given by {', '.join(given)}", cause=cause, cases=given)


def test_a_newcomer_deletes_nothing_of_others(prepare, note):
    """default_permission is what every user may do with everybody's objects: MANAGE lets any of them delete all.

    Remedy: set default_permission = NO_PERMISSIONS, or READ, in the file of MLFLOW_AUTH_CONFIG_PATH.
    """
    newcomer, objects = prepare("newcomer", "")
    found = ask_each(newcomer, objects, RouteDeed.READ, RouteDeed.WRITE, once=True)
    if may := [f"{route.deed} {route.family}" for route, granted in found.items() if granted]:
        note(f"a user who was given nothing may, with what others made: {', '.join(may)} (default_permission)")
    judge(
        "routes as a user who was given nothing",
        ask_each(newcomer, objects, RouteDeed.DELETE, once=True),
        {RouteDeed.DELETE: False},
    )


def test_a_manager_may_delete(prepare):
    """MANAGE is what the owner of an experiment or a model has; without it nobody but an admin could clean up.

    Remedy: look for a plug-in or proxy that refuses the routes named.
    """
    found = ask_each(*prepare("manager", "MANAGE", ["dataset"]), RouteDeed.WRITE, RouteDeed.DELETE, once=True)
    judge("routes as a user with MANAGE", found, {RouteDeed.WRITE: True, RouteDeed.DELETE: True})


@pytest.fixture(scope="module")
def located(stack, probe, unique, make_run, run_roots):
    """(experiment, location, where the artifact API keeps its files) of an experiment with a location of its own."""
    if not is_proxied(stack.artifact_root):
        raise OutOfScope(Lack.PROXIED_ARTIFACTS, f"clients keep artifacts in {stack.artifact_root} themselves")
    name = unique("located")
    made = probe.call("experiments/create", {"name": name, "artifact_location": f"mlflow-artifacts:/{name}"})
    experiment = str(require_field(made, "experiment_id"))
    return experiment, f"mlflow-artifacts:/{name}", proxied_path(run_roots[make_run(experiment)])


@pytest.mark.known_issue("R08")
def test_an_editor_stores_files_at_any_location(admin, make_member, located):
    """A team whose experiment has an artifact location of its own must be able to log models there, not only metrics.

    Remedy: make experiments without artifact_location. MLflow's basic auth knows the experiment of a file only if the
    file's path begins with the experiment's id.
    """
    editor, (experiment, location, root) = make_member("located"), located
    grant(admin, editor.access.username, "EDIT", "experiment", experiment)
    answer = editor.put(f"{ARTIFACT_API}/{root}/edited.txt", data=b"of an editor")
    denied = answer.status_code == 403 and is_permission_denied(answer.text)
    symptom = Symptom.OWN_LOCATION_REFUSED if denied else None
    seen = f"{answer.status_code} {shorten_text(answer.text, 100)}"
    what = f"a file of a user with EDIT, in experiment {experiment} at {location}"
    expect_that(answer.status_code == 200, what, "stored", seen, symptom=symptom)


@pytest.mark.known_issue("R08-read")
def test_files_at_any_location_keep_to_their_readers(admin, make_member, located):
    """A user who may not see an experiment must not read its files, wherever it keeps them.

    Remedy: set default_permission = NO_PERMISSIONS in the file of MLFLOW_AUTH_CONFIG_PATH, or make experiments without
    artifact_location: MLflow's basic auth goes by default_permission if a path does not begin with an experiment's id.
    """
    outsider, (experiment, location, root) = make_member("outside"), located
    grant(admin, outsider.access.username, "DENY", "experiment", experiment)
    admin.put_artifact(f"{root}/kept.txt", content := b"not for everybody")
    answer = outsider.get(f"{ARTIFACT_API}/{root}/kept.txt")
    admin.delete(f"{ARTIFACT_API}/{root}/kept.txt")
    what, seen = f"a file in experiment {experiment} at {location}, as a user without permission", answer.status_code
    if content in answer.content:
        by_default = ask_default_permission(outsider, outsider.access.username) not in NOTHING
        symptom = Symptom.OWN_LOCATION_OPEN if by_default else None
        raise Finding(what, "refused", f"{seen}, read", cause=None if by_default else PERMISSIONS, symptom=symptom)
