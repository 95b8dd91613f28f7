"""L-BFGS to convergence: logistic regression of 2,000 parameters, by us, by Optax's loop and by SciPy."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..harness import OURS, REFERENCE, Figure, benchmark, in_turns, module, seconds

SCIPY = "scipy"
TOLERANCE, MAX_STEPS, PENALTY = 1e-3, 500, 1e-4
Loss = Callable[..., jax.Array]


class Data(NamedTuple):
    """Examples and their classes."""

    features: jax.Array  # f32[examples, features]
    labels: jax.Array  # i32[examples], in [0, classes)


def load(name: str, features: int) -> Data:
    """A data set of scikit-learn, as random Fourier features of its standardized inputs.

    Args: name, `digits` (1,797 examples, 10 classes) or `breast_cancer` (569 examples, 2 classes).
    Reference: Rahimi and Recht, 2007, Random Features for Large-Scale Kernel Machines.
    """
    from sklearn import datasets
    from sklearn.kernel_approximation import RBFSampler
    from sklearn.preprocessing import StandardScaler

    raw: Any = getattr(datasets, f"load_{name}")()
    inputs = StandardScaler().fit_transform(raw.data)
    mapped = RBFSampler(gamma=0.1 / inputs.shape[1], n_components=features, random_state=0)
    return Data(jnp.asarray(mapped.fit_transform(inputs), jnp.float32), jnp.asarray(raw.target, jnp.int32))


def loss(params: Any, features: jax.Array, labels: jax.Array) -> jax.Array:
    """The cross-entropy of a linear model, with a small penalty."""
    logits = features @ params["w"] + params["b"]
    right = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -jnp.mean(right) + PENALTY * jnp.sum(params["w"] ** 2)


def start(data: Data) -> dict[str, jax.Array]:
    """Zeros, the usual start."""
    classes = int(data.labels.max()) + 1
    return {"w": jnp.zeros((data.features.shape[1], classes)), "b": jnp.zeros((classes,))}


def ours(fun: Loss, data: Data) -> Any:
    """gradchain: one call."""
    lib = module(OURS)
    return lib.tools.minimize(fun, start(data), lib.lbfgs(), MAX_STEPS, TOLERANCE, args=data).params


def optax_loop(fun: Loss) -> Callable[[Data], Any]:
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

    return lambda data: run(start(data), *data)


def scipy_loop(fun: Loss) -> Callable[[Data], Any]:
    """SciPy's L-BFGS-B on a compiled value and gradient, stopped by the same norm."""
    import scipy.optimize
    from jax.flatten_util import ravel_pytree

    both = jax.jit(jax.value_and_grad(fun))

    def run(data: Data) -> Any:
        flat, unravel = ravel_pytree(start(data))
        norm = [np.inf]

        def value_and_grad(x: Any) -> tuple[float, Any]:
            value, grad = both(unravel(jnp.asarray(x, jnp.float32)), *data)
            flat_grad = np.asarray(ravel_pytree(grad)[0], np.float64)
            norm[0] = float(np.linalg.norm(flat_grad))
            return float(value), flat_grad

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


def runs(fun: Loss) -> dict[str, Callable[[Data], Any]]:
    """The three, each from data to parameters."""
    return {REFERENCE: optax_loop(fun), OURS: functools.partial(ours, fun), SCIPY: scipy_loop(fun)}


def evaluations(library: str, data: Data) -> int:
    """How often a run evaluates the loss."""
    calls: list[int] = []

    def counting(*args: Any) -> jax.Array:
        jax.debug.callback(lambda: calls.append(1))
        return loss(*args)

    jax.block_until_ready(runs(counting)[library](data))
    jax.effects_barrier()
    return len(calls)


def measure(data: Data, repeats: int) -> list[Figure]:
    """The first run with its compilation, a run with all compiled, evaluations, and the loss reached."""

    def first(library: str) -> dict[str, float]:
        jax.clear_caches()
        return {"first run": seconds(lambda: runs(loss)[library](data))}

    libraries = (REFERENCE, OURS, SCIPY)
    samples = in_turns({lib: functools.partial(first, lib) for lib in libraries}, repeats)
    again = runs(loss)
    ends = {lib: jax.block_until_ready(again[lib](data)) for lib in libraries}
    samples |= in_turns(
        {lib: lambda lib=lib: {"run": seconds(lambda: again[lib](data))} for lib in libraries}, repeats
    )
    samples["evaluations"] = {lib: [float(evaluations(lib, data))] for lib in libraries}
    samples["loss reached"] = {lib: [1e6 * float(loss(ends[lib], *data))] for lib in libraries}
    limits = {"run": 1.2, "first run": 1.2, "evaluations": 1.1, "loss reached": 1.001}
    units = {"evaluations": "evaluations", "loss reached": "millionths"}
    return [Figure(q, units.get(q, "s"), s, limits.get(q)) for q, s in samples.items()]


@benchmark("lbfgs/digits", "lbfgs on the digits, 2,010 parameters, to |gradient| <= 1e-3")
def on_digits(repeats: int) -> list[Figure]:
    """Ten classes, 200 features."""
    return measure(load("digits", 200), repeats)


@benchmark("lbfgs/breast_cancer", "lbfgs on breast cancer, 2,002 parameters, to |gradient| <= 1e-3")
def on_breast_cancer(repeats: int) -> list[Figure]:
    """Two classes, 1,000 features."""
    return measure(load("breast_cancer", 1000), repeats)
