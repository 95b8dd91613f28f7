"""Where the tree functions do better than Optax's: half precision, None, errors, mixed dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradchain.tree as gt

HALVES = [jnp.float16, jnp.bfloat16]


@pytest.mark.parametrize("dtype", HALVES)
def test_sums_of_half_precision_are_float32(dtype):
    tree = {"a": jnp.full((1000,), 300, dtype), "b": jnp.ones((1,), dtype)}
    for value, expected in (
        (gt.sum(tree), 300_001),
        (gt.sum(tree, associative_reduction=True), 300_001),
        (gt.vdot(tree, tree), 90_000_001),
        (gt.norm(tree), np.sqrt(90_000_001)),
        (gt.norm(tree, ord=1), 300_001),
        (gt.norm(tree, ord="inf", squared=True), 90_000),
    ):
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", HALVES)
def test_moments_of_half_precision_move(dtype):
    g, m = {"a": jnp.full((2,), 0.5, dtype)}, {"a": jnp.ones((2,), dtype)}
    for update in (gt.update_moment, gt.update_moment_per_elem_norm):
        new = update(g, m, 0.9, 2)["a"]
        assert new.dtype == dtype
        np.testing.assert_array_equal(new, jnp.asarray(0.1 * 0.25 + 0.9, dtype))


def test_the_norm_of_zeros_has_a_derivative():
    assert jnp.isfinite(jax.grad(lambda x: gt.norm({"a": x}))(jnp.zeros(3))).all()


def test_none_stays_none():
    tree, holes = {"a": jnp.ones(2), "b": jnp.ones(3)}, {"a": None, "b": jnp.ones(3)}
    for made in (
        gt.add(tree, holes),
        gt.sub(holes, tree),
        gt.add_scale(tree, 2.0, holes),
        gt.where(True, holes, tree),
        gt.cast_like(holes, tree),
        gt.update_moment(holes, tree, 0.9, 2),
    ):
        assert made["a"] is None
        assert made["b"].shape == (3,)
    assert gt.sum(holes) == gt.size(holes) == gt.vdot(tree, holes) == 3


def test_precisions_mix_as_usual_even_under_strict_promotion():
    tree = {"a": jnp.ones(2, jnp.bfloat16)}
    updates = {"a": jnp.ones(2, jnp.float32)}
    assert gt.add(tree, updates)["a"].dtype == jnp.float32
    assert gt.scale(0.5, tree)["a"].dtype == jnp.bfloat16
    assert gt.norm(tree | {"b": jnp.ones(2)}, ord=1).dtype == jnp.float32
    assert gt.max({"a": jnp.arange(3), "b": jnp.ones(2)}) == 2


@pytest.mark.parametrize(
    "function",
    [gt.add, gt.sub, gt.mul, gt.vdot, gt.allclose, gt.cast_like],
    ids=lambda function: function.__name__,
)
def test_trees_of_different_structure_are_told_apart(function):
    x = {"a": jnp.ones(2), "b": jnp.ones(2)}
    for y in ({"a": jnp.ones(2)}, {"a": jnp.ones(2), "b": {"c": jnp.ones(2)}}):
        with pytest.raises(ValueError, match=rf"^{function.__name__}: .*\['b'\]"):
            function(x, y)


def test_vdot_does_not_broadcast():
    with pytest.raises(ValueError, match=r"vdot: .* shape \(2,\) .* shape \(1,\)"):
        gt.vdot({"a": jnp.ones(2)}, {"a": jnp.ones(1)})


def test_a_mixed_dtype_names_the_leaf():
    tree = {"a": jnp.ones(2), "b": jnp.ones(2, jnp.float16), "c": jnp.ones(2, jnp.bfloat16)}
    with pytest.raises(ValueError, match=r"expected float32 .*\['b'\] has float16"):
        gt.dtype(tree)
    with pytest.raises(ValueError, match="neither of float16 and bfloat16"):
        gt.dtype({"b": tree["b"], "c": tree["c"]}, "lowest")
    with pytest.raises(ValueError, match="received 'largest'"):
        gt.dtype(tree, "largest")
    with pytest.raises(ValueError, match="ord must be None, 1, 2 or inf, received 3"):
        gt.norm(tree, ord=3)


def test_scalars_and_shapes_serve_as_leaves():
    assert gt.add({"a": 1}, {"a": 2}) == {"a": 3}
    assert gt.cast({"a": 1.5}, jnp.float16)["a"].dtype == jnp.float16
    assert gt.zeros_like({"a": jax.ShapeDtypeStruct((2,), jnp.float16)})["a"].dtype == jnp.float16
    drawn = gt.random_like(jax.random.key(0), {"a": 1.0, "b": jax.ShapeDtypeStruct((2,), "float32")})
    assert drawn["a"].shape == ()
    assert drawn["b"].shape == (2,)


def test_everything_runs_under_jit_and_vmap():
    tree = {"a": jnp.arange(6.0).reshape(3, 2), "b": None}

    def mix(tree):
        moved = gt.add_scale(tree, gt.norm(tree), gt.ones_like(tree))
        return gt.vdot(moved, tree) + gt.sum(moved) + gt.max(tree)

    np.testing.assert_allclose(jax.jit(jax.vmap(mix))(tree)[1], mix({"a": tree["a"][1], "b": None}))
