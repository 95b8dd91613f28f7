"""Runs of `fit` in processes of their own, which tests kill: forked from a server that has all imported."""

import collections
import contextlib
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint  # noqa: F401  imported once, by the server

import gradchain as gc
from gradchain import train

UNFINISHED = "orbax-checkpoint-tmp"
"""A part of the name of what Orbax has not finished to write."""
LIMIT = 60.0
"""Seconds until a run that does not end is killed."""


def data(step: int) -> np.ndarray:
    """The batch of a step."""
    return np.random.default_rng(step).standard_normal((4, 8)).astype(np.float32)


def parameters() -> dict[str, Any]:
    """The parameters that every run begins with: 9 KiB and a bias."""
    return {"w": jnp.full((8, 288), 0.1), "b": jnp.zeros(288)}


def loss(params: dict[str, Any], batch: Any, key: Any) -> Any:
    """A loss with random noise, so that a run that draws other numbers ends elsewhere."""
    noise = jax.random.normal(key, (288,))
    return jnp.mean((jnp.tanh(batch @ params["w"]) + params["b"][None] - noise[None]) ** 2)


def optimizer() -> Any:
    """Moments, a count and a random key in the state."""
    return gc.chain(gc.add_noise(0.01, 0.55, 3), gc.adam(1e-2))


def run(
    told: Connection,
    directory: str | None,
    steps: int,
    *,
    stops_at: tuple[bytes, int] | None = None,
    full_at: int | None = None,
) -> None:
    """Trains; sends the step and the parameters, or the error and its text.

    Args:
        told: gets a byte at each event: "s", a step begins; "w", what is being saved is made or renamed.
        stops_at: an event and its number, at which the thread that it happens in stands still: "S" or "W".
        full_at: the step at which the disk is full.
    """
    events = collections.Counter[bytes]()

    def happens(kind: bytes) -> None:
        events[kind] += 1
        stops = (kind, events[kind]) == stops_at
        os.write(told.fileno(), kind.upper() if stops else kind)
        if stops:
            time.sleep(LIMIT)

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event in ("os.mkdir", "os.rename") or (
            event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax")
        )
        if writes and UNFINISHED in str(arguments[0]):
            happens(b"w")

    def batch(step: int) -> Any:
        happens(b"s")
        if step == full_at:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        return data(step)

    sys.addaudithook(audited)
    try:
        found = train.fit(loss, parameters(), optimizer(), batch, steps, directory=directory, save_every=5)
    except train.SaveError as error:
        os.write(told.fileno(), b"E")
        told.send(str(error))
        return
    os.write(told.fileno(), b"E")
    told.send((found.step, jax.device_get(found.params)))


class Run:
    """A run in a process of its own. Every method waits for at most `LIMIT` seconds."""

    def __init__(self, context: Any, *args: Any, **kwargs: Any):
        self.heard, told = context.Pipe(duplex=False)
        self.process = context.Process(target=run, args=(told, *args), kwargs=kwargs)
        self.process.start()
        told.close()

    def until(self, wanted: bytes) -> bytes:
        """Waits for one of these events, or the end. Returns: the event; nothing if the process ended."""
        deadline = time.monotonic() + LIMIT
        while self.heard.poll(max(deadline - time.monotonic(), 0)):
            event = os.read(self.heard.fileno(), 1)
            if event in wanted or not event:
                return event
        raise AssertionError(f"none of {wanted!r} within {LIMIT} s")

    def end(self, number: int) -> int:
        """Sends a signal. Returns: the exit code."""
        os.kill(self.process.pid, number)
        return self.code()

    def code(self) -> int:
        """Waits for the end. Returns: the exit code; below 0 for a signal."""
        self.process.join(LIMIT)
        assert self.process.exitcode is not None, "does not end"
        return self.process.exitcode

    def told(self) -> Any:
        """What the run has sent."""
        assert self.until(b"E") == b"E", "ended without a word"
        found = self.heard.recv()
        assert self.code() == 0
        return found

    def kill(self) -> None:
        """Ends it, whatever it does."""
        self.process.kill()
        self.process.join()
        self.heard.close()


class Server:
    """Starts runs."""

    def __init__(self) -> None:
        self.context: Any = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([__name__])

    @contextlib.contextmanager
    def run(self, *args: Any, **kwargs: Any) -> Iterator[Run]:
        """A run with these arguments, which has ended afterwards."""
        started = Run(self.context, *args, **kwargs)
        try:
            yield started
        finally:
            started.kill()

    def result(self, *args: Any, **kwargs: Any) -> Any:
        """What a run sends that is left alone."""
        with self.run(*args, **kwargs) as started:
            return started.told()
