"""Aggregators: Optax's numbers over several steps, plain loops, calls that are remembered, errors."""

import copy
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from trees import check_close, enable_x64, params

import gradchain as gc
import gradchain.experimental.aggregating as ga
from gradchain.projections import projection_l2_ball

oa = optax.experimental.aggregating


def elements(like: Any, step: int, batch: tuple[int, ...], last: bool = False) -> Any:
    """Gradients of single elements, along the first axes or the last."""
    leaves, treedef = jax.tree.flatten(like)
    rng = np.random.default_rng(step)
    shapes = [(*p.shape, *batch) if last else (*batch, *p.shape) for p in leaves]
    grads = [jnp.asarray(rng.normal(0.3, 1, s), p.dtype) for p, s in zip(leaves, shapes, strict=True)]
    return jax.tree.unflatten(treedef, grads)


Case = tuple[Callable[[Any, Any], Any], tuple[int, ...], bool]
# what makes it, of a library and its aggregating module; the elements' axes; whether they are last
CASES: dict[str, Case] = {
    "average": (lambda m, a: a.average_per_element_updates(), (4,), False),
    "average of two axes": (lambda m, a: a.average_per_element_updates((0, 1)), (2, 3), False),
    "average over the last": (lambda m, a: a.average_per_element_updates(-1), (4,), True),
    "accumulate": (lambda m, a: a.accumulate_avg_updates(3), (), False),
    "accumulate one": (lambda m, a: a.accumulate_avg_updates(1), (), False),
    "incrementally": (lambda m, a: a.average_incrementally_updates((0, 1), 2), (2, 3), False),
    "incrementally, averaged": (lambda m, a: a.average_incrementally_updates(None, 2), (), False),
    "incrementally, one": (lambda m, a: a.average_incrementally_updates(0, 1), (4,), False),
    "moments": (lambda m, a: a.get_per_element_mean_and_sum_sq_diff_grads(), (4,), False),
    "moments of steps": (
        lambda m, a: a.get_per_element_mean_and_sum_sq_diff_grads((0, 1), 3),
        (2, 3),
        False,
    ),
    "process": (
        lambda m, a: a.process(
            m.scale(0.5), a.average_incrementally_updates(0, 2), m.adamw(1e-2, weight_decay=0.1)
        ),
        (4,),
        False,
    ),
    "process at once": (
        lambda m, a: a.process(m.clip(0.4), a.average_per_element_updates(), m.sgd(0.1, 0.9)),
        (4,),
        False,
    ),
    "mean and variance": (lambda m, a: a.add_mean_variance_to_opt(m.adamw(1e-2)), (4,), False),
    "mean and variance of steps": (
        lambda m, a: a.add_mean_variance_to_opt(m.adam(1e-2), 0.7, (0, 1), 2),
        (2, 3),
        False,
    ),
}
BY_CASE = pytest.mark.parametrize("case", CASES)


def run(case: str, module: Any, aggregating: Any, dtype: Any, steps: int = 5) -> list[Any]:
    """Updates and states of several steps."""
    make, batch, last = CASES[case]
    tx = make(module, aggregating)
    p = params(dtype)
    state, out = tx.init(p), []
    step = jax.jit(tx.update)
    for i in range(steps):
        updates, state = step(elements(p, i, batch, last), state, p)
        out.append((updates, state))
    return out


@BY_CASE
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_are_those_of_optax(case: str, dtype: str) -> None:
    with enable_x64() if dtype == "float64" else nullcontext():
        ours = run(case, gc, ga, dtype)
        with jax.numpy_dtype_promotion("standard"):
            theirs = run(case, optax, oa, dtype)
        for (u, s), (v, t) in zip(ours, theirs, strict=True):
            check_close(u, v, 1e-5 if dtype == "float32" else 1e-12)
            # Optax divides by the number of elements less one in float32
            check_close(s, t, 1e-5 if dtype == "float32" else 1e-7)
            assert str(jax.tree.structure(s)) == str(jax.tree.structure(t))  # classes of one name
        updates = ours[-1][0][0] if "moments" in case else ours[-1][0]
        assert all(u.dtype == dtype for u in jax.tree.leaves(updates))


