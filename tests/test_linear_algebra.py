"""Power iteration and inverse roots: Optax's numbers where they are right, and right ones elsewhere."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gradchain.second_order import matrix_inverse_pth_root, power_iteration

ROOTS = [1, 2, 4, 8]


def symmetric(eigenvalues: Any, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    """A symmetric matrix with these eigenvalues, in float32 and back."""
    values = np.asarray(eigenvalues, float)
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))[0]
    return ((q * values) @ q.T).astype(dtype)


def exact_root(a: Any, p: int, ridge: float = 1e-6) -> np.ndarray:
    """(A + ridge max(l, 1e-16) I)^(-1/p) by float64 eigenvalues."""
    values, q = np.linalg.eigh(np.asarray(a, np.float64))
    values = np.maximum(values, 0) + ridge * max(values.max(), 1e-16)
    return (q * values ** (-1 / p)) @ q.T


def distance(x: Any, y: Any) -> float:
    """The relative error of x against y."""
    return float(np.linalg.norm(np.asarray(x, np.float64) - y) / np.linalg.norm(y))


_optax_root = jax.jit(optax.matrix_inverse_pth_root, static_argnames="p")
inverse_root = jax.jit(matrix_inverse_pth_root, static_argnames="p")
traced_root = jax.jit(matrix_inverse_pth_root)


def optax_root(a: Any, p: int, **kwargs: Any) -> Any:
    with jax.numpy_dtype_promotion("standard"):
        return _optax_root(a, p=p, **kwargs)


class TestPowerIteration:
    @pytest.mark.parametrize("values", [[3, 2, 1, 0.5], [-3, 2, 1, 0.5], [1e-9, 1e-10], [5.0]])
    def test_equals_optax_and_eigh(self, values):
        a = symmetric(values)
        ours, theirs = jax.jit(power_iteration)(a), jax.jit(optax.power_iteration)(a)
        for x, y in zip(ours, theirs, strict=True):
            assert (x.dtype, x.shape) == (y.dtype, y.shape)
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6 if x.ndim else 0)
        largest = values[0]
        np.testing.assert_allclose(ours[0], largest, rtol=1e-6)
        np.testing.assert_allclose(a @ ours[1], largest * ours[1], atol=2e-5 * abs(largest))

    def test_arguments_mean_what_they_mean_in_optax(self):
        a = jnp.asarray(symmetric([1.0, 0.98, 0.5]))
        for kwargs in (
            {"num_iters": 3},
            {"num_iters": jnp.asarray(3), "key": jax.random.key(5)},
            {"error_tolerance": 0.1},
            {"v0": jnp.asarray([1.0, 2.0, 3.0]), "num_iters": 1},
            {"precision": jax.lax.Precision.DEFAULT},
        ):
            for x, y in zip(power_iteration(a, **kwargs), optax.power_iteration(a, **kwargs), strict=True):
                np.testing.assert_allclose(x, y, rtol=1e-5, err_msg=str(kwargs))

    def test_of_a_map_of_trees(self):
        class Point(NamedTuple):
            x: Any
            y: Any

        a = jnp.asarray(symmetric([4, 1, 0.5]))
        start = Point({"a": jnp.ones(2), "none": None}, jnp.ones(()))

        def multiply(v: Point) -> Point:
            flat = a @ jnp.append(v.x["a"], v.y)
            return Point({"a": flat[:2], "none": None}, flat[2])

        value, vector = jax.jit(lambda v0: power_iteration(multiply, v0=v0))(start)
        expected_value, expected = power_iteration(a, v0=jnp.ones(3))
        assert jax.tree.structure(vector) == jax.tree.structure(start)
        np.testing.assert_allclose(value, expected_value, rtol=1e-6)
        np.testing.assert_allclose(jnp.append(vector.x["a"], vector.y), expected, rtol=1e-5)
        with jax.numpy_dtype_promotion("standard"):
            theirs = optax.power_iteration(multiply, v0=start)
        np.testing.assert_allclose(value, theirs[0], rtol=1e-6)

    @pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e38])
    def test_any_scale_in_float32(self, scale):
        a = symmetric([1, 0.2, 0.1, 0.1]) * np.float32(scale)
        for matrix, v0 in ((a, None), (lambda v: a @ v, jnp.ones(4) * 1e-25)):
            value, vector = power_iteration(matrix, v0=v0)
            np.testing.assert_allclose(value, scale, rtol=1e-5)
            np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-5)
        if scale in (1e-20, 1e20):
            assert jnp.isnan(optax.power_iteration(jnp.asarray(a))[0])

    @pytest.mark.parametrize("n", [1, 4])
    def test_a_zero_matrix_has_eigenvalue_zero(self, n):
        value, vector = power_iteration(jnp.zeros((n, n)))
        assert value == 0
        np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-6)
        assert jnp.isnan(optax.power_iteration(jnp.zeros((n, n)))[0])

    @pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.complex64])
    def test_dtypes(self, dtype):
        a = jnp.asarray(symmetric([2, 1, 0.5]), dtype)
        value, vector = power_iteration(a)
        assert value.dtype == vector.dtype == dtype
        wide = np.asarray(a, np.complex128 if dtype == jnp.complex64 else np.float64)
        step = 1e-6 if a.itemsize >= 4 else float(jnp.finfo(dtype).eps) / 2
        np.testing.assert_allclose(complex(value), np.linalg.eigvalsh(wide)[-1], rtol=step)
        assert power_iteration(lambda v: a @ v, v0=vector)[0].dtype == (
            dtype if a.itemsize >= 4 else jnp.float32
        )

    def test_float64_and_mixed_trees(self):
        with jax.enable_x64(True):
            a = symmetric([2, 1, 0.5], dtype=np.float64)
            value, _ = power_iteration(a, error_tolerance=1e-12)
            np.testing.assert_allclose(value, 2, rtol=1e-14)
            v0 = {"a": jnp.ones(1, jnp.float32), "b": jnp.ones(1, jnp.float64)}
            value, vector = power_iteration(lambda v: {"a": 2 * v["a"], "b": v["b"]}, v0=v0)
            np.testing.assert_allclose(value, 2, rtol=1e-6)
            assert vector["a"].dtype == jnp.float32

    def test_vmap(self):
        stack = jnp.stack([jnp.asarray(symmetric([k, 0.5, 0.1])) for k in (1, 2, 30)])
        np.testing.assert_allclose(jax.jit(jax.vmap(power_iteration))(stack)[0], [1, 2, 30], rtol=1e-6)

    def test_errors(self):
        with pytest.raises(ValueError, match="v0 is needed when matrix is a function"):
            power_iteration(lambda v: v)
        with pytest.raises(ValueError, match=r"must be square, \(n, n\), received shape \(2, 3\)"):
            power_iteration(jnp.ones((2, 3)))
        with pytest.raises(ValueError, match=r"v0 has shape \(3,\) .* expected v0 of shape \(2,\)"):
            power_iteration(jnp.ones((2, 2)), v0=jnp.ones(3))
        with pytest.raises(ValueError, match=r"power_iteration: the product .*\['b'\]"):
            power_iteration(lambda v: {"a": v["a"], "b": v["a"]}, v0={"a": jnp.ones(2)})


class TestInverseRoot:
    @pytest.mark.parametrize("p", ROOTS)
    def test_equals_optax_and_eigh(self, p):
        a = symmetric(np.linspace(3, 0.2, 24))
        (root, error), (expected, expected_error) = inverse_root(a, p=p), optax_root(a, p)
        assert (root.dtype, error.dtype, error.shape) == (expected.dtype, expected_error.dtype, ())
        np.testing.assert_allclose(root, expected, rtol=1e-6, atol=1e-6)
        assert distance(root, exact_root(a, p)) < 2e-6
        assert error <= 1e-6
        np.testing.assert_allclose(traced_root(a, p)[0], root, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("p", [3, 5, 6, 16])
    def test_roots_that_are_no_power_of_two_or_large(self, p):
        a = symmetric(np.linspace(1, 0.1, 24))
        exact = exact_root(a, p)
        for root, error in (inverse_root(a, p=p), traced_root(a, p)):
            assert error <= 1e-6
            assert distance(root, exact) < 2e-6
        wrong, claimed = optax_root(a, p)
        assert claimed <= 1e-6
        assert distance(wrong, exact) > 0.01

    @pytest.mark.parametrize("p", ROOTS)
    def test_no_less_accurate_than_optax_where_it_is_hard(self, p):
        for low in (*(np.logspace(0, -k, 24) for k in (2, 4, 6, 8)), [1] * 12 + [0] * 12):
            a = symmetric(low)
            root, error = inverse_root(a, p=p)
            exact = exact_root(a, p)
            assert distance(root, exact) <= 1.1 * distance(optax_root(a, p)[0], exact) + 1e-7
            assert error <= 1e-6

    @pytest.mark.parametrize("n", [1, 4])
    @pytest.mark.parametrize("scale", [0, 1e-30, 1e-20, 1e20, 1e38])
    def test_any_scale_in_float32(self, n, scale):
        a = symmetric([1, 0.5, 0.2, 0.1][:n]) * np.float32(scale)
        root, error = inverse_root(a, p=4)
        assert error <= 1e-6
        assert distance(root, exact_root(a, 4)) < 1e-5
        if scale in (0, 1e-20, 1e20) and n == 4:
            assert jnp.isnan(optax_root(a, 4)[0]).any()

    @pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
    def test_half_precision_is_computed_in_float32(self, dtype):
        a = jnp.asarray(symmetric([1, 0.5, 0.1]), dtype)
        root, error = matrix_inverse_pth_root(a, 2)
        assert (root.dtype, error.dtype) == (dtype, jnp.float32)
        assert distance(root, exact_root(a, 2)) < jnp.finfo(dtype).eps / 2

    def test_float64_and_integers(self):
        a = jnp.asarray([[2, 1], [1, 2]])
        np.testing.assert_allclose(inverse_root(a, p=2)[0], exact_root(a, 2), rtol=1e-6)
        with jax.enable_x64(True):
            a = symmetric([1, 0.1, 1e-3], dtype=np.float64)
            root, error = inverse_root(a, p=3, ridge_epsilon=0.0, error_tolerance=1e-12)
            assert root.dtype == error.dtype == jnp.float64
            np.testing.assert_allclose(root, exact_root(a, 3, 0), rtol=1e-9, atol=1e-9)

    def test_arguments_mean_what_they_mean_in_optax(self):
        a = symmetric([1, 0.5, 0.2, 0.1])
        for kwargs in ({"num_iters": jnp.asarray(2)}, {"ridge_epsilon": 0.1}, {"error_tolerance": 0.5}):
            for x, y in zip(
                matrix_inverse_pth_root(a, 4, **kwargs), optax_root(a, 4, **kwargs), strict=True
            ):
                np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6, err_msg=str(kwargs))

    def test_the_error_tells_what_did_not_converge(self):
        root, error = matrix_inverse_pth_root(jnp.diag(jnp.asarray([1, 0.5, 0])), 2, ridge_epsilon=0.0)
        assert jnp.isfinite(root).all()
        assert error > 0.1

    def test_vmap(self):
        stack = jnp.stack([jnp.asarray(symmetric([k, 0.5, 0.1])) for k in (1, 2)])
        roots, _ = jax.jit(jax.vmap(lambda a: matrix_inverse_pth_root(a, 2)))(stack)
        for a, root in zip(stack, roots, strict=True):
            np.testing.assert_allclose(root, inverse_root(a, p=2)[0], rtol=1e-5, atol=1e-6)

    def test_errors(self):
        with pytest.raises(ValueError, match=r"must be square, \(n, n\), received shape \(2, 3\)"):
            matrix_inverse_pth_root(jnp.ones((2, 3)), 2)
        for p in (0, -2, 2.5):
            with pytest.raises(ValueError, match=f"integer of at least 1, received {p}"):
                matrix_inverse_pth_root(jnp.eye(2), p)
