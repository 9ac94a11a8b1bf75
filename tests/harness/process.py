"""A child process with a log file, that can be stopped, killed, and asked what it said."""

import os
import signal
import subprocess
from pathlib import Path

STOP_SECONDS = 20


class Process:
    """One program; its output goes to `log`, which is kept across restarts."""

    def __init__(self, command: list[str], *, log: Path, environment: dict[str, str]) -> None:
        self.command = command
        self.log = log
        self._environment = environment
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._running is not None and self._running.poll() is None

    @property
    def pid(self) -> int:
        assert self._running is not None, "not started"
        return self._running.pid

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )

    def stop(self) -> int:
        """Ask it to end; returns its exit code. One that does not end in time is killed and is a failure."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: nothing is flushed, nothing is said."""
        self._end(signal.SIGKILL)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _end(self, number: int) -> int:
        if self._running is None:
            return 0
        running, self._running = self._running, None
        if running.poll() is None:
            running.send_signal(number)
        try:
            return running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            raise AssertionError(f"{self.command[-3:]} did not end within {STOP_SECONDS} s of its signal") from None


def inherited(**extra: str) -> dict[str, str]:
    """This process's environment, without what would lead a child to another cluster, plus `extra`.

    A program that is started hundreds of times is compiled once, whatever this Python was told: a third less CPU.
    """
    left_out = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "PYTHONDONTWRITEBYTECODE")
    return {k: v for k, v in os.environ.items() if k not in left_out} | extra
