"""The command line of the demo: `python -m tests.demo [--keep]`."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from tests.demo import pods, stage, story
from tests.demo.screen import Screen
from tests.demo.stage import Stage, Unexpected
from tests.localkube import LocalKubeError
from tests.localnode import CannotRunError, requirements

LOG_LINES = 15
MODE = "MAKINI_DEMO"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody wants the demo to end; like KeyboardInterrupt, nothing but the end of the program catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: list[str] | None = None) -> int:
    """Play it. 0: everything was as it should be; 1: something was not; 128 + n: ended by signal n."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description="The operator at work.")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, until Enter")
    parser.add_argument("--examples", default="examples", help="folder with the YAML to apply (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    screen = Screen()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup, for example
            signal.signal(number, _interrupt)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="makini-demo-") as directory:
            try:
                is_good = _play(Path(directory), screen, chosen.examples, keep=chosen.keep)
            finally:
                _finish_undisturbed()
        screen.say(f"Cleaned up after {time.monotonic() - started:.0f} s.")
    except Interrupted as interrupted:
        screen.say(f"\nInterrupted; everything was cleaned up after {time.monotonic() - started:.0f} s.")
        return 128 + interrupted.number
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0 if is_good else 1


def _play(directory: Path, screen: Screen, examples: str, *, keep: bool) -> bool:
    """Whether everything was as it should be; if not, that has been said."""
    screen.title("Starting everything on this computer")
    log = ["it was not started"]
    try:
        opened, steps = (pods.opened, pods.STEPS) if _has_pods(screen) else (stage.opened, story.STEPS)
        with opened(directory, screen, examples) as open_stage:
            try:
                story.play(open_stage, steps)
                _summary(open_stage)
                if keep:
                    _keep(open_stage)
            finally:
                _finish_undisturbed()
                log = _last_lines(open_stage)
    except Unexpected as found:
        _fail(screen, f"NOT SO: {found.what}\nexpected: {found.expected}\nseen:     {found.seen}", log)
    except BrokenPipeError:
        raise
    except (AssertionError, LocalKubeError, OSError, subprocess.SubprocessError) as error:
        _fail(screen, f"NOT DONE: {error}", log)
    else:
        return True
    return False


def _has_pods(screen: Screen) -> bool:
    """Whether a node can run here, or a cluster is there; if neither, that has been said."""
    if os.environ.get(MODE) == "api":
        screen.say(f"{MODE}=api: only the API is shown, without pods")
        return False
    if os.environ.get(pods.EXISTING):
        return True
    try:
        requirements.ensure()
    except CannotRunError as error:
        screen.say(f"Only the API is shown, without pods: {error}")
        return False
    return True


def _summary(stage: Stage) -> None:
    screen = stage.screen
    screen.title("What was shown")
    width = max(len(what) for what in stage.checks)
    for what in stage.checks:
        screen.say(f"  {what:<{width}}  yes")
    screen.say(f"  {len(stage.checks)} of {len(stage.checks)}. Next: README.md, Quickstart by hand.")


def _keep(stage: Stage) -> None:
    kubeconfig, path = stage.environment["KUBECONFIG"], stage.environment["PATH"].split(os.pathsep)
    stage.screen.title("Everything is left running; in another terminal:")
    stage.screen.say(f"export KUBECONFIG={kubeconfig}\nexport PATH={os.pathsep.join(path[:3])}:$PATH")
    stage.screen.say("Press Enter to end it all.")
    with suppress(Interrupted):  # Ctrl-C is as good an end as Enter
        sys.stdin.readline()


def _fail(screen: Screen, what: str, log: list[str]) -> None:
    screen.say()
    screen.failure(what)
    screen.say("\n  ".join(["the last lines of the operator's log, without debugging:", *log]))


def _last_lines(stage: Stage) -> list[str]:
    try:
        lines = stage.log().splitlines()
    except (Unexpected, subprocess.SubprocessError) as error:
        lines = [f"cannot be read: {error}"]
    return [line for line in lines if " DEBUG " not in line][-LOG_LINES:]


def _interrupt(number: int, _: FrameType | None) -> None:
    _finish_undisturbed()
    raise Interrupted(number)


def _finish_undisturbed() -> None:
    """A second Ctrl-C must not leave half of it running."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
