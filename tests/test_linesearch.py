"""Line searches, L-BFGS and their driver: SciPy's minima, Optax's steps, no evaluation twice."""

import contextlib
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
from trees import check_close, enable_x64, gradients, params, wide

import gradchain as gc


def rosenbrock(x: Any) -> Any:
    """A curved valley; 0 at (1, 1)."""
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def beale(x: Any) -> Any:
    """0 at (3, 0.5)."""
    return sum((y - x[0] * (1 - x[1] ** (i + 1))) ** 2 for i, y in enumerate((1.5, 2.25, 2.625)))


def powell_singular(x: Any) -> Any:
    """0 at the origin, where the Hessian is singular."""
    return (
        (x[0] + 10 * x[1]) ** 2 + 5 * (x[2] - x[3]) ** 2 + (x[1] - 2 * x[2]) ** 4 + 10 * (x[0] - x[3]) ** 4
    )


def wood(x: Any) -> Any:
    """0 at (1, 1, 1, 1)."""
    valleys = (
        100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + 90 * (x[3] - x[2] ** 2) ** 2 + (1 - x[2]) ** 2
    )
    return valleys + 10 * (x[1] + x[3] - 2) ** 2 + 0.1 * (x[1] - x[3]) ** 2


def helical_valley(x: Any) -> Any:
    """0 at (1, 0, 0)."""
    turn = jnp.arctan2(x[1], x[0]) / (2 * jnp.pi)
    turn = jnp.where(turn < -0.25, turn + 1, turn)
    return 100 * ((x[2] - 10 * turn) ** 2 + (jnp.sqrt(x[0] ** 2 + x[1] ** 2) - 1) ** 2) + x[2] ** 2


