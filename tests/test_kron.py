"""PSGD Kron: what its factors are fitted to, when they are updated, and what they weigh."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from devices import mesh_of
from trees import check_close, enable_x64

import gradchain as gc
from gradchain.transforms.kron_factors import balanced, spectral_bound


def random(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def after(tx: Any, p: Any, gradients: Any) -> tuple[Any, Any]:
    """Updates and state after these gradients."""
    step, state, u = jax.jit(tx.update), tx.init(p), None
    for g in gradients:
        u, state = step(g, state, p)
    return u, state


def factors(state: Any, name: str) -> list[np.ndarray]:
    """The factors of a parameter that is one array."""
    (stack,) = state.factors[name]
    return [np.asarray(q[0]) for q in stack]


# The fit


def settled(p: Any, draw: Any, steps: int = 6000, **arguments: Any) -> Any:
    """The state after many updates on random gradients, with ever smaller steps."""
    rates = gc.polynomial_schedule(0.2, 0.002, 1.0, steps)
    tx = gc.scale_by_kron(0.0, rates, 1.0, clipping_threshold=None, **arguments)

    def step(state: Any, key: Any) -> Any:
        return tx.update(draw(key), state, p)[1], None

    return jax.jit(lambda keys: jax.lax.scan(step, tx.init(p), keys)[0])(
        jax.random.split(jax.random.key(7), steps)
    )


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_matrices_of_kronecker_covariance_come_out_white(dtype: str) -> None:
    """P = Q* Q over both axes is the inverse root of the covariance, so P g has the identity's."""
    turn = 0 if dtype == "float32" else 1j
    rng = np.random.default_rng(1)
    left = jnp.asarray(rng.normal(size=(3, 3)) + turn * rng.normal(size=(3, 3)) + 2 * np.eye(3), dtype)
    right = jnp.asarray(rng.normal(size=(4, 4)) - (2 - turn) * np.eye(4), dtype)
    p = {"w": jnp.zeros((3, 4), dtype)}
    state = settled(p, lambda key: {"w": left @ jax.random.normal(key, (3, 4), dtype) @ right})
    ql, qr = factors(state, "w")
    assert ql.dtype == dtype
    covariance = np.kron(left @ left.T.conj(), right.T @ right.conj())
    values, vectors = np.linalg.eigh(covariance)
    expected = vectors / np.sqrt(values) @ vectors.T.conj()
    found = np.kron(ql.T.conj() @ ql, qr.T.conj() @ qr)
    assert np.linalg.norm(found - expected) <= 0.1 * np.linalg.norm(expected)
    assert np.linalg.norm(found @ covariance @ found - np.eye(12)) <= 0.15 * np.linalg.norm(np.eye(12))
    assert values[-1] > 30 * values[0]  # they were not white


def test_vectors_are_divided_by_their_deviations() -> None:
    deviations = jnp.asarray([0.1, 1.0, 20.0])
    state = settled({"b": deviations}, lambda key: {"b": deviations * jax.random.normal(key, (3,))})
    (q,) = factors(state, "b")
    np.testing.assert_allclose(q**2 * deviations, 1, rtol=0.15)


def test_factors_stay_triangular_with_positive_diagonals() -> None:
    p = {"w": random(5, 3)}
    gradients = [{"w": 10.0**i * random(5, 3, seed=i)} for i in range(9)]
    _, state = after(gc.scale_by_kron(precond_lr=0.7), p, gradients)
    for q in factors(state, "w"):
        assert np.array_equal(q, np.triu(q))
        assert (np.diag(q) > 0).all()
        assert np.abs(q - np.diag(np.diag(q))).max() > 0.1 * np.diag(q).max()


def test_the_bound_of_the_norm() -> None:
    x = random(20, 6, 6)
    a = x @ jnp.swapaxes(x, 1, 2)
    norms = np.linalg.norm(np.asarray(a), 2, axis=(1, 2))
    bounds = np.asarray(spectral_bound(a))[:, 0, 0]
    assert (bounds <= norms * (1 + 1e-6)).all()
    assert (bounds >= norms / 2**0.5).all()
    np.testing.assert_allclose(spectral_bound(1e-25 * a)[:, 0, 0], 1e-25 * bounds, rtol=1e-5)
    assert spectral_bound(0 * a).max() == 0


