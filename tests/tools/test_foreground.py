"""Ctrl-C at `make run`: the program ends in its own way and make reports its exit status."""

import os
import pty
import signal
import sys
from pathlib import Path

from tools import foreground

PROGRAM = """\
import os, signal, subprocess, sys
children = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in "ab"]
try:
    print("READY", flush=True)
    signal.pause()
except KeyboardInterrupt:
    for child in children:
        child.communicate()
    print("ended cleanly", flush=True)
    sys.exit(%d)
"""


def type_ctrl_c_at(arguments: list[str]) -> tuple[int, str]:
    """Run a program in a terminal, press Ctrl-C once it is ready; its exit status and what it printed."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(arguments[0], arguments)
    output = b""
    while chunk := _read(terminal):
        output += chunk
        if b"READY" in chunk:
            os.write(terminal, b"\x03")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""


def makefile(folder: Path, exit_status: int) -> list[str]:
    (folder / "program.py").write_text(PROGRAM % exit_status)
    command = f'exec "{sys.executable}" "{foreground.__file__}" "{sys.executable}" program.py'
    (folder / "Makefile").write_text(f"run:\n\t@{command}\n")
    return ["make", "-C", str(folder), "--no-print-directory", "run"]


def test_make_ends_well_when_the_program_does(tmp_path: Path) -> None:
    status, output = type_ctrl_c_at(makefile(tmp_path, 0))
    assert "ended cleanly" in output
    assert "***" not in output
    assert status == 0


def test_a_failing_program_makes_make_fail(tmp_path: Path) -> None:
    status, output = type_ctrl_c_at(makefile(tmp_path, 3))
    assert "Error 3" in output
    assert status == 2


def test_the_terminal_is_given_back(tmp_path: Path) -> None:
    make = " ".join(f"'{word}'" for word in makefile(tmp_path, 0))
    ask = f"'{sys.executable}' -c 'import os; print(os.tcgetpgrp(0) == os.getpgrp())'"
    status, output = type_ctrl_c_at(["sh", "-c", f"{make}; {ask}"])
    assert status == 0
    assert output.splitlines()[-1] == "True"


def test_without_a_terminal_the_program_simply_runs(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM % 0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(writer, 1)
        command = [sys.executable, foreground.__file__, sys.executable, str(tmp_path / "program.py")]
        os.execv(command[0], command)
    os.close(writer)
    with os.fdopen(reader) as output:
        assert output.readline() == "READY\n"
        os.killpg(child, signal.SIGINT)
        assert output.read() == "ended cleanly\n"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
