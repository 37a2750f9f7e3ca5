"""Programs that end in order, however they are asked to."""

import signal
from typing import Any

REQUESTS = (signal.SIGINT, signal.SIGTERM)


def end_in_order() -> None:
    """Have the first request to end raise `KeyboardInterrupt`, and no later one disturb what is undone then."""

    def end(*_: Any) -> None:
        for request in REQUESTS:
            signal.signal(request, signal.SIG_IGN)  # make and timeout both pass theirs on
        raise KeyboardInterrupt

    for request in REQUESTS:
        signal.signal(request, end)
