"""Who may read, write and delete what under MLflow's basic auth, with users and objects of ours (F63)."""

import pytest

from fixtures.clients.guarded_routes import ROUTES_OF_PERMISSIONS, Deed, GuardedObjects
from fixtures.clients.rest import REST_API
from fixtures.clients.spans import make_span_body, make_trace_id, post_spans
from fixtures.core.outcomes import CauseId, Finding, expect_that
from fixtures.core.uris import proxied_path
from fixtures.preflight.canary import require_field


@pytest.fixture(scope="module")
def make_guarded(probe, admin, unique, make_experiment):
    """make_guarded(user=level, ...) -> objects of ours on which these users have these permissions."""

    def make(**levels):
        name = unique("guarded")
        experiment = make_experiment(name)
        body = {"experiment_id": experiment, "run_name": name, "start_time": 1}
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
        for user, level in levels.items():
            grant(admin, user, experiment, name, level)
        return GuardedObjects(name, experiment, run, root, f"tr-{trace}" if traced else "", logged)

    return make


def grant(admin, user, experiment, model, level):
    """Give the user this permission on an experiment and a model, by the API of this MLflow version."""
    for kind, key, field in (("experiment", experiment, "experiment_id"), ("registered_model", model, "name")):
        body = {"username": user, "permission": level}
        new = {"resource_type": kind, "resource_id": key, **body}
        answer = admin.post("/api/3.0/mlflow/users/permissions/grant", json=new)
        if answer.status_code == 404:  # older versions have a route for each kind, and no DENY
            family = f"{kind.replace('_', '-')}s"
            body["permission"] = "NO_PERMISSIONS" if level == "DENY" else level
            answer = admin.post(f"{REST_API}/{family}/permissions/create", json={field: key, **body})
        if answer.status_code != 200:
            raise Finding(f"permission {level} on {kind} {key}", "granted", f"{answer.status_code} {answer.text}")


@pytest.fixture(scope="module")
def members(make_member):
    """level -> a user of ours; the newcomer was given nothing."""
    return {word: make_member(word) for word in ("denied", "reader", "editor", "newcomer")}


@pytest.fixture(scope="module")
def guarded(make_guarded, members):
    """Objects of ours, on which the members have what they are called after."""
    name = {word: member.access.username for word, member in members.items()}
    return make_guarded(**{name["denied"]: "DENY", name["reader"]: "READ", name["editor"]: "EDIT"})


def ask_each(member, objects, *deeds, once=False):
    """{route: whether it was granted} for the routes of these deeds, or for the first of each family."""
    fit = [route for route in ROUTES_OF_PERMISSIONS if route.deed in deeds and route.fits(objects)]
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
    expect_that(not wrong, what, words, seen, cause=CauseId.SIGN_IN_PERMISSIONS, cases=wrong)


def test_a_reader_reads_and_does_not_write(members, guarded):
    """READ on an experiment and a model must open them, and let nobody change them.

    Remedy: upgrade MLflow; if a plug-in asks for the sign-in, correct its rules for the routes named.
    """
    found = ask_each(members["reader"], guarded, *Deed, once=True)
    judge("routes as a user with READ", found, {Deed.READ: True, Deed.WRITE: False, Deed.DELETE: False})


def test_an_editor_writes_and_does_not_delete(members, guarded):
    """EDIT is what training jobs have: they log, and cannot delete what others rely on.

    Remedy: upgrade MLflow; if a plug-in asks for the sign-in, correct its rules for the routes named.
    """
    found = ask_each(members["editor"], guarded, Deed.WRITE, Deed.DELETE, once=True)
    judge("routes as a user with EDIT", found, {Deed.WRITE: True, Deed.DELETE: False})


def test_a_user_without_permission_gets_nothing(members, guarded):
    """A user who may not see an experiment or a model must not reach it by any route: files, traces, pages, searches.

    Remedy: upgrade MLflow: older versions leave routes out (CVE-2025-14297, CVE-2025-15381, CVE-2026-2651); if a
    plug-in asks for the sign-in, correct its rules for the routes named.
    """
    found = ask_each(members["denied"], guarded, *Deed)
    judge(f"{len(found)} routes as a user without permission", found, dict.fromkeys(Deed, False))


def test_a_newcomer_deletes_nothing_of_others(members, make_guarded, note):
    """default_permission is what every user may do with everybody's objects: MANAGE lets any of them delete all.

    Remedy: set default_permission = NO_PERMISSIONS, or READ, in the file of MLFLOW_AUTH_CONFIG_PATH.
    """
    objects, newcomer = make_guarded(), members["newcomer"]
    may = {
        route.deed
        for route, granted in ask_each(newcomer, objects, Deed.READ, Deed.WRITE, once=True).items()
        if granted
    }
    if may:
        note(f"default_permission lets every user {' and '.join(sorted(may))} what others made")
    judge("routes as a user who was given nothing", ask_each(newcomer, objects, Deed.DELETE), {Deed.DELETE: False})


def test_a_manager_may_delete(make_member, make_guarded):
    """MANAGE is what the owner of an experiment or a model has; without it nobody but an admin could clean up.

    Remedy: look for a plug-in or proxy that refuses the routes named.
    """
    manager = make_member("manager")
    objects = make_guarded(**{manager.access.username: "MANAGE"})
    found = ask_each(manager, objects, Deed.WRITE, Deed.DELETE, once=True)
    judge("routes as a user with MANAGE", found, {Deed.WRITE: True, Deed.DELETE: True})