@BY_CASE
def test_states_keep_their_shapes_so_that_they_scan(case: str) -> None:
    make, batch, last = CASES[case]
    tx, p = make(gc, ga), params()
    grads = [elements(p, i, batch, last) for i in range(4)]
    stacked = jax.tree.map(lambda *gs: jnp.stack(gs), *grads)

    def step(state: Any, g: Any) -> Any:
        updates, state = tx.update(g, state, p)
        return state, updates

    end, updates = jax.lax.scan(step, tx.init(p), stacked)
    last_updates, last_state = run(case, gc, ga, jnp.float32, 4)[-1]
    check_close(jax.tree.map(lambda u: u[-1], updates), last_updates, 1e-5)
    check_close(end, last_state, 1e-5)


@BY_CASE
def test_pairs_remember_their_call(case: str) -> None:
    make = CASES[case][0]
    tx = make(gc, ga)
    names = vars(gc) | vars(ga)
    for same in (
        make(gc, ga),
        eval(repr(tx), dict(names)),
        pickle.loads(pickle.dumps(tx)),
        copy.deepcopy(tx),
    ):
        assert same == tx
        assert hash(same) == hash(tx)
        assert type(same) is type(tx)
        assert repr(same) == repr(tx)
    assert isinstance(tx, gc.GradientTransformationExtraArgs)
    theirs = make(optax, oa)
    assert isinstance(tx, ga.Aggregator) == isinstance(theirs, oa.Aggregator)
    traced = []

    @jax.jit
    def init(tx: Any, p: Any) -> Any:
        traced.append(tx)
        return tx.init(p)

    init(tx, params())
    init(make(gc, ga), params())
    assert len(traced) == 1


def test_a_call_is_shown_and_changed() -> None:
    tx = ga.add_mean_variance_to_opt(gc.adam(1e-2), 0.8, (0, 1))
    assert repr(tx) == (
        "add_mean_variance_to_opt(opt=adam(learning_rate=0.01), ema_decay=0.8, per_elt_axis=(0, 1))"
    )
    assert tx.replace(ema_decay=0.7) == ga.add_mean_variance_to_opt(gc.adam(1e-2), 0.7, (0, 1))


@pytest.mark.parametrize("accumulation_steps", [1, 3])
def test_moments_are_those_of_all_elements(accumulation_steps: int) -> None:
    p, tx = params(), ga.get_per_element_mean_and_sum_sq_diff_grads(0, accumulation_steps)
    state, batches = tx.init(p), [elements(p, i, (4,)) for i in range(accumulation_steps)]
    for batch in batches:
        (mean, aux), state = tx.update(batch, state, p)
    whole = jax.tree.map(lambda *gs: np.concatenate(gs).astype(np.float64), *batches)
    check_close(mean, jax.tree.map(lambda g: g.mean(0), whole), 1e-6)
    squares = jax.tree.map(lambda g: ((g - g.mean(0)) ** 2).sum(0), whole)
    check_close(aux["sum_sq_diff_grads"], squares, 1e-5)
    assert aux["sample_size"] == 4 * accumulation_steps


