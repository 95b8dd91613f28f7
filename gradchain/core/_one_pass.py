"""All results of one program in one pass over memory, on CPUs.

XLA:CPU makes a loop for each result that another one reads, so Adam's new moments travel through memory
three times. With its flag `xla_cpu_use_multi_output_fusion` it joins loops that read the same arrays, if
none reads another's result. So here each result is computed from the original arrays alone: the barriers
hide from XLA that the computations have parts in common. What is computed twice costs nothing, since
memory is what such a loop waits for.

Loops that XLA does not join must copy what they overwrite, which is far worse than no barrier. So a probe
is compiled first, and the barriers stay only where it reads and writes less. Compilers for GPU and TPU join
such loops by themselves.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

FLAG = "xla_cpu_use_multi_output_fusion"
Program = Callable[..., Any]
_answers: dict[str, int] = {}  # of probes: which way is best, by the program's text
_MOST_ANSWERS = 1024
_CACHED = 2**17
"""Bytes. Loops over smaller arrays find them in the processor's cache, and compile faster apart."""


def in_one_pass(program: Program, name: str = "program") -> Program:
    """A function of arrays, compiled so that all its results are computed in one loop if XLA can.

    Args: program, whose first argument, an array, is read, and whose other arguments (a state, parameters)
        may be overwritten by the results; name, of the compiled function.
    """

    def results(*args: Any) -> tuple[list[Any], Any]:
        leaves, treedef = jax.tree.flatten(program(*args))
        return [_in_the_loop(x) if x is args[0] else x for x in leaves], treedef

    def first_apart(*args: Any) -> Any:
        """Where only the first result, the step, reads others."""
        found, treedef = results(*args)
        found[0] = results(*_behind_a_barrier(args))[0][0]
        return treedef.unflatten(found)

    def all_apart(*args: Any) -> Any:
        found, treedef = results(*args)
        for i in range(1, len(found)):
            args = _behind_a_barrier(args)  # one more for each: XLA takes equal barriers for one
            found[i] = results(*args)[0][i]
        return treedef.unflatten(found)

    def run(*args: Any) -> Any:
        if not (_is_possible() and _is_large(args)):
            return program(*args)
        return _best([first_apart, all_apart, program], args)(*args)

    run.__name__ = run.__qualname__ = name
    return jax.jit(run)


def _behind_a_barrier(args: Any) -> Any:
    leaves, treedef = jax.tree.flatten(args)
    large = [i for i, x in enumerate(leaves) if x.ndim]
    if large:
        hidden = jax.lax.optimization_barrier([leaves[i] for i in large])
        for i, x in zip(large, hidden, strict=True):
            leaves[i] = x
    return treedef.unflatten(leaves)


def _in_the_loop(x: Any) -> Any:
    """The same number as a result of the loop: a gradient that is kept would be copied apart."""
    if not x.ndim or not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    info = jnp.finfo(x.dtype)
    return jax.lax.reduce_precision(x, info.nexp, info.nmant)


def _is_possible() -> bool:
    return FLAG in os.environ.get("XLA_FLAGS", "") and jax.default_backend() == "cpu"


def _is_large(args: Any) -> bool:
    return max((x.size * x.dtype.itemsize for x in jax.tree.leaves(args)), default=0) >= _CACHED


def _best(programs: Sequence[Program], args: Sequence[Any]) -> Program:
    """The program that moves the fewest bytes; the last one where there is nothing to gain.

    They are compiled on small arrays, until one moves no more than it must, once in a process.
    """
    try:
        small = jax.tree.map(_small, tuple(args))
        text = str(jax.make_jaxpr(programs[-1])(*small))
        if text not in _answers:
            if len(_answers) >= _MOST_ANSWERS:
                _answers.clear()
            _answers[text] = len(programs) - 1  # should the probe fail
            _answers[text] = _place_of_best(programs, small)
        return programs[_answers[text]]
    except Exception:  # a probe that fails is no reason to stop; what the user did wrong fails once more
        return programs[-1]


def _place_of_best(programs: Sequence[Program], args: Sequence[Any]) -> int:
    results = jax.eval_shape(programs[-1], *args)
    least = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves((args, results)))
    moved: list[float] = []
    for program in programs:
        moved.append(_bytes_moved(program, args))
        if moved[-1] <= 1.01 * least:  # scalars count too
            break
    best = min(moved)
    return len(moved) - 1 if moved[-1] == best else moved.index(best)


def _small(x: Any) -> jax.ShapeDtypeStruct:
    """An array of the same rank and dtype, of 64 kB or less unless it has many axes."""
    shape = tuple(
        128 if size > 1 and axis >= x.ndim - 2 else min(size, 2) for axis, size in enumerate(x.shape)
    )
    return jax.ShapeDtypeStruct(shape, x.dtype)


def _bytes_moved(function: Callable[..., Any], args: Sequence[Any]) -> float:
    """The bytes that a compiled function reads and writes, all arguments but the first donated."""
    from jax.extend.core import ClosedJaxpr, jaxpr_as_fun  # here, since jax.extend imports Pallas

    closed = jax.make_jaxpr(function)(*args)
    leaves, consts = jax.tree.leaves(args), [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in closed.consts]
    donated = tuple(range(1 + len(jax.tree.leaves(args[0])), 1 + len(leaves)))

    def run(consts: Any, *leaves: Any) -> Any:
        first, *others = jaxpr_as_fun(ClosedJaxpr(closed.jaxpr, consts))(*leaves)
        return others, first  # JAX lets results take over donated arrays in this order: state, parameter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not every state is overwritten
        compiled = jax.jit(run, donate_argnums=donated).lower(consts, *leaves).compile()
    cost: Any = compiled.cost_analysis()
    return (cost[0] if isinstance(cost, list) else cost)["bytes accessed"]  # a list in older JAX
