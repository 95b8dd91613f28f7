"""Dion and Dion2 in closed form; what they say of bad arguments; whole matrices on one device each."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from devices import mesh_of
from test_matrices import collectives, polar, random
from trees import check_close, enable_x64

import gradchain as gc
from gradchain.core.matrices import basis_of


def one_step(tx: Any, g: Any, mu: Any, basis: Any = None) -> tuple[np.ndarray, Any]:
    """The update, and the state, from momentum and basis as given."""
    state = tx.init(g)._replace(mu=mu)
    state = state if basis is None else state._replace(basis=(basis[None],))
    u, state = tx.update(g, state)
    return np.asarray(u), state


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("rank", [1, 3])
def test_what_a_step_uses_leaves_the_momentum(shape: Any, rank: int) -> None:
    """With (in, out) for the authors' (out, in): M = M - (1 - beta) M P P*, P the basis of M* Q."""
    with enable_x64():
        rng = np.random.default_rng(1)
        g, m = jnp.asarray(rng.normal(size=shape)), jnp.asarray(rng.normal(size=shape))
        q = jnp.asarray(rng.normal(size=(shape[0], rank)))
        u, state = one_step(gc.scale_by_dion(0.7, 0.0, rank=rank), g, m, q)
        total = np.asarray(g + m)
        left, _ = np.linalg.qr(total.T @ np.asarray(q))
        np.testing.assert_allclose(left.T @ left, np.eye(rank), atol=1e-14)
        np.testing.assert_allclose(state.mu, total - 0.3 * total @ left @ left.T, atol=1e-13)
        assert np.linalg.matrix_rank(u, 1e-10) == rank
        np.testing.assert_allclose(u @ left @ left.T, u, atol=1e-13)
        np.testing.assert_allclose(np.linalg.norm(u @ left, axis=0), 1, atol=1e-13)  # of every direction
        np.testing.assert_allclose(np.linalg.norm(state.basis[0][0], axis=0), 1, atol=1e-13)


def test_of_full_rank_it_is_the_polar_factor_once_the_basis_has_turned() -> None:
    """With Q the left singular vectors of M, P are the right ones: Q P* is the polar factor."""
    with enable_x64():
        g = jnp.asarray(np.random.default_rng(2).normal(size=(6, 4)))
        left = jnp.asarray(np.linalg.svd(np.asarray(g), full_matrices=False)[0])
        u, _ = one_step(gc.scale_by_dion(eps=0.0), g, jnp.zeros_like(g), left)
        np.testing.assert_allclose(u, polar(g), atol=1e-12)
        tx = gc.scale_by_dion(1 - 1e-12, eps=0.0)  # M stays: power iterations find the vectors
        state = tx.init(g)._replace(mu=g)
        for _ in range(300):
            u, state = tx.update(jnp.zeros_like(g), state)
        np.testing.assert_allclose(u, polar(g), atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_where_there_is_no_gradient_nothing_moves(dtype: str) -> None:
    """No gradient at all, and one of rank 1: noise of rounding is no direction."""
    g = {"zero": jnp.zeros((5, 4), dtype), "one": jnp.outer(jnp.arange(5.0), jnp.ones(4)).astype(dtype)}
    tx = gc.scale_by_dion()
    start = tx.init(g)
    u, state = tx.update(g, start)
    check_close(u["zero"], g["zero"], 0)
    check_close(state.basis["zero"], start.basis["zero"], 0)
    expected = polar_of_rank_one(g["one"])
    np.testing.assert_allclose(
        np.asarray(u["one"], float), expected, atol=3e-3 if dtype == "bfloat16" else 1e-6
    )
    check_close(state.basis["one"][0][:, :, 1:], start.basis["one"][0][:, :, 1:], 0)
    slope = jax.grad(lambda x: sum(jnp.sum(v**2) for v in jax.tree.leaves(tx.update(x, start)[0])))(g)
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(slope))


def polar_of_rank_one(g: Any) -> np.ndarray:
    g = np.asarray(g, float)
    return g / np.linalg.norm(g)


def test_derivatives_of_a_basis_are_those_of_differences() -> None:
    with enable_x64():
        rng = np.random.default_rng(3)
        for a in (rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, 3)) + 1j * rng.normal(size=(2, 5, 3))):
            a, da = jnp.asarray(a), jnp.asarray(rng.normal(size=a.shape)).astype(a.dtype)
            _, found = jax.jvp(basis_of, (a,), (da,))
            h = 1e-6
            difference = (basis_of(a + h * da) - basis_of(a - h * da)) / (2 * h)
            np.testing.assert_allclose(found, difference, atol=1e-8)


def test_the_rank_is_a_part_of_the_shorter_side() -> None:
    g = {"a": jnp.ones((10, 4)), "b": jnp.ones((3, 7))}
    for how, ranks in [
        ({}, (4, 3)),
        ({"rank_fraction": 0.3}, (2, 1)),
        ({"rank": 3}, (3, 3)),
        ({"rank": 9}, (4, 3)),
    ]:
        basis = gc.scale_by_dion(**how).init(g).basis
        assert (basis["a"][0].shape, basis["b"][0].shape) == ((1, 10, ranks[0]), (1, 3, ranks[1]))
    same, other = (gc.scale_by_dion(key=key).init(g).basis["a"][0] for key in (jax.random.key(0), 1))
    check_close(same, gc.scale_by_dion().init(g).basis["a"][0], 0)
    assert float(jnp.max(jnp.abs(same - other))) > 0.1


# Dion2


