"""All raids, and the checks that they prove."""

from __future__ import annotations

from tests.sabotage import (
    benchmark,
    client_artifacts,
    client_costs,
    client_edges,
    client_runs,
    client_search,
    durability,
    fleet,
    foreign_pages,
    fronts,
    health,
    health_parts,
    health_tables,
    integration,
    load,
    permissions,
    pipelines,
    recovery,
    registry,
    registry_moves,
    security,
    security_advisories,
    security_probes,
    security_stores,
    stored,
    stored_data,
)

MODULES = (
    load,
    fleet,
    integration,
    client_search,
    client_artifacts,
    client_costs,
    client_edges,
    client_runs,
    fronts,
    pipelines,
    registry,
    registry_moves,
    security_advisories,
    security_probes,
    security_stores,
    health_parts,
    health_tables,
    health,
    security,
    stored,
    stored_data,
    foreign_pages,
    permissions,
    benchmark,
    durability,
    recovery,
)
RAIDS = tuple(raid for module in MODULES for raid in module.RAIDS)
# Check -> the sabotages that it was shown to catch.
PROVEN = {
    check: [s.name for raid in RAIDS for s in raid.sabotages if check.removeprefix("suites/") in s.catches]
    for check in sorted({check for raid in RAIDS for check in raid.catches})
}
