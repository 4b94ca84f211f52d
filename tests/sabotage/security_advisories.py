"""Sabotages by what is published: a server of an older version, as far as it says so."""

from __future__ import annotations

from tests.sabotage.harness import Sabotage, raid
from tests.sabotage.lies import lie
from tests.sabotage.rules import answer, at

OLD = answer(200, "3.9.0", {"Content-Type": "text/html; charset=utf-8"})
RAIDS = (
    raid(
        "an old version",
        Sabotage(
            "the server has published holes",
            {
                "security/test_advisories.py::test_no_advisory_with_a_fix_concerns_this_server": "GHSA-.*"
                "Upgrade MLflow to 3.17.0 or later"
            },
            lie("version", at("/version$", "GET"), OLD),
        ),
        beside="""security/test_network.py::test_prompt_tags_do_not_open_model_sources
            registry/test_versions.py::test_versions_are_numbered_in_the_order_of_registration""",
    ),
)
