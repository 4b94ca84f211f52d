"""What it costs to compare database and bucket: memory at 10,000 and 100,000 real objects, and the rate beside a bare
listing (`make bench-data`; about ten minutes, most of which goes into making the objects).

Exit code 0: the memory differs by less than 20 MB, and the rate is at least half of a listing's; 1: not so; 7: the
stack was not started.
"""

import sys
import tempfile
import time
import warnings
from pathlib import Path

from fixtures.backends.clones import open_clones
from fixtures.core.waiting import StartFailure
from tests.support.many_objects import add_objects, measure_peak, measure_rates

SIZES, MOST_MEGABYTES, LEAST_SHARE = (10_000, 100_000), 20, 0.5
warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")


def main():
    peaks, share, there = [], 0.0, 0
    with open_clones() as source, source.stack() as stack, tempfile.TemporaryDirectory() as folder:
        print(f"{'objects':>8}{'made in':>10}{'peak':>10}{'listing/s':>11}{'compared/s':>11}{'share':>7}")
        for number in SIZES:
            start = time.monotonic()
            add_objects(stack, there, number)
            took, there = time.monotonic() - start, number
            code, peak = measure_peak(stack, Path(folder) / str(number))
            bare, whole = measure_rates(stack, Path(folder) / "rates")
            peaks.append(peak)
            share = whole / bare
            line = f"{number:>8}{took:>9.0f}s{peak:>8.1f}MB{bare:>11.0f}{whole:>11.0f}{share:>7.2f}"
            print(f"{line}  exit code {code}", flush=True)
    kept = peaks[-1] - peaks[0] < MOST_MEGABYTES and share >= LEAST_SHARE
    print(f"{peaks[-1] - peaks[0]:.1f} MB more, at most {MOST_MEGABYTES}; {'kept' if kept else 'NOT KEPT'}")
    return int(not kept)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StartFailure as error:
        print(f"bench-data: {error}", file=sys.stderr)
        sys.exit(7)
