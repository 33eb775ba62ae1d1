"""Run a command in the terminal's foreground, so that Ctrl-C reaches it and not `make`.

GNU make dies of an interrupt whatever its recipe answers, and so never reports the clean end of the program
it started. This does what a shell does for its jobs: the command gets a process group of its own and the
terminal, and its exit status is passed on. Without a terminal the command simply replaces this process.
"""

import contextlib
import os
import signal
import sys
from types import FrameType


def hand_over(terminal: int, group: int) -> None:
    """Make `group` the one that reads the terminal and gets its signals."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(terminal, group)
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def follow(terminal: int, child: int) -> int:
    """Wait for the child, stopping and going on with it (Ctrl-Z, `fg`); returns its exit status."""
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        hand_over(terminal, os.getpgrp())
        os.killpg(0, signal.SIGTSTP)
        hand_over(terminal, child)
        os.killpg(child, signal.SIGCONT)


def main(command: list[str]) -> int:
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
        in_foreground = os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        terminal, in_foreground = -1, False
    if not in_foreground:
        os.execvp(command[0], command)
    child = os.posix_spawnp(command[0], command, os.environ, setpgroup=0)

    def pass_on(number: int, frame: FrameType | None) -> None:
        os.killpg(child, number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    hand_over(terminal, child)
    try:
        return follow(terminal, child)
    finally:
        with contextlib.suppress(OSError):  # the terminal may have been closed meanwhile
            hand_over(terminal, os.getpgrp())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
