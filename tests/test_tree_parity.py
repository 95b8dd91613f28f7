"""Tree functions give Optax's numbers, structures and dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradchain.tree as gt
from gradchain import tree_utils


def make(seed, complex_leaf=False):
    rng = np.random.default_rng(seed)

    def array(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    tree = {"a": (array(3), [array(2, 2), array()]), "b": None, "c": {}, "d": array(0, 2)}
    return tree | ({"z": jax.lax.complex(array(2), array(2))} if complex_leaf else {})


X, Y, Z = make(0), make(1), make(2)
CX, CY = make(3, True), make(4, True)
POSITIVE = jax.tree.map(jnp.abs, Y)
MIXED = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(3, jnp.float32)}
KEY = jax.random.key(0)

ROWS = [
    ("add", (X, Y), {}),
    ("add", (X, Y, Z, X), {}),
    ("add", (CX, CY), {}),
    ("sub", (X, Y), {}),
    ("mul", (X, Y), {}),
    ("div", (X, POSITIVE), {}),
    ("scale", (0.3, X), {}),
    ("scale", (jnp.float32(0.3), CX), {}),
    ("add_scale", (X, 0.3, Y), {}),
    ("conj", (CX,), {}),
    ("real", (CX,), {}),
    ("clip", (X,), {"min_value": -0.1, "max_value": 0.2}),
    ("clip", (X, 0.1), {}),
    ("clip", (X,), {"max_value": 0.1}),
    ("where", (True, X, Y), {}),
    ("where", (jnp.asarray(False), X, Y), {}),
    ("allclose", (X, X), {}),
    ("allclose", (X, Y, 1e-3), {}),
    ("allclose", ({}, {}), {}),
    ("sum", (X,), {}),
    ("sum", (X, True), {}),
    ("sum", ({},), {}),
    ("sum", ({"a": jnp.arange(3), "b": 2},), {}),
    ("vdot", (X, Y), {}),
    ("vdot", (CX, CY), {}),
    ("vdot", ({}, {}), {}),
    ("max", (X,), {}),
    ("min", (X,), {}),
    ("max", ({},), {}),
    ("min", ({"a": jnp.arange(3)},), {}),
    ("size", (X,), {}),
    ("norm", (X,), {}),
    ("norm", (CX,), {"ord": 1}),
    ("norm", (CX, "inf"), {}),
    ("norm", (CX, jnp.inf, True), {}),
    ("norm", (X, "infinity"), {}),
    ("norm", (X, 2, True), {}),
    ("norm", ({},), {}),
    ("batch_shape", (X, (4, 1)), {}),
    ("batch_shape", (X,), {}),
    ("zeros_like", (X,), {}),
    ("zeros_like", (X, jnp.bfloat16), {}),
    ("ones_like", (CX,), {}),
    ("full_like", (X, 2), {}),
    ("full_like", (X, 2, jnp.int32), {}),
    ("cast", (X, jnp.bfloat16), {}),
    ("cast", (X, None), {}),
    ("cast_like", ({"a": jnp.ones(2), "b": jnp.ones(1)}, MIXED), {}),
    ("cast_like", ({"a": jnp.ones(2)}, {"a": 1.0}), {}),
    ("dtype", (X,), {}),
    ("dtype", ({},), {}),
    ("dtype", (MIXED, "promote"), {}),
    ("dtype", (MIXED, "highest"), {}),
    ("dtype", (MIXED, "lowest"), {}),
    ("update_moment", (X, Y, 0.9, 2), {}),
    ("update_moment", (X, Y, 0.9, 1), {}),
    ("update_moment_per_elem_norm", (X, Y, 0.9, 3), {}),
    ("update_moment_per_elem_norm", (CX, jax.tree.map(jnp.real, CY), 0.9, 2), {}),
    ("update_moment_per_elem_norm", (CX, jax.tree.map(jnp.real, CY), 0.9, 3), {}),
    ("update_infinity_moment", (X, Y, 0.9, 1e-8), {}),
    ("bias_correction", (X, 0.9, jnp.int32(3)), {}),
    ("split_key_like", (KEY, X), {}),
    ("random_like", (KEY, X), {}),
    ("random_like", (KEY, X, jax.random.uniform), {}),
    ("random_like", (KEY, X, jax.random.rademacher, jnp.int32), {}),
    ("random_like", (KEY, X, lambda key, shape, dtype: jnp.ones(shape, dtype)), {}),
    ("unwrap_random_key_data", ({"key": KEY, "x": jnp.ones(2)},), {}),
]


def plain(tree):
    def leaf(x):
        typed = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return jax.random.key_data(x) if typed else x

    return jax.tree.map(leaf, tree)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{len(row[1])}-{list(row[2])}")
def test_the_results_are_those_of_optax(row):
    name, args, kwargs = row
    ours = plain(getattr(gt, name)(*args, **kwargs))
    with jax.numpy_dtype_promotion("standard"):
        theirs = plain(getattr(optax.tree, name)(*args, **kwargs))
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        if name == "dtype":
            assert x == y
            continue
        assert jnp.asarray(x).dtype == jnp.asarray(y).dtype
        assert jnp.shape(x) == jnp.shape(y)
        np.testing.assert_allclose(
            np.asarray(x, np.complex128), np.asarray(y, np.complex128), rtol=2e-6, atol=1e-6
        )


def test_every_function_of_optax_is_compared_or_tested_elsewhere():
    elsewhere = {"get", "set", "get_all_with_path", "map_params"}
    public = {n for n in vars(optax.tree) if not n.startswith("_") and callable(getattr(optax.tree, n))}
    assert public - elsewhere == {row[0] for row in ROWS}
    assert all(hasattr(gt, name) for name in public)


def test_tree_utils_has_the_prefixed_names():
    for name in dir(optax.tree):
        if not name.startswith("_") and callable(getattr(optax.tree, name)):
            assert getattr(tree_utils, f"tree_{name}") is getattr(gt, name)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("tree_add_scalar_mul", (X, 0.5, Y)),
        ("tree_scalar_mul", (0.5, X)),
        ("tree_l1_norm", (X,)),
        ("tree_l2_norm", (X,)),
        ("tree_linf_norm", (X,)),
    ],
)
def test_deprecated_names_work_and_say_so(name, args):
    with pytest.warns(DeprecationWarning, match=f"{name} is deprecated, .* use gradchain.tree"):
        ours = getattr(tree_utils, name)(*args)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        theirs = getattr(optax.tree_utils, name)(*args)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), ours, theirs)
    with pytest.raises(AttributeError):
        _ = tree_utils.tree_nothing