def test_balancing_moves_scales_between_axes_and_changes_no_update() -> None:
    p = {"w": random(3, 4)}
    gradients = [{"w": random(3, 4, seed=i)} for i in range(6)]
    made = [gc.scale_by_kron(balance_probability=b, precond_init_scale=0.3) for b in (0.0, 1.0)]
    with enable_x64():
        (u, left), (v, even) = (after(tx, p, gradients) for tx in made)
        check_close(u, v, 1e-6)
    assert abs(factors(left, "w")[0] - factors(even, "w")[0]).max() > 1e-3
    q = (random(2, 3, 3), jnp.abs(random(2, 4)))
    a, b = balanced(q)
    np.testing.assert_allclose(jnp.max(jnp.abs(a), (1, 2)), jnp.max(b, 1), rtol=1e-6)
    np.testing.assert_allclose(a[1, 0, 0] * b[1, 2], q[0][1, 0, 0] * q[1][1, 2], rtol=1e-6)


def test_a_zero_gradient_leaves_the_factors_and_a_dead_row_bounds_them() -> None:
    p = {"w": jnp.ones((3, 2)), "b": jnp.ones(3)}
    zero = jax.tree.map(jnp.zeros_like, p)
    tx = gc.scale_by_kron(0.0, 0.5)
    u, state = after(tx, p, [zero] * 3)
    check_close(state.factors, tx.init(p).factors, 0)
    assert not any(map(jnp.any, jax.tree.leaves(u)))
    dead = {"w": random(3, 2).at[1].set(0), "b": random(3).at[1].set(0)}
    u, state = after(tx, p, [dead] * 300)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((u, state.factors)))
    assert not np.any(u["b"][1])


def test_updates_are_clipped_by_array() -> None:
    p = {"w": 100 * random(4, 3), "s": jnp.float32(0.01)}
    u, _ = after(gc.scale_by_kron(precond_lr=0.0), p, [p])
    assert np.sqrt(np.mean(np.square(u["w"]))) == pytest.approx(1.1)
    assert u["s"] == pytest.approx(0.01)
    u, _ = after(gc.scale_by_kron(precond_lr=0.0, precond_init_scale=3.0, clipping_threshold=None), p, [p])
    check_close(u, jax.tree.map(lambda x: 9 * x, p), 1e-6)


# Noise


def test_noise_of_an_array_is_its_own() -> None:
    g = random(3, 2)
    alone = after(gc.scale_by_kron(), {"w": g}, [{"w": g}])[1]
    both = after(gc.scale_by_kron(), {"a": g, "w": g}, [{"a": g, "w": g}])[1]
    check_close(both.factors["w"], alone.factors["w"], 1e-6)
    assert abs(factors(both, "a")[0] - factors(both, "w")[0]).max() > 1e-3
    x = jnp.concatenate([g, g])
    ((q, _),) = after(gc.scale_by_kron(block_size=3), {"w": x}, [{"w": x}])[1].factors["w"]
    assert abs(q[0] - q[1]).max() > 1e-3
    other = after(gc.scale_by_kron(key=1), {"w": g}, [{"w": g}])[1]
    assert abs(factors(other, "w")[0] - factors(alone, "w")[0]).max() > 1e-3
    raw = after(gc.scale_by_kron(key=jax.random.PRNGKey(0)), {"w": g}, [{"w": g}])[1]
    check_close(raw.factors, alone.factors, 0)


def test_noise_is_new_at_every_update() -> None:
    """With the same gradient twice, and almost the same factors, the second change is another one."""
    g = {"w": random(3, 2)}
    tx = gc.scale_by_kron(0.0, 1e-3)
    first, second = (factors(after(tx, g, [g] * n)[1], "w")[0] for n in (1, 2))
    assert abs((second - first) - (first - np.eye(3))).max() > 0.1 * abs(first - np.eye(3)).max()


# When


