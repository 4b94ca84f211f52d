"""What `make bench-engine` demands of the load engine, as pure functions over what was measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

TIMES = 3.0  # as many requests per CPU-second as Locust's FastHttpUser, at least
SHARE = 0.05  # of the CPU used at MLflow's saturation, at most
FULL = 0.85  # of the machine, or of a core by one process, must be busy, or nothing was saturated
OURS, LOCUST, WRK = "engine", "locust", "wrk"


@dataclass(frozen=True)
class Block:
    """What one generator sent in one block.

    Args:
        done: requests that were answered with 200; `bad` those that were not.
        cpu: seconds of CPU that the generator took.
    """

    generator: str
    done: int
    bad: int
    cpu: float

    @property
    def rate(self) -> float:
        """Requests per CPU-second."""
        return self.done / self.cpu


@dataclass(frozen=True)
class Saturated:
    """CPU seconds used while MLflow took one kind of request.

    Args:
        busy: the share of the machine's CPU that was used by anybody, or of one core by the stack's busiest process (a
            worker of Python cannot use more than one), whichever is more; 0 to 1.
        bad: requests that were not answered with 200.
    """

    kind: str
    generator: float
    stack: float
    busy: float
    done: int
    bad: int

    @property
    def share(self) -> float:
        """The generator's part of what generator, server, Postgres and object store took."""
        return self.generator / (self.generator + self.stack)


def median_rate(blocks: list[Block], generator: str) -> float:
    """Requests per CPU-second of `generator`, the median of its blocks; 0 without any."""
    return statistics.median([b.rate for b in blocks if b.generator == generator] or [0.0])


def ratio(blocks: list[Block], other: str) -> float:
    """How many times `other` the engine is: the median of the ratios of blocks that stand side by side; 0 without."""
    pairs = zip(*([b.rate for b in blocks if b.generator == g] for g in (OURS, other)), strict=False)
    return statistics.median([mine / theirs for mine, theirs in pairs if theirs] or [0.0])


def broken(blocks: list[Block], saturated: list[Saturated]) -> list[str]:
    """Every demand that was not kept, or could not be shown to be, in words."""
    wrong = [f"{b.generator}: a block without a request" for b in blocks if not b.done]
    wrong += [f"{b.generator}: {b.bad} of {b.done + b.bad} requests were not answered well" for b in blocks if b.bad]
    times = ratio(blocks, LOCUST)
    if not times:
        wrong.append("nothing to compare the engine with: no block of Locust")
    elif times < TIMES:
        wrong.append(f"{times:.2f} times Locust's requests per CPU-second, not {TIMES:g} or more")
    if not saturated:
        wrong.append("MLflow was not loaded: no share of CPU was measured")
    for found in saturated:
        if found.bad:
            wrong.append(f"{found.kind}: {found.bad} of {found.done + found.bad} requests were not answered well")
        if found.busy < FULL:
            idle = f"neither the machine nor one worker was busy for more than {found.busy:.0%}"
            wrong.append(f"{found.kind}: {idle}, MLflow was not saturated")
        if found.share > SHARE:
            wrong.append(f"{found.kind}: the engine took {found.share:.1%} of the CPU, not {SHARE:.0%} or less")
    return wrong


def table(blocks: list[Block], saturated: list[Saturated], without: str = "") -> str:
    """What was measured, for people; `without` says why a line is missing."""
    lines = ["against a null server, medians of blocks side by side:"]
    lines.append(f"  {'generator':22} {'blocks':>6} {'requests/CPU-s':>15} {'engine is':>10}")
    for name in dict.fromkeys(b.generator for b in blocks):
        times = "" if name == OURS else f"{ratio(blocks, name):.2f} ×"
        count = sum(b.generator == name for b in blocks)
        lines.append(f"  {name:22} {count:6} {median_rate(blocks, name):15,.0f} {times:>10}")
    lines += [f"  {without}"] if without else []
    lines += ["", "at MLflow's saturation, CPU seconds:"]
    lines.append(f"  {'requests':22} {'number':>6} {'engine':>8} {'stack':>8} {'share':>7} {'busy':>13}")
    for s in saturated:
        lines.append(
            f"  {s.kind:22} {s.done:6} {s.generator:8.2f} {s.stack:8.1f} {s.share:7.2%} {min(s.busy, 1):13.0%}"
        )
    return "\n".join(lines)