MGH = {  # from their standard starts: Moré, Garbow and Hillstrom, 1981
    "Rosenbrock": (rosenbrock, [-1.2, 1.0], [1.0, 1.0]),
    "Beale": (beale, [1.0, 1.0], [3.0, 0.5]),
    "Powell singular": (powell_singular, [3.0, -1.0, 0.0, 1.0], [0.0] * 4),
    "Wood": (wood, [-3.0, -1.0, -3.0, -1.0], [1.0] * 4),
    "Helical valley": (helical_valley, [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
}


def counted(fun: Any) -> tuple[Any, list[int]]:
    """The function, and the list that grows by one at each evaluation."""
    calls: list[int] = []

    def counting(x: Any, *args: Any) -> Any:
        jax.debug.callback(lambda: calls.append(1))
        return fun(x, *args)

    return counting, calls


@pytest.mark.parametrize("name", list(MGH))
def test_minimize_ends_where_scipy_ends(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    fun, start, minimum = MGH[name]
    with enable_x64():
        fun, calls = counted(fun)
        ours = gc.tools.minimize(fun, jnp.array(start), tol=1e-6)
        jax.effects_barrier()
        evaluations = len(calls)
        both = jax.jit(jax.value_and_grad(MGH[name][0]))
        theirs = scipy.optimize.minimize(
            lambda x: tuple(map(np.asarray, both(jnp.asarray(x)))),
            np.array(start),
            jac=True,
            method="L-BFGS-B",
            options={"gtol": 1e-6, "ftol": 0.0},
        )
        assert ours.converged
        near = 5e-2 if name == "Powell singular" else 1e-5  # flat to the fourth order
        np.testing.assert_allclose(ours.params, minimum, atol=near)
        np.testing.assert_allclose(ours.params, theirs.x, atol=near)
        np.testing.assert_allclose(ours.value, theirs.fun, atol=1e-8)
    with capsys.disabled():
        print(
            f"\n| {name} | {int(ours.steps)} | {evaluations} | {float(ours.value):.1e} | "
            f"{theirs.nit} | {theirs.nfev} | {theirs.fun:.1e} |"
        )
    assert evaluations <= 2 * theirs.nfev + 10


def trajectory(module: Any, tx: Any, fun: Any, x: Any, steps: int) -> list[np.ndarray]:
    """Everything along a run in which value and gradient come from the state."""
    state, seen = tx.init(x), []
    value_and_grad = module.value_and_grad_from_state(fun)

    @jax.jit
    def step(x: Any, state: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            value, grad = value_and_grad(x, state=state)
            updates, state = tx.update(grad, state, x, value=value, grad=grad, value_fn=fun)
            return module.apply_updates(x, updates), state

    for _ in range(steps):
        x, state = step(x, state)
        seen.append([wide(leaf) for leaf in jax.tree.leaves((x, state))])
    return [np.stack(leaves) for leaves in zip(*seen, strict=True)]


def searches(module: Any) -> dict[str, Any]:
    """Ways to search, of gradchain or of Optax."""
    backtracking = functools.partial(module.scale_by_backtracking_linesearch, store_grad=True)
    return {
        "lbfgs": module.lbfgs(),
        "lbfgs, three pairs, no scale": module.lbfgs(memory_size=3, scale_init_precond=False),
        "lbfgs, rate 0.5, backtracking": module.lbfgs(0.5, linesearch=backtracking(15)),
        "gradient, zoom": module.chain(module.sgd(1.0), module.scale_by_zoom_linesearch(15)),
        "gradient, backtracking": module.chain(module.sgd(1.0), backtracking(20, rtol=1e-5, atol=1e-5)),
    }


@pytest.mark.parametrize("name", list(searches(gc)))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_equal_optax(name: str, dtype: str) -> None:
    chaotic = "no scale" in name  # the first steps are long, and rounding grows with them
    rtol = 1e-6 if dtype == "float64" else 5e-3 if chaotic else 1e-3
    with enable_x64() if dtype == "float64" else contextlib.nullcontext():
        x = jnp.array([-1.2, 1.0], dtype)
        ours = trajectory(gc, searches(gc)[name], rosenbrock, x, 15)
        theirs = trajectory(optax, searches(optax)[name], rosenbrock, x, 15)
    check_close(ours, theirs, rtol)


def test_lbfgs_equals_optax_on_a_tree() -> None:
    """A convex loss of a tree: every pair has positive curvature, so that none is left out."""

    def loss(p: Any) -> Any:
        leaves = [jnp.ravel(x) for x in jax.tree.leaves(p)]
        x = jnp.concatenate(leaves)
        return 0.5 * jnp.sum(jnp.arange(1.0, x.size + 1) * x**2) + jnp.sum(x**4)

    with enable_x64():
        runs = [trajectory(m, m.lbfgs(memory_size=4), loss, params("float64"), 20) for m in (gc, optax)]
    check_close(*runs, 1e-6)


def test_pairs_without_positive_curvature_are_left_out() -> None:
    tx = gc.scale_by_lbfgs(memory_size=3)
    p = params()
    state = tx.init(p)
    for step, sign in enumerate([1.0, 1.0, -1.0, 0.0]):
        # gradients that grow along, stay, or shrink against the way the parameters went
        g = gradients(p, 0) if step == 0 else jax.tree.map(lambda g, m: g + sign * m, g, move)  # noqa: F821, B023
        direction, state = tx.update(g, state, p)
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves((direction, state)))
        inner = sum(
            float(jnp.vdot(d, x)) for d, x in zip(*map(jax.tree.leaves, (direction, g)), strict=True)
        )
        assert inner > 0
        move = jax.tree.map(lambda d: -0.1 * d, direction)
        p = gc.apply_updates(p, move)
    assert [bool(w > 0) for w in state.weights_memory] == [True, False, False]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_stays_finite_and_descends(dtype: str) -> None:
    x = jnp.array([-1.2, 1.0], dtype)
    result = gc.tools.minimize(rosenbrock, x, max_steps=60, tol=0.0)
    assert result.params.dtype == dtype
    assert all(np.all(np.isfinite(wide(leaf))) for leaf in jax.tree.leaves(result))
    assert result.value < 0.25 * rosenbrock(x)  # the valley's floor is narrower than these dtypes resolve
    tiny = gc.tools.minimize(
        lambda p: 1e-3 * jnp.sum(p**2), jnp.full((4,), 1e-2, dtype), max_steps=20, tol=0.0
    )
    assert all(np.all(np.isfinite(wide(leaf))) for leaf in jax.tree.leaves(tiny))


def test_complex_parameters() -> None:
    target = jnp.array([1 + 2j, -3 + 0.5j], jnp.complex64)
    fun = lambda z: jnp.sum(jnp.array([1.0, 10.0]) * jnp.abs(z - target) ** 2)  # noqa: E731
    result = gc.tools.minimize(fun, jnp.zeros(2, jnp.complex64), tol=1e-4)
    assert result.converged
    np.testing.assert_allclose(result.params, target, atol=1e-4)


@pytest.mark.parametrize(
    "search", [gc.scale_by_zoom_linesearch(20), gc.scale_by_backtracking_linesearch(20, store_grad=True)]
)
def test_what_a_search_has_computed_is_not_computed_again(search: Any) -> None:
    fun, calls = counted(rosenbrock)
    tx = gc.lbfgs(linesearch=search)
    step = jax.jit(gc.tools.make_step(tx, fun))
    x = jnp.array([-1.2, 1.0])
    state, trials = tx.init(x), 0
    for _ in range(6):
        value = rosenbrock(x)
        x, state, info = step(x, state)
        trials += int(state[-1].info.num_linesearch_steps)
        np.testing.assert_allclose(info.value, value, rtol=1e-5)
    jax.effects_barrier()
    assert len(calls) == trials + 1


def test_other_data_are_computed_anew() -> None:
    tx = gc.lbfgs()
    fun = lambda x, t: jnp.sum((x - t) ** 2)  # noqa: E731
    step = jax.jit(gc.tools.make_step(tx, fun))
    x = jnp.zeros(2)
    state = tx.init(x)
    for target in (1.0, -2.0, 5.0):
        expected = fun(x, target)
        x, state, info = step(x, state, target)
        np.testing.assert_allclose(info.value, expected, rtol=1e-6)


def test_nothing_is_reused_behind_a_link_that_moves_on() -> None:
    tx = gc.chain(gc.lbfgs(), gc.scale(0.5))
    fun = lambda x: jnp.sum(x**4)  # noqa: E731
    step, x = jax.jit(gc.tools.make_step(tx, fun)), jnp.ones(2)
    state = tx.init(x)
    for _ in range(3):
        expected = fun(x)
        x, state, info = step(x, state)
        np.testing.assert_allclose(info.value, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "tx",
    [
        gc.adam(0.1),
        gc.polyak_sgd(),
        gc.momo(0.1),
        gc.sophia(0.05),
        gc.chain(gc.adam(0.1), gc.reduce_on_plateau()),
        gc.sam(gc.sgd(0.1), gc.chain(gc.normalize(), gc.sgd(0.05)), opaque_mode=True),
        optax.lbfgs(),
        optax.adam(0.1),
        gc.chain(gc.identity(), optax.lbfgs()),
        gc.apply_if_finite(optax.lbfgs(), 3),
        gc.partition({"x": optax.lbfgs()}, "x"),
    ],
    ids=[
        "adam",
        "polyak_sgd",
        "momo",
        "sophia",
        "plateau",
        "sam",
        "optax.lbfgs",
        "optax.adam",
        "chain",
        "wrapped",
        "group",
    ],
)
def test_one_step_serves_all(tx: Any) -> None:
    with jax.numpy_dtype_promotion("standard"):
        fun = lambda x: (jnp.sum((x - 1) ** 2), x)  # noqa: E731
        step, x = jax.jit(gc.tools.make_step(tx, fun, has_aux=True)), jnp.zeros(3)
        state = tx.init(x)
        for _ in range(100):
            before = x
            x, state, info = step(x, state)
            np.testing.assert_array_equal(info.aux, before)
        assert fun(x)[0] < 1.0


def test_the_whole_step_of_a_pair_is_taken() -> None:
    def update(grads: Any, state: Any, params: Any = None, **extra_args: Any) -> Any:
        raise AssertionError("update was called")

    def whole(grads: Any, state: Any, params: Any, *, value: Any, **extra_args: Any) -> Any:
        return params - 0.25 * grads, state + 1

    tx = gc.GradientTransformationExtraArgs(lambda params: jnp.zeros((), jnp.int32), update, step=whole)
    fun = lambda x: jnp.sum((x - 1) ** 2)  # noqa: E731
    for pair in (tx, gc.chain(gc.identity(), tx)):
        x, state, _ = jax.jit(gc.make_step(pair, fun))(jnp.zeros(3), pair.init(jnp.zeros(3)))
        np.testing.assert_array_equal(x, 0.5)
        assert jax.tree.leaves(state) == [1]
        assert gc.minimize(fun, jnp.zeros(3), pair, max_steps=3).steps == 3


def test_minimize_compiles_once_for_other_data() -> None:
    traces = []

    def fun(x: Any, target: Any) -> Any:
        traces.append(1)
        return jnp.sum((x - target) ** 4)

    first = gc.tools.minimize(fun, jnp.zeros(3), gc.lbfgs(), args=(jnp.ones(3),))
    seen = len(traces)
    second = gc.tools.minimize(fun, jnp.zeros(3), gc.lbfgs(), args=(2 * jnp.ones(3),))
    assert len(traces) == seen
    assert first.converged
    np.testing.assert_allclose(second.params, 2.0, atol=0.05)


def test_what_is_missing_is_named() -> None:
    p = params()
    for tx in (gc.lbfgs(), gc.scale_by_zoom_linesearch(5), gc.scale_by_backtracking_linesearch(5)):
        with pytest.raises(TypeError, match="needs the extra argument value"):
            tx.update(p, tx.init(p), p)
        with pytest.raises(TypeError, match="needs the extra argument grad"):
            tx.update(p, tx.init(p), p, value=1.0)
        with pytest.raises(TypeError, match="needs the extra argument value_fn"):
            tx.update(p, tx.init(p), p, value=1.0, grad=p)
    with pytest.raises(ValueError, match="must be 'one' or 'keep'"):
        gc.scale_by_zoom_linesearch(5, initial_guess_strategy="two")
    with pytest.raises(ValueError, match="memory_size must be at least 1"):
        gc.scale_by_lbfgs(0)
    state = gc.scale_by_backtracking_linesearch(5).init(p)
    with pytest.raises(ValueError, match="store_grad=True"):
        gc.value_and_grad_from_state(lambda p: 0.0)(p, state=state)


@pytest.mark.parametrize("make", [gc.scale_by_zoom_linesearch, gc.scale_by_backtracking_linesearch])
def test_verbose_tells_why_it_failed(make: Any, capfd: pytest.CaptureFixture[str]) -> None:
    tx, x = make(3, verbose=True), jnp.ones(2)
    value, grad = jax.value_and_grad(lambda x: jnp.sum(x**2))(x)
    _, state = tx.update(grad, tx.init(x), x, value=value, grad=grad, value_fn=lambda x: jnp.sum(x**2))
    jax.effects_barrier()
    assert make.__name__ in capfd.readouterr().out
    assert np.isfinite(state.value)


def test_after_a_step_of_zero_the_search_begins_anew() -> None:
    tx, x = gc.scale_by_backtracking_linesearch(3, store_grad=True), jnp.ones(2)
    value, grad = jax.value_and_grad(lambda x: jnp.sum(x**2))(x)
    down = jax.tree.map(jnp.negative, grad)
    updates, state = tx.update(
        down, tx.init(x), x, value=value, grad=grad, value_fn=lambda x: x[0] * jnp.nan
    )
    np.testing.assert_array_equal(updates, 0)
    np.testing.assert_array_equal(state.grad, grad)
    updates, state = tx.update(down, state, x, value=value, grad=grad, value_fn=lambda x: jnp.sum(x**2))
    assert state.learning_rate > 0
    assert state.value < value


def test_a_group_is_searched_with_all_parameters_in_sight() -> None:
    fun = lambda p: jnp.sum((p["a"] - 2) ** 4) + jnp.sum(p["a"]) * jnp.sum(p["b"] ** 2)  # noqa: E731
    tx = gc.partition({"x": gc.lbfgs(), "y": gc.sgd(0.1)}, {"a": "x", "b": "y"})
    step, p = jax.jit(gc.tools.make_step(tx, fun)), {"a": jnp.ones(2), "b": jnp.ones(3)}
    state = tx.init(p)
    for _ in range(30):
        p, state, info = step(p, state)
    assert info.value < 1e-3


def test_minimize_vectorizes_and_nests() -> None:
    def solve(target: Any) -> Any:
        return gc.tools.minimize(lambda x: jnp.sum((x - target) ** 2), jnp.zeros(2), gc.lbfgs()).params

    targets = jnp.array([1.0, 3.0])
    np.testing.assert_allclose(jax.jit(jax.vmap(solve))(targets), [[1.0, 1.0], [3.0, 3.0]], atol=1e-5)