def due(probability: Any, steps: int) -> list[int]:
    """The steps, from 1, on which the factors were updated."""
    p = jnp.ones(2)
    tx = gc.scale_by_kron(precond_update_probability=probability)

    def step(state: Any, _: Any) -> Any:
        _, new = tx.update(p, state)
        moved = jnp.any(new.factors[0][0] != state.factors[0][0])
        return new, (moved, new.update_counter == 0)

    moved, counted = jax.jit(lambda s: jax.lax.scan(step, s, None, steps)[1])(tx.init(p))
    np.testing.assert_array_equal(moved, counted)
    return list(np.flatnonzero(moved) + 1)


@pytest.mark.parametrize(
    ("probability", "every"), [(1.0, 1), (1, 1), (0.6, 2), (0.5, 2), (0.3, 4), (1 / 49, 49), (0.03, 34)]
)
def test_updates_are_counted_not_drawn(probability: float, every: int) -> None:
    assert due(probability, 150) == list(range(every, 151, every))


def test_probability_zero_never_updates_and_schedules_are_followed() -> None:
    assert due(0.0, 20) == []
    assert due(gc.piecewise_constant_schedule(1.0, {3: 0.25}), 12) == [1, 2, 3, 7, 11]


def test_the_authors_schedule() -> None:
    expected, counter = [], 0
    for n in range(4500):
        counter += 1
        if counter >= 1 / min(max(np.exp(-0.001 * (n - 500)), 0.03), 1):
            expected.append(n + 1)
            counter = 0
    found = due(None, 4500)
    assert found[:501] == list(range(1, 502))
    assert abs(len(found) - len(expected)) <= 2  # rounding: 1 / probability near a whole number
    assert found[-1] - found[-2] == 34