def test_averages_without_bias_are_weighted_means() -> None:
    p, decay, n = params(), 0.7, 4
    tx = ga.add_mean_variance_to_opt(gc.sgd(0.1), decay)
    state = tx.init(p)
    check_close(ga.get_unbiased_mean_and_variance_ema(state), jax.tree.map(jnp.zeros_like, (p, p)), 0)
    means, variances, weights = [], [], decay ** np.arange(3)[::-1]
    for i in range(3):
        g = elements(p, i, (n,))
        updates, state = jax.jit(tx.update)(g, state, p)
        means.append(jax.tree.map(lambda x: np.mean(np.asarray(x, np.float64), 0), g))
        variances.append(jax.tree.map(lambda x: np.var(np.asarray(x, np.float64), 0, ddof=1), g))
        check_close(updates, jax.tree.map(lambda m: -0.1 * m, means[-1]), 1e-6)
    expected = [
        jax.tree.map(lambda *xs: np.average(np.stack(xs), axis=0, weights=weights), *history)
        for history in (means, variances)
    ]
    for found, known in zip(ga.get_unbiased_mean_and_variance_ema(state), expected, strict=True):
        check_close(found, known, 1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_averaged_in_float32(dtype: Any) -> None:
    p = {"w": jnp.zeros(2, dtype)}
    g = {"w": jnp.full((1000, 2), 300, dtype)}
    mean, _ = ga.average_per_element_updates().update(g, (), p)
    np.testing.assert_array_equal(mean["w"], np.full(2, 300))
    tx = ga.add_mean_variance_to_opt(gc.sgd(1.0), 0.999, 0, 2)
    state = tx.init(p)
    noisy = {"w": g["w"] * jnp.where(jnp.arange(1000) % 2, 0, 2).astype(dtype)[:, None]}
    for _ in range(4):
        updates, state = tx.update(noisy, state, p)
    assert updates["w"].dtype == mean["w"].dtype == dtype
    np.testing.assert_array_equal(updates["w"], np.full(2, -300))
    mean, variance = ga.get_unbiased_mean_and_variance_ema(state)
    np.testing.assert_allclose(mean["w"], np.full(2, 300), rtol=1e-3)
    np.testing.assert_allclose(variance["w"], np.full(2, 90_000 * 2000 / 1999), rtol=1e-3)


def test_process_runs_the_optimizer_when_the_mean_is_ready() -> None:
    p, calls = params(), []

    def counted(updates: Any, params: Any) -> Any:
        jax.debug.callback(lambda: calls.append(1))
        return updates

    tx = ga.process(gc.identity(), ga.average_incrementally_updates(0, 3), gc.stateless(counted))
    state = tx.init(p)
    for i in range(6):
        updates, state = tx.update(elements(p, i, (2,)), state, p)
        moved = max(float(jnp.max(jnp.abs(u))) for u in jax.tree.leaves(updates))
        assert (moved > 0) == (i % 3 == 2)
    jax.effects_barrier()
    assert len(calls) == 2


def test_process_takes_pairs_of_a_users_own_and_of_optax() -> None:
    p, g = params(), elements(params(), 0, (4,))
    own = ga.Aggregator(
        init=gc.init_empty_state, update=lambda gs, s, _: (jax.tree.map(lambda x: jnp.mean(x, 0), gs), s)
    )
    clip = lambda gs, _: jax.vmap(projection_l2_ball)(gs)  # noqa: E731
    tx = ga.process(gc.stateless(clip), own, gc.polyak_sgd())
    assert isinstance(tx, ga.Aggregator)
    updates, _ = tx.update(g, tx.init(p), p, value=jnp.float32(1.0))  # not for the user's pair
    squares = [jnp.sum(x.reshape(4, -1) ** 2, axis=1) for x in jax.tree.leaves(g)]
    factors = jnp.minimum(1, sum(squares) ** -0.5)
    mean = jax.tree.map(lambda x: jnp.tensordot(factors, x, 1) / 4, g)
    ratios = np.concatenate([np.ravel(r) for r in jax.tree.leaves(jax.tree.map(jnp.divide, updates, mean))])
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)
    theirs = ga.process(optax.clip(0.1), oa.average_per_element_updates(), optax.sgd(1.0))
    mine = ga.process(gc.clip(0.1), ga.average_per_element_updates(), gc.sgd(1.0))
    check_close(*(tx.update(g, tx.init(p), p)[0] for tx in (theirs, mine)), 1e-6)


def test_extra_arguments_of_the_aggregator_reach_the_optimizer() -> None:
    seen = {}

    def update(updates: Any, state: Any, params: Any = None, *, size: Any, **extra: Any) -> Any:
        seen.update(size=size, **extra)
        return updates, state

    last = gc.GradientTransformationExtraArgs(gc.init_empty_state, update)
    own = ga.Aggregator(gc.init_empty_state, lambda gs, s, p=None, **extra: ((gs, {"size": 3}), s))
    tx = ga.process(gc.identity(), own, last, aggregator_has_aux=True)
    tx.update(params(), tx.init(params()), params(), value=1.5)
    assert seen == {"size": 3, "value": 1.5}


