"""Runs that are killed, terminated, or out of disk go on with the very bits of a run that was not."""

import concurrent.futures
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import training_runs as runs
from processes import free_port, together
from training_runs import UNFINISHED, Server

from gradchain import train
from gradchain.train.rendezvous import meet

KILLS = 20


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


def assert_same_bits(server: Server, found: tuple[int, Any]) -> None:
    """Compares a run with one of as many steps that was never interrupted, nor saved."""
    step, params = found
    _, expected = server.result(None, step)
    jax.tree.map(np.testing.assert_array_equal, params, expected)


def saved_in(directory: Path) -> list[int]:
    return sorted(int(p.name) for p in directory.iterdir() if p.name.isdecimal())


def test_killed_twenty_times_at_random_moments(server: Server, tmp_path: Path) -> None:
    at_random = random.Random(0)
    directory = tmp_path / "run"
    while_writing, reached = 0, []
    for i in range(KILLS):
        event = None if i % 2 else (b"w", at_random.randrange(2, 30))  # or at any time, in any thread
        with server.run(str(directory), 10**6, stops_at=event) as run:
            run.until(b"W" if event else b"s")
            time.sleep(at_random.uniform(0, 0.3))
            assert run.end(signal.SIGKILL) == -signal.SIGKILL
        while_writing += any(UNFINISHED in p.name for p in directory.iterdir())
        reached.append(max(saved_in(directory), default=0))
    assert while_writing >= 5, "too few of them were writing"
    assert reached == sorted(reached), "lost a checkpoint"
    assert reached[-1] > 0
    assert not (directory / "bad").exists(), "something was half written, or changed while it was written"
    assert_same_bits(server, server.result(str(directory), reached[-1] + 12))
    assert len(saved_in(directory)) == 3
    assert not any(UNFINISHED in p.name for p in directory.iterdir())


def test_sigterm_saves_the_step_and_ends_with_143(server: Server, tmp_path: Path) -> None:
    with server.run(str(tmp_path), 10**6) as run:
        for _ in range(8):
            assert run.until(b"s") == b"s"
        assert run.end(signal.SIGTERM) == 143
    (*_, last) = saved_in(tmp_path)
    assert last >= 7
    found = server.result(str(tmp_path), last + 4)
    assert found[0] == last + 4
    assert_same_bits(server, found)


def test_two_runs_in_one_directory(server: Server, tmp_path: Path) -> None:
    given = (runs.loss, runs.parameters(), runs.optimizer(), runs.data, 1)
    with server.run(str(tmp_path), 10**6, stops_at=(b"s", 3)) as run:
        run.until(b"S")
        with pytest.raises(BlockingIOError, match="another process trains in"):
            train.fit(*given, directory=tmp_path)
    assert train.fit(*given, directory=tmp_path).step == 1


def test_a_full_disk_stops_the_run_and_keeps_what_is_saved(server: Server, tmp_path: Path) -> None:
    text = server.result(str(tmp_path), 30, full_at=12)
    failed = re.search(r"step (10|15) could not be saved", text)  # 10 may still be written at step 12
    assert failed, text
    good = int(failed[1]) - 5
    assert f"The last good one is that of step {good}" in text
    assert "File too large" in text
    assert saved_in(tmp_path)[-1] == good
    assert_same_bits(server, server.result(str(tmp_path), 17))


