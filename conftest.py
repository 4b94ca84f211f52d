"""The plugins, in the order of the data; each owns its options, marks, header lines and fixtures."""

pytest_plugins = (
    "fixtures.config.settings",
    "fixtures.run.sweep_command",
    "fixtures.checks.plan_command",
    "fixtures.checks.team",
    "fixtures.run.plugin",
    "fixtures.run.liveness",
    "fixtures.checks.marks",
    "fixtures.checks.deadline",
    "fixtures.clients.plugin",
    "fixtures.guardrails.plugin",
    "fixtures.checks.samples",
    "fixtures.workflow.plugin",
    "fixtures.load.plugin",
    "fixtures.registry.plugin",
    "fixtures.bench.plugin",
    "fixtures.bench.measure",
    "fixtures.bench.extra_server",
    "fixtures.bench.growth",
    "fixtures.report.waiver_files",
    "fixtures.report.plugin",
)
