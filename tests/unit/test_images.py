"""Which reference each image has: the file, variables, --image, a mirror's prefix, digests that go with their tag."""

import pytest

from fixtures.config import images
from fixtures.config.readers import Usage
from fixtures.config.settings import Settings, resolve_settings

DIGEST = "sha256:" + "a" * 64


def references(environ=(), **chosen):
    return images.image_references(images.image_variables(dict(environ), chosen))


def test_the_file_names_every_image_with_a_tag():
    found = references()
    assert set(found) == set(images.IMAGE_NAMES)
    for reference in found.values():
        tag = reference.partition("@")[0].rpartition("/")[2].partition(":")[2]
        assert tag
        assert tag != "latest"


def test_a_variable_replaces_an_image_and_its_digest():
    assert references({"POSTGRES_IMAGE": "mine:1"})["postgres"] == "mine:1"
    assert references({"POSTGRES_IMAGE": "mine:1", "POSTGRES_DIGEST": DIGEST})["postgres"] == f"mine:1@{DIGEST}"
    assert "@" not in references({"POSTGRES_DIGEST": ""})["postgres"]


def test_a_prefix_goes_in_front_of_all_but_what_was_chosen():
    found = references({"IMAGE_PREFIX": "mirror.example/"}, minio=f"store:2@{DIGEST}")
    assert found["minio"] == f"store:2@{DIGEST}"
    assert found["postgres"].startswith("mirror.example/docker.io/library/postgres:")


def test_the_option_reaches_the_settings(tmp_path):
    found = resolve_settings({"image": ["postgres=a:1", "mlflow=b:2"]}, {}, tmp_path)
    assert {n: images.image_references(found.images)[n] for n in ("postgres", "mlflow")} == {
        "postgres": "a:1",
        "mlflow": "b:2",
    }
    assert Settings().images == images.pinned_images()


@pytest.mark.parametrize("word", ["postgres", "redis=a:1", "postgres=", "postgres=A B"])
def test_what_is_no_image_is_refused(tmp_path, word):
    with pytest.raises(Usage, match="NAME=REFERENCE"):
        resolve_settings({"image": [word]}, {}, tmp_path)


def test_options_of_one_stack_are_refused_for_another(tmp_path):
    for given in (
        {"compose-file": "x.yml"},
        {"stack": "compose", "store": "minio"},
        {"stack": "external", "image": ["minio=a:1"]},
    ):
        with pytest.raises(Usage, match=r"is (not )?for"):
            resolve_settings(
                given | {"mlflow-uri": "http://h"} if given.get("stack") == "external" else given, {}, tmp_path
            )
    with pytest.raises(Usage, match="not a file"):
        resolve_settings({"stack": "compose", "compose-file": "x.yml"}, {}, tmp_path)