@pytest.mark.parametrize(("shape", "axis"), [((6, 4), 0), ((4, 6), 1), ((5, 5), 0), ((8, 8), 0)])
@pytest.mark.parametrize("b2", [None, 0.5])
def test_the_largest_rows_of_the_shorter_side_move(shape: Any, axis: int, b2: float | None) -> None:
    axis = 0 if b2 is not None else axis  # Dion3: outputs always, our columns
    with enable_x64():
        g = jnp.asarray(np.random.default_rng(4).normal(size=shape))
        tx = gc.scale_by_dion2(0.5, 0.75, b2, ns_coeffs="exact")
        u, state = one_step(tx, g, jnp.zeros_like(g))
        sizes = np.abs(np.asarray(g)).sum(axis)
        moved = sizes >= np.sort(sizes)[len(sizes) // 2]
        assert moved.sum() == -(-len(sizes) // 2)
        pick = (
            lambda x: np.compress(moved, np.asarray(x), 1 - axis),
            lambda x: np.compress(~moved, x, 1 - axis),
        )
        np.testing.assert_array_equal(pick[1](u), 0)
        np.testing.assert_allclose(pick[0](state.mu), 0.75 * pick[0](g), rtol=1e-14)
        np.testing.assert_array_equal(pick[1](state.mu), pick[1](g))
        part = polar(pick[0](g))
        if b2 is not None:  # after one step v is (1 - b2) times the mean square: all columns of one length
            wide = part / np.linalg.norm(part, axis=0)
            part = wide * np.linalg.norm(part) / np.linalg.norm(wide)
            np.testing.assert_array_equal(np.asarray(state.nu[0][0]) > 0, moved)
        np.testing.assert_allclose(pick[0](u), part, atol=1e-6)


def test_a_traced_fraction_takes_the_same_rows() -> None:
    g = random(7, 5)
    step = jax.jit(lambda f: gc.scale_by_dion2(f, 0.5, 0.9).update(g, gc.scale_by_dion2(b2=0.9).init(g)))
    for fraction in (0.2, 0.25, 0.6, 1.0):
        tx = gc.scale_by_dion2(fraction, 0.5, 0.9)
        check_close(step(jnp.float32(fraction)), tx.update(g, tx.init(g)), 1e-5)


def test_all_rows_are_muon() -> None:
    """Of the whole matrix, with nothing kept, it is Muon without momentum."""
    g = random(6, 4)
    dion2, muon = (
        gc.scale_by_dion2(1.0, 0.0),
        gc.scale_by_muon("polar_express_refit", beta=0.0, nesterov=False),
    )
    state = dion2.init(g)
    for _ in range(2):
        u, state = dion2.update(g, state)
        check_close(u, muon.update(g, muon.init(g))[0], 1e-4)


def test_matrices_move_by_dion_and_the_rest_by_adamw() -> None:
    p = {"w": random(4, 6), "b": jnp.ones(3)}
    for tx in (gc.dion(0.1, weight_decay=0.5), gc.dion2(0.1, 1.0, weight_decay=0.5)):
        u, _ = tx.update(p, tx.init(p), p)
        adam = gc.adamw(0.1, 0.9, 0.95, weight_decay=0.01)
        check_close(u["b"], adam.update(p["b"], adam.init(p["b"]), p["b"])[0], 1e-6)
        left = np.asarray(u["w"] + 0.05 * p["w"]) / (-0.1 * np.sqrt(6 / 4))  # columns over rows
        assert np.linalg.norm(left) == pytest.approx(2.0, rel=0.2)
        other = tx.replace(adam_learning_rate=0.2)
        v, _ = other.update(p, other.init(p), p)
        check_close(v["b"], 2 * u["b"], 1e-6)


@pytest.mark.skipif(not hasattr(jax, "set_mesh"), reason="the mesh in use is told by jax.set_mesh")
def test_devices_talk_no_more_than_for_muon() -> None:
    """`collectives` compares with the step on one device too."""
    mesh = mesh_of((8,), "data")
    muon = collectives(gc.scale_by_muon(), mesh)
    low, full = (collectives(gc.scale_by_dion(rank=r), mesh) for r in (1, 6))
    assert 0 < low == full
    few, many = (collectives(gc.scale_by_dion2(0.5, ns_steps=n), mesh) for n in (1, 8))
    assert 0 < few == many
    assert max(low, few) <= 3 * muon  # momentum goes there and back too


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gc.dion(rank=0), "dion: rank must be a whole number of at least 1 or None, received 0"),
        (lambda: gc.dion(rank=True), "rank must be a whole number"),
        (lambda: gc.scale_by_dion(rank=1.5), "scale_by_dion: rank must be .*received 1.5"),
        (lambda: gc.dion(rank_fraction=0.0), "rank_fraction must be a number, more than 0 and at most 1"),
        (lambda: gc.scale_by_dion(rank_fraction=1.1), "received 1.1: it decides the shapes in the state"),
        (lambda: gc.scale_by_dion(1.0), r"beta must be in \[0, 1\)"),
        (lambda: gc.dion(scaling="none"), "dion: scaling must be one of"),
        (lambda: gc.dion2(scaling="none"), "dion2: scaling must be one of"),
        (lambda: gc.dion2(fraction=0.0), "dion2: fraction must be more than 0 and at most 1, received 0"),
        (lambda: gc.scale_by_dion2(1.5), "fraction must be more than 0 and at most 1, received 1.5"),
        (lambda: gc.dion2(ns_coeffs="polar_expres"), "dion2: ns_coeffs must be one of .*Did you mean"),
        (lambda: gc.scale_by_dion2(b2=1.0), "b2"),
    ],
)
def test_bad_arguments_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
    with pytest.raises(ValueError, match=r"scale_by_dion: parameter \['b'\] has shape \(3,\)|two axes"):
        gc.scale_by_dion().init({"b": jnp.ones(3)})
