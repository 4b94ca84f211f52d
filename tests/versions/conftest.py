"""What the proofs of known issues saw, line by line at the end."""

from tests.versions.support import SEEN


def pytest_terminal_summary(terminalreporter):
    reports = [r for found in terminalreporter.stats.values() for r in found if getattr(r, "when", "") == "call"]
    lines = [value for report in reports for name, value in report.user_properties if name == SEEN]
    terminalreporter.section("known issues, as they were seen")
    for line in sorted(lines):
        terminalreporter.line(line)
