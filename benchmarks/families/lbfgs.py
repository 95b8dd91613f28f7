"""L-BFGS to convergence: logistic regression on the digits, by us, by Optax's loop and by SciPy."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..harness import OURS, REFERENCE, Figure, benchmark, in_turns, module, seconds

SCIPY = "scipy"
TOLERANCE, MAX_STEPS, PENALTY = 1e-3, 500, 1e-4
Loss = Callable[..., jax.Array]


def digits() -> tuple[jax.Array, jax.Array]:
    """scikit-learn's 1,797 digits of 64 pixels in [0, 1], and their labels."""
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    return jnp.asarray(data.data / 16, jnp.float32), jnp.asarray(data.target)


def loss(params: Any, pixels: jax.Array, labels: jax.Array) -> jax.Array:
    """The cross-entropy of a linear model of 650 parameters, with a small penalty."""
    logits = pixels @ params["w"] + params["b"]
    right = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -jnp.mean(right) + PENALTY * jnp.sum(params["w"] ** 2)


def start() -> dict[str, jax.Array]:
    """Zeros, the usual start."""
    return {"w": jnp.zeros((64, 10)), "b": jnp.zeros((10,))}


def ours(fun: Loss, *data: jax.Array) -> Any:
    """gradchain: one call."""
    lib = module(OURS)
    return lib.tools.minimize(fun, start(), lib.lbfgs(), MAX_STEPS, TOLERANCE, args=data).params


def optax_loop(fun: Loss) -> Callable[..., Any]:
    """The loop of Optax's documentation, compiled as a whole."""
    lib = module(REFERENCE)
    tx = lib.lbfgs()

    @jax.jit
    def run(params: Any, *data: jax.Array) -> Any:
        bound = lambda p: fun(p, *data)  # noqa: E731
        value_and_grad = lib.value_and_grad_from_state(bound)

        def step(carry: Any) -> Any:
            params, state = carry
            value, grad = value_and_grad(params, state=state)
            updates, state = tx.update(grad, state, params, value=value, grad=grad, value_fn=bound)
            return lib.apply_updates(params, updates), state

        def going(carry: Any) -> Any:
            count = lib.tree.get(carry[1], "count")
            error = lib.tree.norm(lib.tree.get(carry[1], "grad"))
            return (count == 0) | ((count < MAX_STEPS) & (error >= TOLERANCE))

        return jax.lax.while_loop(going, step, (params, tx.init(params)))[0]

    return run


def scipy_loop(fun: Loss) -> Callable[..., Any]:
    """SciPy's L-BFGS-B on a compiled value and gradient, stopped by the same norm."""
    import scipy.optimize
    from jax.flatten_util import ravel_pytree

    flat, unravel = ravel_pytree(start())
    both = jax.jit(jax.value_and_grad(lambda x, *data: fun(unravel(x), *data)))

    def run(*data: jax.Array) -> Any:
        norm = [np.inf]

        def value_and_grad(x: Any) -> tuple[float, Any]:
            value, grad = both(jnp.asarray(x, jnp.float32), *data)
            norm[0] = float(np.linalg.norm(grad))
            return float(value), np.asarray(grad, np.float64)

        def stop(intermediate_result: Any) -> None:
            if norm[0] <= TOLERANCE:
                raise StopIteration

        found = scipy.optimize.minimize(
            value_and_grad,
            np.asarray(flat, np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=stop,
            options={"gtol": 0.0, "ftol": 0.0, "maxiter": MAX_STEPS},
        )
        return unravel(jnp.asarray(found.x, jnp.float32))

    return run


def runs(fun: Loss) -> dict[str, Callable[..., Any]]:
    """The three, each from data to parameters."""
    compiled = optax_loop(fun)
    return {
        REFERENCE: lambda *data: compiled(start(), *data),
        OURS: functools.partial(ours, fun),
        SCIPY: scipy_loop(fun),
    }


def evaluations(library: str, data: Any) -> int:
    """How often a run evaluates the loss."""
    calls: list[int] = []

    def counting(*args: Any) -> jax.Array:
        jax.debug.callback(lambda: calls.append(1))
        return loss(*args)

    jax.block_until_ready(runs(counting)[library](*data))
    jax.effects_barrier()
    return len(calls)


@benchmark("lbfgs/digits", "lbfgs: logistic regression on the digits, to |gradient| <= 1e-3")
def run(repeats: int) -> list[Figure]:
    """The first run with its compilation, a run with all compiled, evaluations, and the loss reached."""
    data = digits()

    def first(library: str) -> dict[str, float]:
        jax.clear_caches()
        return {"first run": seconds(lambda: runs(loss)[library](*data))}

    libraries = (REFERENCE, OURS, SCIPY)
    samples = in_turns({lib: functools.partial(first, lib) for lib in libraries}, repeats)
    again = runs(loss)
    ends = {lib: jax.block_until_ready(again[lib](*data)) for lib in libraries}
    samples |= in_turns(
        {lib: lambda lib=lib: {"run": seconds(lambda: again[lib](*data))} for lib in libraries}, repeats
    )
    samples["evaluations"] = {lib: [float(evaluations(lib, data))] for lib in libraries}
    samples["loss reached"] = {lib: [1e6 * float(loss(ends[lib], *data))] for lib in libraries}
    limits = {"run": 1.2, "first run": 1.2, "evaluations": 1.1, "loss reached": 1.001}
    units = {"evaluations": "evaluations", "loss reached": "millionths"}
    return [Figure(q, units.get(q, "s"), s, limits.get(q)) for q, s in samples.items()]