def primitives(jaxpr: Any, inside: bool = False) -> Any:
    """Names of a program's operations, and whether each is in a conditional."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name, inside
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from primitives(inner, inside or equation.primitive.name == "cond")


def test_what_an_update_costs_is_in_a_conditional() -> None:
    p = {"w": jnp.ones((4, 3)), "v": jnp.ones((3, 5)), "b": jnp.ones(3)}
    tx = gc.psgd_kron(1e-3)
    state = tx.init(p)
    found = list(primitives(jax.make_jaxpr(tx.update)(p, state, p).jaxpr))
    for costly in ("triangular_solve", "random_bits", "erf_inv", "argmax"):
        assert (costly, True) in found
        assert (costly, False) not in found
    compiled = jax.jit(tx.update).lower(p, state, p).compile().as_text()
    assert compiled.count(" conditional(") == 3  # one for each shape


def test_one_program_for_all_steps() -> None:
    p = {"w": jnp.ones((4, 3)), "b": jnp.ones(3)}
    tx = gc.psgd_kron(gc.cosine_decay_schedule(1e-3, 10), precond_update_probability=0.5)
    step, state = jax.jit(tx.step), tx.init(p)
    for _ in range(4):
        p, state = step(p, state, p)
    assert step._cache_size() == 1


# What it keeps


@pytest.mark.parametrize(
    ("arguments", "shapes"),
    [
        ({}, [(6, 6), (4, 4)]),
        ({"memory_save_mode": "one_diag"}, [(6,), (4, 4)]),
        ({"memory_save_mode": "smart_one_diag"}, [(6,), (4, 4)]),
        ({"memory_save_mode": "all_diag"}, [(6,), (4,)]),
        ({"max_size_triangular": 5}, [(6,), (4, 4)]),
        ({"min_ndim_triangular": 3}, [(6,), (4,)]),
        ({"block_size": 4, "max_size_triangular": 3}, [(4,), (4,)]),
        ({"merge_dims": 24, "min_ndim_triangular": 1}, [(24, 24)]),
        ({"merge_dims": 24}, [(24,)]),
    ],
)
def test_memory(arguments: dict[str, Any], shapes: list[tuple[int, ...]]) -> None:
    p = {"w": jnp.ones((6, 4))}
    tx = gc.scale_by_kron(**arguments)
    stack = tx.init(p).factors["w"][0]
    assert [q.shape[1:] for q in stack] == shapes
    if "block_size" not in arguments:
        rest = 4 + 4 + 8 + 4 * 24  # two counters, the key, m
        assert gc.memory(tx, p).total == rest + 4 * sum(map(np.prod, shapes))


def test_of_equal_axes_the_last_one_is_diagonal() -> None:
    def shapes(mode: Any, *whole: int) -> list[Any]:
        tx = gc.scale_by_kron(memory_save_mode=mode, min_ndim_triangular=1)
        (stack,) = tx.init(jnp.ones(whole)).factors
        return [q.shape[1:] for q in stack]

    assert shapes("one_diag", 4, 4, 2) == [(4, 4), (4,), (2, 2)]
    assert shapes("smart_one_diag", 4, 4, 2) == [(4, 4), (4, 4), (2, 2)]
    assert shapes("one_diag", 4) == [(4,)]
    assert shapes("smart_one_diag", 4) == [(4, 4)]


def test_axes_by_dimension_numbers() -> None:
    tx = gc.scale_by_kron(weight_dimension_numbers=gc.matrix_dimension_numbers({"w": "conv", "b": None}))
    state = tx.init({"w": jnp.ones((2, 2, 3, 5)), "b": jnp.ones(3)})
    assert [q.shape for q in state.factors["w"][0]] == [(1, 12, 12), (1, 5, 5)]


def test_describe_tells_of_diagonal_factors() -> None:
    text = str(gc.describe(gc.psgd_kron(max_size_triangular=5), {"w": jnp.ones((6, 4)), "b": jnp.ones(9)}))
    assert "scale_by_kron: ['w'] of shape (6, 4) has a diagonal factor for its axis of 6." in text
    assert "['b']" not in text


def test_a_tree_without_arrays_counts_its_steps() -> None:
    tx = gc.scale_by_kron()
    state = tx.init({"n": None})
    updates, state = tx.update({"n": None}, state)
    assert updates == {"n": None}
    assert state.count == 1
    assert state.update_counter == 0


def test_devices_share_the_arrays() -> None:
    mesh = mesh_of((8,), "data")
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    g = {str(i): random(8, 4, seed=i) for i in range(3)}
    tx = gc.scale_by_kron()
    expected = after(tx, g, [g] * 3)
    with jax.set_mesh(mesh):
        found = after(tx, jax.device_put(g, split), [jax.device_put(g, split)] * 3)
    check_close(found[0], expected[0], 1e-4)
    check_close(found[1].factors, expected[1].factors, 1e-4)


# Decay and errors


def test_arrays_of_two_axes_decay() -> None:
    p = {"norm": jnp.ones((2, 2)), "b": jnp.ones(2), "s": jnp.ones(())}
    tx = gc.psgd_kron(0.1, weight_decay=0.5)
    u, _ = tx.update(jax.tree.map(jnp.zeros_like, p), tx.init(p), p)
    check_close(u, {"norm": jnp.full((2, 2), -0.05), "b": jnp.zeros(2), "s": jnp.zeros(())}, 1e-6)


IN_UNIT = "must be in [0, 1], received"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precond_update_probability": 1.5}, f"precond_update_probability {IN_UNIT} 1.5."),
        ({"precond_update_probability": -0.1}, f"precond_update_probability {IN_UNIT} -0.1."),
        ({"balance_probability": 2.0}, f"balance_probability {IN_UNIT} 2.0."),
        ({"precond_lr": 1.0}, "precond_lr must be in [0, 1), received 1.0."),
        ({"precond_lr": -0.1}, "precond_lr must be in [0, 1), received -0.1."),
        ({"precond_init_scale": 0.0}, "precond_init_scale must be finite and more than 0, received 0.0."),
        ({"clipping_threshold": 0.0}, "clipping_threshold must be finite and more than 0, received 0.0."),
        ({"max_size_triangular": 0}, "max_size_triangular must be a whole number of at least 1,"),
    ],
)
@pytest.mark.parametrize("name", ["scale_by_kron", "psgd_kron"])
def test_bad_arguments(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(gc, name)(**arguments).init(jnp.ones(2))


def test_an_unknown_mode_is_told_the_nearest() -> None:
    message = (
        "scale_by_kron: memory_save_mode must be one of one_diag, smart_one_diag, all_diag or None, "
        "received 'one-diag'. Did you mean 'one_diag'?"
    )
    for factory in (gc.scale_by_kron, gc.psgd_kron):
        with pytest.raises(ValueError, match=re.escape(message)):
            factory(memory_save_mode="one-diag")  # type: ignore[arg-type]