SHARDED = """
import os, pathlib, signal
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
import training_runs as runs
import xla
from gradchain import train
from gradchain.train.checksums import checksums

os.environ["XLA_FLAGS"] += " " + " ".join(xla.fast_compilation())
train.join_processes(f"127.0.0.1:{PORT}", 2, PROCESS, timeout=60)
mesh = Mesh(np.asarray(jax.devices()), ("x",))
whole, columns, rows = (NamedSharding(mesh, P(*spec)) for spec in ((), (None, "x"), ("x",)))

def placed(step):
    x = runs.data(step)
    return jax.make_array_from_callback(x.shape, rows, lambda index: x[index])

class Batches:
    "Each process has a position of its own."
    def __init__(self):
        self.at = 100 * PROCESS
    def __next__(self):
        self.at += 1
        return placed(self.at - 1 - 100 * PROCESS)
    def __iter__(self):
        return self
    def get_state(self):
        return self.at
    def set_state(self, state):
        assert state // 100 == PROCESS
        self.at = state

def fit(data, steps, directory):
    return train.fit(
        runs.loss, runs.parameters(), runs.optimizer(), data, steps,
        directory=directory, save_every=5, shardings={"w": columns, "b": whole},
    )

first = pathlib.Path(os.environ["DIRECTORY"], "first")
fit(Batches(), 7, first)
(first / "7" / "about" / "metadata").write_text("damaged")
resumed, expected = fit(Batches(), 8, first), fit(placed, 8, None)
same = checksums(resumed.params) == checksums(expected.params) and (first / "bad" / "7").exists()

def data(step):
    if (PROCESS, step) == (1, 7):
        os.kill(os.getpid(), signal.SIGTERM)
    return placed(step)

try:
    fit(data, 200, os.path.join(os.environ["DIRECTORY"], "second"))
except train.Preempted as end:
    tell([same, end.step, end.code])
"""


def test_two_processes_fall_back_and_stop_together_and_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIRECTORY", str(tmp_path))
    (same, step, code), other = together(SHARDED, processes=2, devices=2, join=False)
    assert other == [same, step, code]
    assert same
    assert code == 143
    assert 7 <= step < 200
    assert saved_in(tmp_path / "second")[-1] == step

    def ended(directory: Path | None) -> Any:
        given = (runs.loss, runs.parameters(), runs.optimizer(), runs.data, step + 3)
        return train.fit(*given, directory=directory)

    resumed, expected = ended(tmp_path / "second"), ended(None)
    assert resumed.metrics["step"][-1] == step + 3
    for name, x in expected.params.items():
        np.testing.assert_allclose(resumed.params[name], x, rtol=2e-4, atol=2e-5)


def test_a_process_that_never_comes_is_named() -> None:
    code = """
from gradchain import train
try:
    train.join_processes(f"127.0.0.1:{PORT}", 2, 0, timeout=1)
except TimeoutError as error:
    tell(str(error))
"""
    (text,) = together(code, processes=1, devices=1, join=False)
    assert re.match(
        r"join_processes: process 1 of 2 has not come to 127.0.0.1:\d+ within 1 s. Look whether it runs",
        text,
    )


def met(processes: int, come: list[tuple[int, int]], timeout: float) -> list[str]:
    """How it ends for those that come: (process, the processes that it expects)."""
    address = f"127.0.0.1:{free_port()}"

    def ends(process: int, expected: int) -> str:
        try:
            meet(address, expected, process, timeout)
        except (TimeoutError, ValueError) as error:
            return str(error)
        return "met"

    with concurrent.futures.ThreadPoolExecutor(processes) as threads:
        return [end.result() for end in [threads.submit(ends, *one) for one in come]]


def test_processes_meet_or_all_hear_why_not() -> None:
    assert met(3, [(2, 3), (0, 3), (1, 3)], 20.0) == ["met"] * 3
    first, second = met(3, [(0, 3), (2, 3)], 0.5)
    assert first == second
    assert "process 1 of 3 has not come" in first
    (alone,) = met(2, [(1, 2)], 0.3)
    assert "process 0 of 2 has not come" in alone
    for end in met(2, [(0, 2), (1, 3)], 20.0):
        assert "process 1 expects 3 processes, process 0 expects 2" in end
    with pytest.raises(ValueError, match="or none of them"):
        train.join_processes("127.0.0.1:1", 2)
    with pytest.raises(ValueError, match="below num_processes=2, received 2"):
        train.join_processes("127.0.0.1:1", 2, 2)
    with pytest.raises(ValueError, match='must be "host:port"'):
        train.join_processes("127.0.0.1", 2, 1)
