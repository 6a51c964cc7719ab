"""What the kubelet does for the operator's pod: restart it when it ends or fails its probe."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from e2e.stack import Operator

PERIOD = 2.0
"""Seconds between two probes of /healthz; the chart's are 10 s, and three failures restart there as here."""
FAILURES = 3


class Kubelet:
    """Keeps one operator running until the `with` block ends; `restarts` and `probe_failures` tell what it took."""

    def __init__(self, start: Callable[[], Operator]) -> None:
        self._start = start
        self._done = threading.Event()
        self._lock = threading.Lock()
        self.operator = start()
        self.restarts = 0
        self.probe_failures = 0
        self._thread = threading.Thread(target=self._watch, name="kubelet", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self.operator.close()

    def kill(self) -> None:
        """End the operator as a crash would; it is started again."""
        with self._lock:
            self.operator.kill()

    def stop(self) -> int:
        """Ask the operator to end, as a rolling update does, and return its exit code; it is started again."""
        with self._lock:
            return self.operator.stop()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let the operator do nothing until the `with` block ends, and ask it nothing."""
        with self._lock:
            os.kill(self.operator.pid, signal.SIGSTOP)
            try:
                yield
            finally:
                os.kill(self.operator.pid, signal.SIGCONT)

    def _watch(self) -> None:
        failures = 0
        while not self._done.wait(PERIOD):
            with self._lock:
                if self.operator.running:
                    failures = failures + 1 if self.operator.get("/healthz")[0] == 503 else 0
                    if failures < FAILURES:
                        continue
                    self.probe_failures += 1
                    with suppress(Exception):
                        self.operator.stop()
                self.operator.close()
                failures = 0
                self.restarts += 1
                self.operator = self._start()
