"""First calls: what importing, constructing, and a first step without `jit` do, counted and not timed."""

import gc as garbage
import inspect
import subprocess
import sys
import textwrap
import tracemalloc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import CASES
from trees import check_close, gradients, params

import gradchain as gc
from gradchain.core import OrderWarning


def is_made(tx: Any) -> bool:
    """Whether the factory's own code has run."""
    return "parts" in vars(tx)


def fresh_process(code: str) -> list[str]:
    """What a program prints in a fresh interpreter, by words."""
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True
    )
    return run.stdout.split()


# Importing


def test_import_starts_no_backend_and_imports_little() -> None:
    program = """
        import jax
        before = set(__import__("sys").modules)
        import gradchain
        import sys
        imported = sorted(set(sys.modules) - before)
        gradchain.losses, gradchain.tools  # what comes later starts none either
        from jax._src import xla_bridge
        print(xla_bridge._backends or "no_backend")
        print(*imported)
    """
    backend, *modules = fresh_process(program)
    assert backend == "no_backend"
    ours = {name for name in modules if name.split(".")[0] == "gradchain"}
    assert {name.split(".")[0] for name in set(modules) - ours} <= {"jax", *sys.stdlib_module_names}
    assert not [name for name in modules if name.startswith(("jax.extend", "jax._src.pallas"))]
    folders = {name.split(".")[1] for name in ours if "." in name}
    assert folders.isdisjoint(
        ["losses", "projections", "perturbations", "assignment", "second_order", "microbatching"]
    )
    assert {name for name in ours if name.startswith("gradchain.compare")} == {
        "gradchain.compare",
        "gradchain.compare.starting",
    }


@pytest.mark.parametrize(
    "line",
    [
        "gradchain.huber_loss",
        "gradchain.losses.huber_loss",
        "gradchain.experimental.aggregating",
        "from gradchain import huber_loss",
        "from gradchain import losses",
        "from gradchain import *; huber_loss; adamw; chain",
        "assert {'huber_loss', 'losses', 'adamw', '__version__'} <= set(dir(gradchain))",
        "import gradchain.losses; gradchain.minimize",
    ],
)
def test_names_that_come_later_come_every_way(line: str) -> None:
    assert fresh_process(f"import gradchain; assert 'huber_loss' not in vars(gradchain)\n{line}") == []


# Constructing


PLAIN: list[Callable[[float], Any]] = [
    gc.adamw,
    gc.adam,
    gc.sgd,
    lambda rate: gc.sgd(rate, 0.9),
    lambda rate: gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(rate)),
]


@pytest.mark.parametrize("make", PLAIN, ids=["adamw", "adam", "sgd", "momentum", "chain"])
def test_a_construction_makes_nothing(make: Callable[[float], Any]) -> None:
    tx = make(0.0123)
    assert not is_made(tx)
    assert tx == make(0.0123)
    assert hash(tx) == hash(make(0.0123))
    assert eval(repr(tx), dict(vars(gc))) == tx
    assert not is_made(tx)
    assert tx.init(params()) is not None
    again = make(0.0123)
    assert again.parts is tx.parts  # equal calls share what is compiled
    assert [link.factory for link in again.links] == [link.factory for link in tx.links]


def test_a_chain_makes_no_links() -> None:
    inner = gc.adamw(0.0124)
    tx = gc.chain(gc.clip_by_global_norm(1.0), inner)
    assert not is_made(tx)
    assert not is_made(inner)
    assert tx.links[1] is inner


def test_a_chain_still_says_at_once_what_is_wrong() -> None:
    with pytest.raises(TypeError, match="chain: argument 1: expected a gradient transformation"):
        gc.chain(gc.sgd(0.1), gc.adam)  # type: ignore[arg-type]
    with pytest.warns(OrderWarning, match="undoes the learning rate of sgd"):
        gc.chain(gc.sgd(0.0125), gc.adam(0.0125))


