"""Where the tree functions do better than Optax's: half precision, None, errors, mixed dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradchain as gc
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


SIZES = [1e20, 1e38, 1.0, 1e-25, 1e-37]


@pytest.mark.parametrize("size", SIZES)
def test_norms_are_finite_where_their_squares_are_not(size):
    entries = np.array([3.0, -4.0, 12.0]) / 13 * np.float64(size)
    tree = {"a": jnp.asarray(entries[:2], jnp.float32), "b": jnp.asarray(entries[2], jnp.float32)}
    for norm in (gt.norm, jax.jit(gt.norm)):
        np.testing.assert_allclose(norm(tree), size, rtol=1e-6)
    slope = jax.grad(gt.norm)(tree)
    np.testing.assert_allclose(slope["a"], entries[:2] / size, rtol=1e-6)
    np.testing.assert_allclose(slope["b"], entries[2] / size, rtol=1e-6)
    vector = jnp.asarray(entries, jnp.float32)
    np.testing.assert_allclose(gc.safe_norm(vector, 0.0), size, rtol=1e-6)
    np.testing.assert_allclose(gc.safe_root_mean_squares(vector, 0.0), size / 3**0.5, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(gc.safe_norm)(vector, 0.0), entries / size, rtol=1e-6)
    complex_ = {"a": jax.lax.complex(vector[:1], vector[1:2]), "b": vector[2]}
    batched = jax.tree.map(lambda x: x[None], complex_)
    for norms in (gt.norm(complex_), jax.vmap(gt.norm)(batched)[0], jax.vmap(jax.jit(gt.norm))(batched)[0]):
        np.testing.assert_allclose(norms, size, rtol=1e-6)
    slope = jax.grad(gt.norm)(complex_)
    np.testing.assert_allclose(slope["a"], (entries[:1] - 1j * entries[1:2]) / size, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(gt.norm))(batched)["b"], entries[2:] / size, rtol=1e-6)


def test_norms_of_a_batch_have_one_more_pass_and_each_its_own_size():
    rows = jnp.asarray(np.outer(SIZES, [0.6, -0.8]), jnp.float32)
    each = jax.vmap(lambda row: gt.norm({"a": row[:1], "b": row[1:]}))
    for norms in (each, jax.jit(each), jax.vmap(lambda row: gc.safe_norm(row, 0.0))):
        np.testing.assert_allclose(norms(rows), SIZES, rtol=1e-6)
    np.testing.assert_allclose(gc.safe_norm(rows, 0.0, axis=1), SIZES, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(each)(rows.reshape(5, 1, 2)), np.reshape(SIZES, (5, 1)), rtol=1e-6)
    batched = jax.jit(jax.vmap(each)).lower(rows.reshape(5, 1, 2)).as_text()
    assert batched.count("stablehlo.while") == 1  # not a select between two passes


def test_what_is_not_finite_has_no_finite_norm():
    for bad in (jnp.inf, jnp.nan):
        tree = {"a": jnp.array([1e20, bad]), "b": jnp.ones(2)}
        assert not jnp.isfinite(gt.norm(tree))
        assert jnp.isnan(gt.norm(tree)) == np.isnan(bad)
    float0 = np.zeros(2, jax.dtypes.float0)
    for ord in (2, 1, "inf"):
        nothing = {"a": jnp.zeros((0, 3)), "b": None, "c": float0}
        assert gt.norm(nothing, ord) == gt.norm({}, ord) == 0
    assert gt.norm({"a": jnp.full(5, 100_000), "b": jnp.array(True)}) == np.float32(5e10 + 1) ** 0.5


@pytest.mark.parametrize("ord", [None, 1, 2, jnp.inf, "fro"])
@pytest.mark.parametrize("axis", [None, 0, (0, 1), (-1,)])
def test_safe_norms_are_those_of_optax(ord, axis):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
    arrays = (x.at[:, 0].set(0), jax.lax.complex(x, -x), jnp.arange(6).reshape(2, 3))
    for a, least, keepdims in zip(arrays, (0.0, 1.5, 1.5), (False, True, False), strict=True):
        with jax.numpy_dtype_promotion("standard"):
            try:
                expected = optax.safe_norm(a, least, ord, axis, keepdims)
            except ValueError:
                with pytest.raises(ValueError, match="order"):
                    gc.safe_norm(a, least, ord, axis, keepdims)
                continue
            norms = gc.safe_norm(a, least, ord, axis, keepdims)
        assert norms.dtype == expected.dtype
        np.testing.assert_allclose(norms, expected, rtol=1e-5, strict=True)


def test_safe_sizes_have_derivatives_at_zero():
    for size in (gc.safe_norm, gc.safe_root_mean_squares):
        for least in (0.0, 1.5):
            np.testing.assert_array_equal(jax.grad(size)(jnp.zeros(3), least), 0)
    rms = gc.safe_root_mean_squares(jnp.array([1, 2]), 0.0)
    np.testing.assert_allclose(rms, 2.5**0.5, rtol=1e-6)


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