def test_leaves_without_gradients_stay_without() -> None:
    p = {"w": jnp.ones(2), "n": None, "i": jnp.arange(3)}
    g = {"w": jnp.ones((4, 2)), "n": None, "i": None}
    tx = ga.add_mean_variance_to_opt(gc.sgd(0.1), accumulation_steps=2)
    state = tx.init(p)
    for _ in range(2):
        updates, state = tx.update(g, state, p)
    assert updates["n"] is None
    assert updates["i"] is None
    np.testing.assert_allclose(updates["w"], [-0.1, -0.1], rtol=1e-6)
    empty = tx.update({}, tx.init({}), {})[0]
    assert empty == {}


def test_the_number_of_elements_is_counted() -> None:
    p = params()
    for module in (ga, oa):
        count = module.get_batch_size_from_per_elt_updates
        assert count(elements(p, 0, (4,)), 0) == 4
        assert count(elements(p, 0, (2, 3)), [0, 1]) == 6
        assert count(elements(p, 0, (5,), last=True), -1) == 5
    assert ga.get_batch_size_from_per_elt_updates({}, 0) == 0


AVERAGE = ga.average_per_element_updates


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (
            lambda: ga.accumulate_avg_updates(0),
            ValueError,
            "accumulation_steps must be at least 1, received 0",
        ),
        (lambda: ga.accumulate_avg_updates(1.5), TypeError, "must be an integer, received 1.5"),
        (
            lambda: ga.average_incrementally_updates(0, -1),
            ValueError,
            "^average_inc.*at least 1, received -1",
        ),
        (lambda: ga.get_per_element_mean_and_sum_sq_diff_grads(0, 0), ValueError, "at least 1, received 0"),
        (
            lambda: ga.add_mean_variance_to_opt(gc.sgd(0.1), 1.0),
            ValueError,
            r"ema_decay must be in \[0, 1\)",
        ),
        (
            lambda: ga.process(gc.sgd, AVERAGE(), gc.sgd(0.1)),
            TypeError,
            r"process: preprocessor: .*Call it: sgd",
        ),
        (lambda: ga.process(gc.identity(), 3, gc.sgd(0.1)), TypeError, "process: aggregator: .*received 3"),
        (
            lambda: AVERAGE(1).update({"a": jnp.ones((2, 2)), "b": jnp.ones(2)}, ()),
            ValueError,
            r"average_per_element_updates: per_elt_axis is 1 but update \['b'\] has shape \(2,\)",
        ),
        (
            lambda: ga.get_batch_size_from_per_elt_updates({"a": jnp.ones(2), "b": jnp.ones(3)}, 0),
            ValueError,
            r"the same number of elements, received {\"\['a'\]\": 2, \"\['b'\]\": 3}",
        ),
        (
            lambda: step_of(ga.accumulate_avg_updates(2), {"a": jnp.ones((4, 2))}, {"a": jnp.ones(2)}),
            ValueError,
            r"accumulate_avg_updates: gradient \['a'\] has shape \(4, 2\) but its parameter has shape",
        ),
        (
            lambda: step_of(ga.add_mean_variance_to_opt(gc.sgd(0.1)), jnp.ones((1, 2)), jnp.ones(2)),
            ValueError,
            "a variance needs at least 2 elements, received sample_size=1",
        ),
        (
            lambda: step_of(ga.track_per_element_mean_and_variance_with_ema(), jnp.ones(2), jnp.ones(2)),
            TypeError,
            "needs the extra argument sum_sq_diff_grads",
        ),
        (
            lambda: ga.process(gc.identity(), AVERAGE(), gc.sgd(0.1)).update(jnp.ones((2, 2)), ()),
            ValueError,
            "process: the state must be a tuple of three states",
        ),
        (
            lambda: step_of(
                ga.process(gc.identity(), AVERAGE(), gc.sgd(0.1), True), jnp.ones((2, 2)), jnp.ones(2)
            ),
            TypeError,
            r"the aggregator must return \(\(updates, aux\), state\)",
        ),
        (
            lambda: ga.get_unbiased_mean_and_variance_ema(gc.adam(1e-3).init(jnp.ones(2))),
            ValueError,
            "no PerElementMeanAndVarianceEMAState in the state",
        ),
    ],
)
def test_mistakes_are_told(act: Callable[[], Any], error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        act()


def step_of(tx: Any, g: Any, p: Any) -> Any:
    """One update."""
    return tx.update(g, tx.init(p), p)