def later_factories() -> list[Any]:
    """The factories of the table whose own code runs at the first use, and one row's arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {case.factory: case for case in CASES if not case.wraps}
        return [factory for factory, case in found.items() if _runs_later(factory, case.make())]


def _runs_later(factory: Any, tx: Any) -> bool:
    required = [n for n, p in inspect.signature(factory).parameters.items() if p.default is p.empty]
    try:
        return tx.factory is factory and not is_made(factory(**dict.fromkeys(required, 0.5)))
    except TypeError:  # what must be a mapping is checked at once
        return False


VALUES = [None, True, False, -1, 0, 1, 2, 10**400, -1.0, 0.0, 0.5, 1.0, 2.0, 1e30, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("factory", later_factories(), ids=lambda f: f.__name__)
def test_what_runs_later_never_fails_then(factory: Any) -> None:
    """Every fault of a number is found when the transformation is constructed."""
    parameters = inspect.signature(factory).parameters
    required = {n: 0.5 for n, p in parameters.items() if p.default is p.empty}
    for name in parameters:
        for value in VALUES:
            try:
                tx = factory(**required | {name: value})
            except (TypeError, ValueError):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert tx.links, name


def test_what_is_made_in_a_trace_serves_outside_of_it() -> None:
    tx, p = gc.chain(gc.clip_by_global_norm(1.0), gc.adamw(0.0126)), params()
    inside, _ = jax.jit(lambda g, p: tx.update(g, tx.init(p), p))(gradients(p, 0), p)
    outside, _ = tx.update(gradients(p, 0), tx.init(p), p)
    check_close(inside, outside, 1e-6)
    with jax.checking_leaks():
        jax.jit(lambda g, p: gc.adam(0.0127).update(g, gc.adam(0.0127).init(p), p))(gradients(p, 0), p)


# Memory


@pytest.mark.parametrize("make", PLAIN, ids=["adamw", "adam", "sgd", "momentum", "chain"])
def test_memory_stays_flat(make: Callable[[float], Any]) -> None:
    def construct(first: int) -> int:
        for i in range(first, first + 1000):
            make(1e-3 + i * 1e-9)
        garbage.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = construct(0)
        after = construct(1000)
    finally:
        tracemalloc.stop()
    assert after - before < 100_000  # less than 100 bytes for each


def test_used_transformations_are_given_up_in_the_end() -> None:
    p = {"w": jnp.ones(2)}
    first = gc.adamw(0.5)
    first.init(p)
    seen = weakref.ref(first.parts.init)
    del first
    for i in range(600):
        gc.adamw(0.6 + i * 1e-6).init(p)
    garbage.collect()
    assert seen() is None


@pytest.mark.parametrize(
    "make",
    [
        lambda big: gc.adamw(1e-3, mask=big),
        lambda big: gc.adamw(1e-3, mask={"w": big}),
        lambda big: gc.chain(
            gc.clip_by_global_norm(1.0), gc.adam(1e-3, weight_decay=0.1, weight_decay_mask=big)
        ),
        lambda big: gc.chain(optax.masked(optax.sgd(0.1), big), gc.adamw(1e-3)),
        lambda big: gc.partition(
            {"a": gc.sgd(0.1)}, lambda tree, big=big: jax.tree.map(lambda _: "a", tree)
        ),
    ],
)
def test_no_cache_keeps_an_array_that_was_given(make: Callable[[Any], Any]) -> None:
    big = jnp.ones((1000, 1000), bool)
    seen = weakref.ref(big)
    tx = make(big)
    hash(tx)
    assert tx.links
    del tx, big
    garbage.collect()
    assert seen() is None


# The first step


def compilations(action: Callable[[], Any]) -> list[str]:
    """The names of the programs that an action compiles."""
    names: list[str] = []

    def listen(event: str, duration: float, **metadata: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(str(metadata.get("fun_name", "")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jax.block_until_ready(action())
    finally:
        jax.monitoring.clear_event_listeners()
    return names


def test_the_first_step_compiles_one_program_for_each_shape() -> None:
    p = {f"w{i}": jnp.ones((3 + i % 2, 7)) for i in range(6)}  # two shapes
    g = jax.tree.map(lambda x: 0.5 * x, p)
    tx = gc.adamw(0.0128)
    gc.sgd(0.1).init(p)
    state = tx.init(p)
    gc.scale_by_adam().update(g, state[0], p)  # the count's program
    assert len(compilations(lambda: tx.update(g, state, p))) == 2
    assert compilations(lambda: tx.update(g, state, p)) == []
    assert compilations(lambda: gc.adamw(0.0128).update(g, state, p)) == []
