"""Ctrl-C at any moment: one line, exit code 130, and what is finished is written."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gradchain.compare import interruption, session, starting, training, writing
from gradchain.compare.command import gradchain
from gradchain.compare.runner import Trainer

SHORT = ("--epochs", "1", "--seeds", "2", "--batch-size", "128")
ENDLESS = ("regression", "--epochs", "1000000", "--seeds", "1", "--optimizers", "sgd,adam")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.fixture(autouse=True)
def _hear_ctrl_c() -> Iterator[None]:
    """A test run in the background of a shell has Ctrl-C ignored, and so have the processes it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
    for thread in threading.enumerate():
        if thread.name == training.THREAD:  # it may still be compiling for a test that has ended
            thread.join()


@pytest.fixture
def compare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return lambda *options: CliRunner().invoke(gradchain, ["compare", *options])


def interrupt_at(monkeypatch: pytest.MonkeyPatch, name: str, number: int = signal.SIGINT) -> None:
    """Sends a signal when this contender's turn has come."""
    run = Trainer.run

    def interrupted(self, contender, on_progress):
        if contender.name == name:
            waiting = threading.main_thread().ident
            assert waiting is not None
            signal.pthread_kill(waiting, number)
        return run(self, contender, on_progress)

    monkeypatch.setattr(Trainer, "run", interrupted)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")],
    ids=["SIGINT", "SIGTERM"],
)
def test_an_interruption_keeps_what_finished(compare, monkeypatch, number, code, word):
    monkeypatch.setattr(training, "MOST_AT_ONCE", 1)  # so that it is known who has finished
    interrupt_at(monkeypatch, "adam", number)
    before = signal.getsignal(number)
    result = compare("regression", *SHORT, "--optimizers", "sgd,rmsprop,adam,nadam")
    assert result.exit_code == code, result.output
    assert f"{word}: 2 of 4 optimizers finished; not finished: adam, nadam." in result.output
    out = Path("gradchain-out")
    content = json.loads((out / "results.json").read_text())
    assert {r["optimizer"] for r in content["results"]} == {"sgd", "rmsprop"}
    assert content["settings"]["unfinished"] == ["adam", "nadam"]
    assert "Not finished: adam, nadam" in (out / "report.html").read_text()
    assert {p.name for p in out.iterdir()} == set(writing.WRITTEN)
    assert signal.getsignal(number) is before


def test_an_interruption_before_anything_finished(compare, monkeypatch):
    interrupt_at(monkeypatch, "sgd")
    result = compare("regression", *SHORT)
    assert result.exit_code == 130
    assert "0 of 10 optimizers finished" in result.output
    assert list(Path("gradchain-out").iterdir()) == []


def test_an_interruption_while_writing_lets_it_be_finished(compare, monkeypatch):
    write = session.write

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        return write(*args)

    monkeypatch.setattr(session, "write", interrupted)
    result: Result = compare("regression", *SHORT, "--optimizers", "sgd")
    assert result.exit_code == 130
    assert "Interrupted after the last step: all is written." in result.output
    assert {p.name for p in Path("gradchain-out").iterdir()} == set(writing.WRITTEN)


def test_a_second_signal_ends_at_once_unless_it_is_an_echo(monkeypatch):
    ended = []
    monkeypatch.setattr(starting, "end_by", ended.append)
    monkeypatch.setattr(interruption, "ONE_PRESS", 0.05)
    told = []
    with interruption.Interruption(lambda: told.append(1)) as noted:
        for pause in (0.0, 0.06):
            time.sleep(pause)
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
    assert (noted.code, noted.word, told) == (130, "interrupted", [1])
    assert ended == [signal.SIGINT] * 2


def test_ignored_signals_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruption.Interruption(lambda: None) as noted:
        signal.raise_signal(signal.SIGINT)
    assert noted.code == 0


@pytest.mark.parametrize(
    ("argv", "orig_argv", "expected"),
    [
        (["/usr/bin/gradchain", "compare"], ["python", "/usr/bin/gradchain", "compare"], True),
        (["-m", "compare"], ["python", "-X", "dev", "-m", "gradchain", "compare"], True),
        (["-m"], ["python", "-mgradchain"], True),
        (["-m", "gradchain"], ["python", "-m", "theirs", "gradchain"], False),
        (["train.py"], ["python", "train.py"], False),
        ([], ["python"], False),
    ],
)
def test_only_the_command_listens(monkeypatch, argv, orig_argv, expected):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig_argv)
    assert starting.is_command() is expected


def listens(process: subprocess.Popen) -> bool:
    """Whether SIGTERM has a handler: Python itself installs none."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


# From the moment the command listens: JAX is imported, then the rest, data are read, programs compiled.
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux who listens")
@pytest.mark.parametrize(
    ("seconds", "number"),
    [
        *[(s, signal.SIGINT) for s in (0.0, 0.3, 0.9, 1.8, 3.0, 5.0)],
        *[(s, signal.SIGTERM) for s in (0.6, 4.0)],
    ],
)
def test_at_any_moment(tmp_path, seconds, number):
    command = [sys.executable, "-m", "gradchain", "compare", *ENDLESS]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as process:
        while not listens(process):
            time.sleep(0.002)
        time.sleep(seconds)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
    assert process.returncode == 128 + number, err
    told = [line for line in (out + err).splitlines() if word in line.lower()]
    assert len(told) == 1, out + err
    assert err in ("", f"gradchain: {word}.\n")
    folder = tmp_path / "gradchain-out"
    assert not folder.exists() or not list(folder.iterdir())
