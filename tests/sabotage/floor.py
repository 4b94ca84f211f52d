"""pytest -p tests.sabotage.floor: checks send the least that they ever do, as on a very slow server."""

from fixtures.core.speed import Speed


def send_least(self: Speed, usual: int, floor: int) -> int:
    return floor


Speed.scale_count = send_least  # type: ignore[method-assign]
