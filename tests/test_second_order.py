"""Products and diagonals of curvature matrices, against dense ones on small problems."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from gradchain import second_order as so, tree

KEY = jax.random.key(0)


class Layer(NamedTuple):
    w: Any
    b: Any
    unused: Any = None


def parameters(dtype: Any = jnp.float32) -> Any:
    """A nested tree of 12 numbers: a NamedTuple, a scalar, a Python number and None."""
    rng = np.random.default_rng(0)

    def leaf(*shape: int) -> jax.Array:
        return jnp.asarray(rng.normal(size=shape), dtype)

    return {"hidden": Layer(leaf(2, 2), leaf(2)), "out": {"w": leaf(2, 2)}, "bias": leaf(), "gain": 0.7}


def data(dtype: Any = jnp.float32) -> tuple[jax.Array, jax.Array]:
    """Five examples: two numbers each and a class."""
    x = np.random.default_rng(1).normal(size=(5, 2))
    return jnp.asarray(x, dtype), jnp.asarray([0, 1, 1, 0, 1])


def model(p: Any, x: jax.Array) -> jax.Array:
    """Two logits per example."""
    h = jnp.tanh(x @ p["hidden"].w + p["hidden"].b[None])
    return (h @ p["out"]["w"] + p["bias"]) * p["gain"]


def cross_entropies(logits: jax.Array, y: jax.Array) -> jax.Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]


def cross_entropy(logits: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean(cross_entropies(logits, y))


def loss(p: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return cross_entropy(model(p, x), y)


def example_loss(p: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return cross_entropies(model(p, x[None]), y[None])[0]


@functools.partial(jax.jit, static_argnums=0)
def dense(kind: str, p: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """The whole matrix, of the raveled parameters."""
    flat, unravel = ravel_pytree(p)
    if kind == "hessian":
        return jax.hessian(lambda f: loss(unravel(f), x, y))(flat)
    if kind == "gauss_newton":
        j = jax.jacobian(lambda f: model(unravel(f), x).ravel())(flat)
        outputs = model(p, x)
        h = jax.hessian(lambda o: cross_entropy(o.reshape(outputs.shape), y))(outputs.ravel())
        return j.T @ h @ j
    if kind == "empirical_fisher":
        g = jax.jacobian(lambda f: cross_entropies(model(unravel(f), x), y))(flat)
        return g.T @ g / len(y)
    # The Fisher information by its definition: the mean over examples and over the model's classes.
    g = jax.jacobian(lambda f: jax.nn.log_softmax(model(unravel(f), x)))(flat)
    return jnp.einsum("nc,nci,ncj->ij", jax.nn.softmax(model(p, x)), g, g) / len(y)


PRODUCTS: dict[str, Callable[..., Any]] = {
    "hessian": lambda p, v, x, y: so.hessian_vector_product(loss, p, v, x, y),
    "gauss_newton": lambda p, v, x, y: so.gauss_newton_vector_product(model, cross_entropy, p, v, x, y),
    "fisher": lambda p, v, x, y: so.fisher_vector_product(model, p, v, x),
    "empirical_fisher": lambda p, v, x, y: so.empirical_fisher_vector_product(example_loss, p, v, x, y),
}
DIAGONALS: dict[str, Callable[..., Any]] = {
    "hessian": lambda p, x, y, **kw: so.hessian_diagonal(loss, p, x, y, **kw),
    "gauss_newton": lambda p, x, y, **kw: so.gauss_newton_diagonal(model, cross_entropy, p, x, y, **kw),
    "fisher": lambda p, x, y, **kw: so.fisher_diagonal(model, p, x, **kw),
    "empirical_fisher": lambda p, x, y, **kw: so.empirical_fisher_diagonal(example_loss, p, x, y, **kw),
}
KINDS = list(PRODUCTS)
RANDOM = [kind for kind in KINDS if kind != "empirical_fisher"]


def as_arrays(tree: Any) -> Any:
    return jax.tree.map(jnp.asarray, tree)


def all_columns(kind: str, p: Any, x: Any, y: Any) -> jax.Array:
    """The matrix from its products with the unit vectors, by one vmapped and compiled program."""
    flat, unravel = ravel_pytree(p)

    def column(e: Any) -> jax.Array:
        return ravel_pytree(PRODUCTS[kind](p, unravel(e), x, y))[0]

    return jax.jit(jax.vmap(column))(jnp.eye(flat.size, dtype=flat.dtype))


class TestProducts:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_equals_the_dense_matrix(self, kind, dtype):
        with jax.enable_x64(dtype == "float64"):
            p, (x, y) = as_arrays(parameters(dtype)), data(dtype)
            columns = all_columns(kind, p, x, y)
            assert columns.dtype == dtype
            tolerance = 1e-5 if dtype == "float32" else 1e-12
            np.testing.assert_allclose(columns, dense(kind, p, x, y), rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(columns, columns.T, rtol=tolerance, atol=tolerance)
            if kind != "hessian":
                assert np.linalg.eigvalsh(columns)[0] > -tolerance
            assert np.linalg.norm(columns) > 0.1

    @pytest.mark.parametrize("kind", KINDS)
    def test_is_linear_and_like_the_parameters(self, kind):
        p, (x, y) = parameters(), data()
        u, v = (jax.tree.map(lambda leaf, s=s: s * jnp.cos(leaf + s), as_arrays(p)) for s in (0.5, 2.0))
        product = jax.jit(lambda v: PRODUCTS[kind](p, v, x, y))
        both = product(jax.tree.map(lambda a, b: 2 * a - 3 * b, u, v))
        assert jax.tree.structure(both) == jax.tree.structure(p)
        apart = jax.tree.map(lambda a, b: 2 * a - 3 * b, product(u), product(v))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), both, apart)

    @pytest.mark.parametrize("kind", KINDS)
    def test_parameters_of_half_precision(self, kind):
        p, (x, y) = as_arrays(parameters(jnp.bfloat16)), data(jnp.bfloat16)
        p["gain"] = jnp.asarray(0.7, jnp.bfloat16)
        v = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, jnp.float32), p)
        multiply = jax.jit(PRODUCTS[kind])
        product = multiply(p, v, x, y)
        assert {leaf.dtype for leaf in jax.tree.leaves(product)} == {jnp.dtype(jnp.bfloat16)}
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), p)
        expected = multiply(wide, v, x.astype(jnp.float32), y)
        close = np.linalg.norm(ravel_pytree(expected)[0]) / 20
        np.testing.assert_allclose(
            ravel_pytree(product)[0].astype(jnp.float32), ravel_pytree(expected)[0], atol=close
        )

    def test_fisher_is_the_gauss_newton_matrix_of_the_negative_log_likelihood(self):
        p, (x, y) = as_arrays(parameters()), data()
        v = jax.tree.map(jnp.cos, p)
        t = jax.nn.one_hot(y, 2)
        losses = {
            "normal": lambda f, t: jnp.mean(jnp.sum((f - t) ** 2 / 2, axis=1)),
            "bernoulli": lambda f, t: jnp.mean(jnp.sum(jnp.logaddexp(f, 0) - t * f, axis=1)),
            "poisson": lambda f, t: jnp.mean(jnp.sum(jnp.exp(f) - t * f, axis=1)),
            "categorical": lambda f, t: -jnp.mean(jnp.sum(t * jax.nn.log_softmax(f), axis=1)),
        }
        assert set(losses) == set(so.fisher.LIKELIHOODS)
        for likelihood, nll in losses.items():
            fisher = so.fisher_vector_product(model, p, v, x, likelihood)
            expected = so.gauss_newton_vector_product(model, nll, p, v, x, t)
            np.testing.assert_allclose(
                ravel_pytree(fisher)[0], ravel_pytree(expected)[0], rtol=1e-4, atol=1e-6, err_msg=likelihood
            )
        tripled = so.fisher_vector_product(model, p, v, x, lambda f, u: 3 * u)
        once = so.fisher_vector_product(model, p, v, x, "normal")
        np.testing.assert_allclose(ravel_pytree(tripled)[0], 3 * ravel_pytree(once)[0], rtol=1e-5)

    def test_outputs_may_be_a_tree(self):
        def two(p, x):
            return {"a": x * p, "b": jnp.sin(p)}

        def squares(outputs, t):
            return jnp.sum((outputs["a"] - t) ** 2) + outputs["b"] ** 2

        product = so.gauss_newton_vector_product(two, squares, 0.3, 2.0, jnp.arange(3.0), 1.0)
        np.testing.assert_allclose(product, 2 * (2 * 5 + 2 * np.cos(0.3) ** 2), rtol=1e-6)


class TestDiagonals:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_exact(self, kind, dtype):
        with jax.enable_x64(dtype == "float64"):
            p, (x, y) = as_arrays(parameters(dtype)), data(dtype)
            found = jax.jit(DIAGONALS[kind])(p, x, y)
            assert jax.tree.structure(found) == jax.tree.structure(p)
            assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(dtype)}
            np.testing.assert_allclose(
                ravel_pytree(found)[0], jnp.diag(dense(kind, p, x, y)), rtol=1e-5, atol=1e-6
            )

    @pytest.mark.parametrize("kind", RANDOM)
    def test_hutchinson_is_unbiased_with_the_variance_it_should_have(self, kind):
        p, (x, y), n = as_arrays(parameters()), data(), 2000
        matrix = np.asarray(dense(kind, p, x, y))
        one = jax.jit(lambda key: DIAGONALS[kind](p, x, y, key=key, num_samples=n))
        found = ravel_pytree(one(KEY))[0]
        error = np.sqrt((np.sum(matrix**2, axis=1) - np.diag(matrix) ** 2) / n)
        assert np.all(np.abs(found - np.diag(matrix)) <= 4 * error + 1e-6)
        # Not by being exact: the errors are about as large as they should be.
        assert np.mean(((found - np.diag(matrix)) / error) ** 2) > 0.2

    @pytest.mark.parametrize("n", [1, 2, 17])
    def test_samples_are_counted_once_each(self, n):
        a = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)), jnp.float32)
        seen = []
        found = so.diagonal(lambda v: a @ v, jnp.zeros(3), key=KEY, num_samples=n)
        for i in range(n):
            z = tree.random_like(jax.random.fold_in(KEY, i), jnp.zeros(3), jax.random.rademacher)
            seen.append(z * (a @ z))
        np.testing.assert_allclose(found, np.mean(seen, axis=0), rtol=1e-5, atol=1e-6)

    def test_one_sample_is_exact_for_a_diagonal_hessian(self):
        p = {"a": jnp.asarray([1.0, 2.0, 3.0]), "b": 0.5}

        def separable(p):
            return jnp.sum(jnp.sin(p["a"])) + p["b"] ** 4

        found = so.hessian_diagonal(separable, p, key=KEY, num_samples=1)
        np.testing.assert_allclose(found["a"], -np.sin([1, 2, 3]), rtol=1e-5)
        np.testing.assert_allclose(found["b"], 3, rtol=1e-5)

    def test_an_infinite_entry_stays_where_it_is(self):
        a = jnp.asarray([[2.0, jnp.inf], [jnp.inf, 3.0]])
        found = so.diagonal(
            lambda v: jnp.sum(jnp.where(v[None] == 0, 0, a * v[None]), axis=1), jnp.zeros(2)
        )
        np.testing.assert_array_equal(found, [2, 3])

    def test_sums_of_half_precision_are_float32(self):
        # Squares of 300 overflow float16, and 2048 + 1 is 2048 there.
        x = jnp.ones((5000, 1), jnp.float16)
        found = so.empirical_fisher_diagonal(lambda p, x: p @ x, jnp.ones(1, jnp.float16), x)
        assert found.dtype == jnp.float16
        np.testing.assert_array_equal(found, 1)
        found = so.diagonal(lambda v: 100 * v, jnp.ones(2, jnp.float16), key=KEY, num_samples=1000)
        np.testing.assert_array_equal(found, 100)

    @pytest.mark.parametrize("count", [1, 16, 17])
    def test_batches_of_any_size(self, count):
        x = jnp.arange(float(count))[:, None]
        found = so.empirical_fisher_diagonal(lambda p, x: jnp.sum(p * x), jnp.ones(1), x)
        np.testing.assert_allclose(found, [np.mean(np.arange(count) ** 2)], rtol=1e-6)

    def test_empty_trees(self):
        assert so.hessian_diagonal(lambda p: jnp.zeros(()), {"a": None}) == {"a": None}


@pytest.mark.parametrize(
    "function",
    [
        lambda p, x, v: so.hessian_vector_product(lambda p: jnp.sum(jnp.tanh(x @ p) ** 2), p, v),
        lambda p, x, v: so.hessian_diagonal(lambda p: jnp.sum(jnp.tanh(x @ p) ** 2), p),
        lambda p, x, v: so.hessian_diagonal(lambda p: jnp.sum(jnp.tanh(x @ p)), p, key=KEY, num_samples=20),
        lambda p, x, v: so.fisher_vector_product(lambda p, x: jnp.tanh(x @ p), p, v, x, "bernoulli"),
        lambda p, x, v: so.fisher_diagonal(lambda p, x: jnp.tanh(x @ p), p, x, "bernoulli"),
    ],
    ids=["product", "exact", "random", "fisher_product", "fisher_diagonal"],
)
def test_no_matrix_is_formed(function):
    n = 4096
    args = jnp.ones(n), jnp.ones((2, n)), jnp.ones(n)
    memory = jax.jit(function).lower(*args).compile().memory_analysis()
    assert memory.temp_size_in_bytes < n * n * 4 / 20


def test_memory_of_optax_hessian_diag_is_quadratic():
    """What the bound above would catch."""
    n = 2048
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = jax.jit(lambda p, x: optax.second_order.hessian_diag(square_loss, p, x, x))
        memory = theirs.lower(jnp.ones(n), jnp.ones((2, n))).compile().memory_analysis()
    assert memory.temp_size_in_bytes >= n * n * 4


def square_loss(p: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.sum(jnp.tanh(x @ p) ** 2) + 0 * jnp.sum(y)


class TestErrors:
    P = {"a": jnp.ones(2), "b": jnp.ones(3)}  # noqa: RUF012

    @pytest.mark.parametrize("kind", KINDS)
    def test_vectors_that_do_not_fit(self, kind):
        p, (x, y) = parameters(), data()
        v = as_arrays(p)
        with pytest.raises(ValueError, match=rf"{kind}_vector_product: .*\['gain'\]"):
            PRODUCTS[kind](p, {k: leaf for k, leaf in v.items() if k != "gain"}, x, y)
        with pytest.raises(ValueError, match=r"\['hidden'\]\.b has shape \(1,\) but .* shape \(2,\)"):
            PRODUCTS[kind](p, v | {"hidden": Layer(v["hidden"].w, jnp.ones(1))}, x, y)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("bad", [jnp.ones((), jnp.complex64), jnp.ones((), jnp.int32), 1])
    def test_parameters_that_are_not_real(self, kind, bad):
        p, (x, y) = as_arrays(parameters()) | {"gain": bad}, data()
        expected = (
            rf"{kind}_diagonal: parameter \['gain'\] has dtype {jnp.asarray(bad).dtype}; expected real"
        )
        with pytest.raises(TypeError, match=expected):
            DIAGONALS[kind](p, x, y)
        with pytest.raises(TypeError, match=f"{kind}_vector_product"):
            PRODUCTS[kind](p, p, x, y)

    @pytest.mark.parametrize(
        ("value", "received"),
        [
            (lambda p: p["a"], r"shape \(2,\), float32"),
            (lambda p: (jnp.sum(p["a"]), 0), "received tuple"),
            (lambda p: 3, r"shape \(\), int32"),
        ],
    )
    def test_functions_that_return_no_number(self, value, received):
        with pytest.raises(TypeError, match=rf"fun must return one real number.*{received}"):
            so.hessian_vector_product(value, self.P, self.P)
        with pytest.raises(TypeError, match=f"loss must return one real number.*{received}"):
            so.gauss_newton_diagonal(lambda p, x: p, lambda p, y: value(p), self.P, None, None)

    def test_samples(self):
        for kwargs in ({"key": KEY}, {"num_samples": 3}):
            with pytest.raises(ValueError, match="key and num_samples belong together"):
                so.hessian_diagonal(lambda p: jnp.sum(p["a"]), self.P, **kwargs)
        with pytest.raises(ValueError, match="num_samples must be at least 1, received 0"):
            so.hessian_diagonal(lambda p: jnp.sum(p["a"]), self.P, key=KEY, num_samples=0)

    def test_outputs_and_batches(self):
        with pytest.raises(ValueError, match=r"'categorical', .* received 'gauss'"):
            so.fisher_diagonal(lambda p, x: p["a"], self.P, None, "gauss")
        with pytest.raises(ValueError, match=r"\(examples, ..., classes\), received shape \(2,\)"):
            so.fisher_diagonal(lambda p, x: p["a"], self.P, None)
        with pytest.raises(TypeError, match=r"model output .* has dtype int32"):
            so.fisher_diagonal(lambda p, x: jnp.ones((2, 2), jnp.int32), self.P, None)
        with pytest.raises(ValueError, match=r"one axis of examples first, .*\[0\] \(2, 1\), \[1\] \(3,\)"):
            so.empirical_fisher_diagonal(lambda p, x, y: 0.0, self.P, jnp.ones((2, 1)), jnp.ones(3))
        with pytest.raises(ValueError, match="no arrays"):
            so.empirical_fisher_vector_product(lambda p: 0.0, self.P, self.P)


class TestOptaxNames:
    """The three helpers Optax has deprecated."""

    @pytest.mark.parametrize("name", ["hvp", "hessian_diag", "fisher_diag"])
    def test_equals_optax(self, name):
        p, (x, y) = as_arrays(parameters()), data()
        between = [jnp.arange(12.0)] if name == "hvp" else []
        with pytest.warns(
            DeprecationWarning, match=rf"second_order\.{name} .* use gradchain\.second_order\."
        ):
            ours = getattr(so, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            theirs = functools.partial(getattr(optax.second_order, name), loss)
            expected = jax.jit(theirs)(*between, p, x, y)
        found = jax.jit(functools.partial(ours, loss))(*between, p, x, y)
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

    def test_errors(self):
        with pytest.raises(AttributeError, match=r"no name 'hessian_vector'\. Did you mean 'hessian_"):
            so.hessian_vector  # noqa: B018
        with pytest.warns(DeprecationWarning, match="hvp is deprecated"):
            hvp = so.hvp
        with pytest.raises(ValueError, match=r"v has shape \(3,\) but the raveled parameters .* \(2,\)"):
            hvp(square_loss, jnp.ones(3), jnp.ones(2), jnp.ones((1, 2)), None)


def test_the_largest_eigenvalue_of_a_hessian():
    p, (x, y) = as_arrays(parameters()), data()

    def multiply(v):
        return PRODUCTS["gauss_newton"](p, v, x, y)

    value, vector = jax.jit(lambda v0: so.power_iteration(multiply, v0=v0, num_iters=200))(p)
    np.testing.assert_allclose(value, np.linalg.eigvalsh(dense("gauss_newton", p, x, y))[-1], rtol=1e-4)
    assert jax.tree.structure(vector) == jax.tree.structure(p)


def test_products_under_vmap_over_parameters():
    x, y = data()
    stack = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf), 2 * jnp.asarray(leaf)]), parameters())
    diagonal = functools.partial(so.hessian_diagonal, loss)
    products = jax.jit(jax.vmap(diagonal, (0, None, None)))(stack, x, y)
    second = jax.jit(diagonal)(jax.tree.map(lambda leaf: leaf[1], stack), x, y)
    np.testing.assert_allclose(products["hidden"].w[1], second["hidden"].w, rtol=1e-4, atol=1e-6)
