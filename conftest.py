"""The plugins, in the order of the data; each owns its options, marks, header lines and fixtures."""

pytest_plugins = (
    "fixtures.settings",
    "fixtures.sweeping",
    "fixtures.run",
    "fixtures.loss",
    "fixtures.marks",
    "fixtures.clients",
    "fixtures.guardrails_plugin",
    "fixtures.samples",
    "fixtures.pipelines",
    "fixtures.load.plan",
    "fixtures.registry.plan",
    "fixtures.bench.plugin",
    "fixtures.bench.measuring",
    "fixtures.bench.beside",
    "fixtures.bench.growing",
    "fixtures.report.plugin",
)
