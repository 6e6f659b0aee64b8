"""Images per second, and the share of time spent waiting for data."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Throughput:
    """Measurements of the current epoch; times in seconds.

    loss: mean of the epoch so far, None before it is first fetched from the device.
    """

    started: float = 0.0
    waited: float = 0.0
    images: int = 0
    loss: float | None = None

    def start_epoch(self) -> None:
        """Restart the measurements; the loss stays until the next one is known."""
        self.started, self.waited, self.images = time.monotonic(), 0.0, 0

    def status(self) -> str:
        """Return the loss, if known, and the share of waiting time."""
        loss = "" if self.loss is None else f"loss {self.loss:.3f}, "
        return f"{loss}{self._waiting()}"

    def epoch_rate(self) -> str:
        """Return images per second and the share of waiting time."""
        return f"{self.images / self._seconds():,.0f} images/s, {self._waiting()}"

    def time_waits(self, batches: Iterator[T]) -> Iterator[T]:
        """Pass on `batches`, and add up the time spent waiting for each."""
        while True:
            before = time.monotonic()
            batch = next(batches, None)
            self.waited += time.monotonic() - before
            if batch is None:
                return
            yield batch

    def _waiting(self) -> str:
        return f"{self.waited / self._seconds():.0%} waiting for data"

    def _seconds(self) -> float:
        return max(time.monotonic() - self.started, 1e-9)
