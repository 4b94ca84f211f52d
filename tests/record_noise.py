"""python -m tests.record_noise FILE: block times of equal servers, for tests/unit/test_compare_calibration.py.

Ten minutes on a machine that does nothing else. FILE gets the log-ratios of pairs, as [series][restart][pair]: B's
seven operations against A, then the twin's. No operation ends early, so that nothing is chosen by what was seen.
"""

import json
import math
import os
import sys
import warnings
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from fixtures.backends.private import open_private_start
from fixtures.backends.site import open_site
from fixtures.config.environment import cleanse_environment
from fixtures.tools.compare import report
from fixtures.tools.compare.__main__ import read_options, read_plan
from fixtures.tools.compare.compared_servers import ComparedServer, count_compared_connections, make_templates
from fixtures.tools.compare.schedule import measure_blocks
from fixtures.tools.compare.spec import SideSpec


def main(file: Path) -> None:
    cleanse_environment(os.environ, "embedded")
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    version = metadata.version("mlflow")
    plan, spec = read_plan(read_options(["--restarts", "8"])), SideSpec(version)
    with open_private_start() as begin:
        site = open_site(begin, count_compared_connections([spec] * 3), durable=False)
        made = make_templates(site, {version: Path(sys.executable)})
        lanes = [ComparedServer(name, spec, Path(sys.executable), made[version]) for name in ("A", *report.COMPARED)]
        samples = asdict(measure_blocks(site, lanes, plan, lambda _: plan.operations))
    assert not samples["wrong"], samples["wrong"]
    series = [logs(samples["blocks"], name, lane) for lane in report.COMPARED for name in plan.operations]
    loads = " ".join(f"{restart['load']:.1f}" for restart in samples["restarts"])
    where = f"{os.cpu_count()} cores, load {loads}; seed {plan.seed}"
    what = f"log-ratios of pairs of blocks, by series, restart and pair; {where}; only ever used to check"
    file.write_text(json.dumps({"what": what, "series": series}) + "\n")


def logs(blocks: list[dict[str, object]], name: str, lane: str) -> list[list[float]]:
    """The lane against A alone."""
    return [[round(math.log(own / a), 5) for a, own in one] for one in report.pair_blocks(blocks, name, lane, ["A"])]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
