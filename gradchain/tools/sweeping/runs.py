"""The runs of a sweep: mapped where they can be, in an outer loop where not."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...core.types import ArrayTree
from ...tree.paths import paths
from ..xla_flags import compiler_options

Point = Mapping[str, Any]
Train = Callable[..., ArrayTree]

MEMORY = 0.8
"""The part of the free memory that the runs of one chunk may take."""


class Runs:
    """Trains with the transformations that `make` makes from points: values by name.

    Args: who, for errors; train; make; looped, by name, why its values cannot be traced; args, for `train`.
    Attributes: mapped, the names that are traced; looped, now with what was found by trying;
        compile_seconds and seconds, what the programs took to make and to run.
    """

    def __init__(
        self,
        who: str,
        train: Train,
        make: Callable[[Point], Any],
        looped: Mapping[str, str],
        args: Sequence[Any] = (),
    ):
        self.who, self.train, self.make, self.args = who, train, make, tuple(args)
        self.mapped: list[str] = []
        self.looped = dict(looped)
        self.compile_seconds = self.seconds = 0.0
        self.programs: dict[Any, Any] = {}

    def results(self, points: Sequence[Point], chunk: int | None, progress: bool) -> dict[str, np.ndarray]:
        """What `train` returned, by the names of its leaves, stacked along the points."""
        began = time.perf_counter()
        self.settle(points[0], min(chunk or len(points), len(points)))
        self.compile_seconds += time.perf_counter() - began
        groups: dict[str, list[int]] = {}
        for i, point in enumerate(points):
            groups.setdefault(self.key(point), []).append(i)
        rows: list[Any] = [None] * len(points)
        with bar(len(points), progress) as moved:
            for members in groups.values():
                for i, row in self._group(points, members, chunk, moved):
                    rows[i] = row
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def settle(self, point: Point, size: int = 1) -> None:
        """Leaves only those names in `mapped` with which `train` can be traced.

        Args: size, how many runs there will be at once, so that the trace need not be made again.
        """
        self.mapped = [name for name in point if name not in self.looped]
        if self._refusal(point, self.mapped, size) is None:
            return
        alone = {name: self._refusal(point, [name], size) for name in self.mapped}
        self.looped |= {name: why for name, why in alone.items() if why is not None}
        self.mapped = [name for name in point if name not in self.looped]
        if self._refusal(point, self.mapped, size) is not None:  # each alone, but not together
            self.looped |= dict.fromkeys(self.mapped, "it cannot be traced together with the others")
            self.mapped = []

    def key(self, point: Point) -> str:
        """What the points of one program have in common: the values that are not traced."""
        return repr([(name, _key(value)) for name, value in point.items() if name in self.looped])

    def alone(self, point: Point) -> Callable[[Point], dict[str, jax.Array]]:
        """The compiled program of single runs of points with this one's `key`."""
        program = self._jitted(point, self.mapped, 1, jax.local_devices()[:1])

        def run(point: Point) -> dict[str, jax.Array]:
            columns = program(self._numbers([point], [0]), *self.args)
            return {name: column[0] for name, column in columns.items()}

        return run

    def _refusal(self, point: Point, names: list[str], size: int) -> str | None:
        """Why these names cannot be traced, or None. Other errors come again with plain values."""
        if not names:
            return None
        devices, size = _shares(size)
        program = self._jitted(point, names, size, devices)
        try:
            program.eval_shape(_shapes(names, size), *self.args)
        except (TypeError, ValueError, NotImplementedError) as error:
            return (str(error).strip().splitlines() or [type(error).__name__])[0]
        return None

    def _group(
        self, points: Sequence[Point], members: list[int], chunk: int | None, moved: Callable[[int], None]
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Runs that differ in mapped numbers only: number and results of each."""
        began = time.perf_counter()
        size = min(chunk or len(members), len(members)) if self.mapped else 1
        program, size = self._compiled(points[members[0]], size, fit=chunk is None)
        self.compile_seconds += time.perf_counter() - began
        for start in range(0, len(members), size):
            now = members[start : start + size]
            asked = now + [now[-1]] * (size - len(now))  # every chunk has the shape that is compiled
            began = time.perf_counter()
            found = jax.device_get(program(self._numbers(points, asked), *self.args))
            self.seconds += time.perf_counter() - began
            for k, i in enumerate(now):
                yield i, {name: np.asarray(column[k]) for name, column in found.items()}
            moved(len(now))

    def _numbers(self, points: Sequence[Point], members: list[int]) -> dict[str, np.ndarray]:
        return {name: np.asarray([points[i][name] for i in members], np.float32) for name in self.mapped}

    def _compiled(self, point: Point, size: int, fit: bool) -> tuple[Any, int]:
        """The program for `size` runs at once, or for as many as the memory holds, and their number."""
        while True:
            devices, size = _shares(size)
            program = self._jitted(point, self.mapped, size, devices)
            lowered = program.lower(_shapes(self.mapped, size), *self.args)
            compiled = lowered.compile(compiler_options(self.make(point)))
            room = _room(compiled, devices[0]) if fit else 1.0
            if room >= 1 or size == len(devices):
                return compiled, size
            size = max(int(size * room), len(devices)) // len(devices) * len(devices)

    def _jitted(self, point: Point, names: list[str], size: int, devices: Any) -> Any:
        """`_program` to be compiled, the same for the same question: it remembers its trace."""
        asked = (repr([(n, _key(v)) for n, v in point.items() if n not in names]), tuple(names), size)
        if asked not in self.programs:
            self.programs[asked] = jax.jit(self._program(point, names, size, devices))
        return self.programs[asked]

    def _program(self, point: Point, names: list[str], size: int, devices: Any) -> Callable[..., Any]:
        """From numbers, each f32[size], to results by the names of their leaves."""
        fixed = {name: value for name, value in point.items() if name not in names}

        def one(numbers: dict[str, jax.Array], *args: Any) -> dict[str, jax.Array]:
            # In the order of the point: the user's function may rely on it.
            tx = self.make({name: (fixed | numbers)[name] for name in point})
            return named(self.who, self.train(tx, *args), point)

        share, shared = size // max(len(devices), 1), len(self.args)
        every = jax.vmap(one, (0, *[None] * shared), axis_size=share)
        if len(devices) <= 1:
            return every
        mesh = jax.sharding.Mesh(np.asarray(devices), ("runs",))
        apart, whole = jax.sharding.PartitionSpec("runs"), jax.sharding.PartitionSpec()
        return _shard_map(every, mesh, (apart, *[whole] * shared), apart)


def _shares(size: int) -> tuple[Any, int]:
    """The devices for so many runs, and the number of runs, now the same on each."""
    devices = jax.local_devices()[:size]
    return devices, -(-size // len(devices)) * len(devices)


def _shapes(names: list[str], size: int) -> dict[str, jax.ShapeDtypeStruct]:
    return {name: jax.ShapeDtypeStruct((size,), jnp.float32) for name in names}


def named(who: str, results: ArrayTree, point: Point) -> dict[str, jax.Array]:
    """The leaves of a tree of results by name.

    Raises: TypeError if there are none; ValueError for one with the name of a hyperparameter.
    """
    leaves = zip(jax.tree.leaves(paths(results)), jax.tree.leaves(results), strict=True)
    found = {name or "result": jnp.asarray(leaf) for name, leaf in leaves}
    if not found:
        raise TypeError(f"{who}: train returned {results!r}; it must return arrays, such as the loss.")
    for name in found:
        if name in point or name == "diverged":
            raise ValueError(f"{who}: train returned {name!r}, which is another column: rename it.")
    return found


@contextlib.contextmanager
def bar(total: int, wanted: bool) -> Iterator[Callable[[int], None]]:
    """A bar of runs, if rich is installed and someone looks."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield lambda runs: None
        return
    console = Console(stderr=True)
    seen = wanted and (console.is_terminal or console.is_jupyter)
    columns = (
        TextColumn("sweep"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not seen) as progress:
        task = progress.add_task("", total=total)
        yield lambda runs: progress.advance(task, runs)


def _key(value: Any) -> Any:
    """What tells values apart whose `repr` may not."""
    return (
        value
        if isinstance(value, (bool, int, float, str, type(None)))
        else (type(value).__name__, id(value))
    )


def _shard_map(function: Callable[..., Any], mesh: Any, given: Any, returned: Any) -> Callable[..., Any]:
    """Each device computes its share and waits for no other."""
    if hasattr(jax, "shard_map"):
        return jax.shard_map(function, mesh=mesh, in_specs=given, out_specs=returned, check_vma=False)
    from jax.experimental.shard_map import shard_map

    return shard_map(function, mesh, in_specs=given, out_specs=returned, check_rep=False)  # type: ignore[call-arg]


def _room(compiled: Any, device: Any) -> float:
    """How much of the runs of a program the memory holds; 1 where this cannot be known."""
    analysis, free = compiled.memory_analysis(), _free_memory(device)
    if analysis is None or not free:
        return 1.0
    needed = analysis.temp_size_in_bytes + analysis.output_size_in_bytes
    return min(1.0, MEMORY * free / needed) if needed else 1.0


def _free_memory(device: Any) -> int:
    """The free bytes of a device; of the machine, for a CPU; 0 if unknown."""
    if device.platform == "cpu":
        try:
            lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        except OSError:  # not on every system
            return 0
        free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 0)
        return free // len(jax.local_devices(backend="cpu"))
    stats = device.memory_stats() or {}
    return stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0)
