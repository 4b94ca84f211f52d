"""A Compose project made ours: what is overridden, what is refused by name."""

import copy

import pytest

from fixtures.backends.compose_isolation import allow_own_names, isolate_project
from fixtures.core.waiting import StartFailure

CONFIG = {
    "name": "rdy-x",
    "services": {
        "mlflow-server": {
            "image": "a",
            "container_name": "mlflow",
            "ports": [{"target": 5000, "published": "5000", "host_ip": "0.0.0.0"}],
            "restart": "always",
            "build": {"context": "."},
            "labels": {"theirs": "1"},
        },
        "mlflow-db": {
            "image": "b",
            "volumes": [{"type": "volume", "source": "v", "target": "/x"}],
            "networks": {"n": {"ipv4_address": "10.0.0.2"}},
        },
    },
    "volumes": {"v": {"name": "mlflow_postgres_data"}},
    "networks": {"n": {"name": "rdy-x_n", "ipam": {"config": [{"subnet": "10.0.0.0/24"}]}}},
}


def adapt(config):
    return isolate_project(config, "rdy-x", {"ours": "2"}, "127.0.0.1", lambda service, inner: 20000 + inner)


def test_fixed_names_ports_and_addresses_are_overridden():
    before = copy.deepcopy(CONFIG)
    found, changes = adapt(CONFIG)
    server, database = found["services"]["mlflow-server"], found["services"]["mlflow-db"]
    assert server["ports"] == [{"target": 5000, "published": "25000", "host_ip": "127.0.0.1"}]
    assert (server["restart"], server["pull_policy"]) == ("no", "never")
    assert not {"container_name", "build"} & set(server)
    assert server["labels"] == {"theirs": "1", "ours": "2"}
    assert database["networks"] == {"n": {}}
    assert found["volumes"]["v"] == {"name": "rdy-x_v", "labels": {"ours": "2"}}
    assert found["networks"]["n"] == {"name": "rdy-x_n", "ipam": {}, "labels": {"ours": "2"}}
    assert len(changes) == 5
    assert before == CONFIG


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"pid": "host"}, "pid: host"),
        ({"network_mode": "container:other"}, "joins a container"),
        ({"volumes": [{"type": "bind", "source": "/etc", "target": "/x"}]}, "/etc"),
        ({"image": None}, "has no image"),
        ({"volumes_from": ["x"]}, "volumes_from"),
    ],
)
def test_what_reaches_out_is_refused_by_name(service, words):
    config = copy.deepcopy(CONFIG)
    config["services"]["mlflow-db"].update(service)
    with pytest.raises(StartFailure, match=f"service mlflow-db .*{words}"):
        adapt(config)


def test_a_read_only_bind_mount_may_stay():
    config = copy.deepcopy(CONFIG)
    mount = {"type": "bind", "source": "/etc", "target": "/x", "read_only": True}
    config["services"]["mlflow-db"]["volumes"] = [mount]
    assert adapt(config)[0]["services"]["mlflow-db"]["volumes"] == [mount]


def test_a_volume_that_is_a_folder_of_the_host_is_refused():
    config = copy.deepcopy(CONFIG)
    config["volumes"]["v"] = {"driver_opts": {"type": "none", "o": "bind", "device": "/srv/pg"}}
    with pytest.raises(StartFailure, match="volume v is a folder of the host"):
        adapt(config)


def test_the_names_at_which_we_reach_the_server_are_let_in():
    service = {"environment": {"MLFLOW_SERVER_ALLOWED_HOSTS": "a:5000"}}
    allow_own_names(service, 7, "127.0.0.1")
    assert service["environment"] == {"MLFLOW_SERVER_ALLOWED_HOSTS": "a:5000,127.0.0.1,127.0.0.1:7"}
    bare = {"environment": None}
    allow_own_names(bare, 7, "127.0.0.1")
    assert bare == {"environment": None}
