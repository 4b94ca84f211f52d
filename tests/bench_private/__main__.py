"""How long until a private stack is ready: on a clone of a template, and cold, side by side (`make bench-private`).

Exit code 0: the median clone takes at most a quarter of the median cold one; 1: it does not; 7: one was not started.
"""

import statistics
import sys
import time
import warnings

from fixtures.backends.clones import open_clones
from fixtures.backends.private import open_private_stack
from fixtures.core.waiting import StartFailure

PAIRS, SHARE = 5, 0.25
warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")


def seconds(begin):
    """How long `begin` takes to yield a stack; its end is not counted."""
    start = time.monotonic()
    with begin() as found:
        took = time.monotonic() - start
        assert found is not None
    return took


def main():
    start = time.monotonic()
    with open_clones() as source:
        print(f"template and warm process, once: {time.monotonic() - start:.2f} s")
        print(f"{'':8}{'cold':>8}{'clone':>8}{'share':>8}")
        cold, clone = [], []
        for number in range(PAIRS):
            order = (cold, clone) if number % 2 else (clone, cold)
            for taken in order:
                taken.append(seconds(open_private_stack if taken is cold else source.stack))
            print(
                f"{'pair ' + str(number + 1):8}{cold[-1]:7.2f}s{clone[-1]:7.2f}s{clone[-1] / cold[-1]:8.2f}", flush=True
            )
    slow, quick = statistics.median(cold), statistics.median(clone)
    kept = quick <= SHARE * slow
    print(
        f"{'median':8}{slow:7.2f}s{quick:7.2f}s{quick / slow:8.2f}  at most {SHARE}: {'kept' if kept else 'NOT KEPT'}"
    )
    return int(not kept)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StartFailure as error:
        print(f"bench-private: {error}", file=sys.stderr)
        sys.exit(7)
