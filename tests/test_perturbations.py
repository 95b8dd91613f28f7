"""Perturbed functions: Optax's estimates to the draw, and their means where these are known."""

from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from trees import check_close, enable_x64

import gradchain.perturbations as gp

KEY = jax.random.key(7)


class Laplace:
    """Noise of a user's own."""

    def sample(self, key: Any, sample_shape: Any, dtype: Any) -> Any:
        """Draws."""
        return jax.random.laplace(key, sample_shape, dtype)

    def log_prob(self, inputs: Any) -> Any:
        """Up to a constant."""
        return -jnp.abs(inputs)


def point(dtype: Any = jnp.float32) -> Any:
    """A small tree to perturb."""
    return {"a": jnp.array([1.0, 2.0, 0.5], dtype), "b": (jnp.array(0.3, dtype), None), "c": {}}


def steps(x: Any) -> Any:
    """Without derivatives: a one-hot argmax and a clipped sum, as a tree."""
    best = jax.nn.one_hot(jnp.argmax(x["a"]), 3, dtype=x["a"].dtype)
    return {"best": best, "more": [jnp.maximum(x["b"][0] + x["a"], 1)]}


def one_hot(x: Any) -> Any:
    """The argmax as a vector."""
    return jax.nn.one_hot(jnp.argmax(x), x.size)


@pytest.mark.parametrize(
    ("noise", "use_baseline", "dtype"),
    [
        ("Gumbel", True, "float32"),
        ("Normal", False, "float32"),
        ("Gumbel", False, "float64"),
        ("Laplace", True, "float64"),
    ],
)
def test_values_and_jacobians_are_those_of_optax(noise: str, use_baseline: bool, dtype: str) -> None:
    with enable_x64() if dtype == "float64" else nullcontext():
        x = point(dtype)

        def run(module: Any) -> Any:
            drawn = Laplace() if noise == "Laplace" else getattr(module, noise)()
            f = module.make_perturbed_fun(steps, 20, 0.3, drawn, use_baseline)
            return jax.jit(lambda key, x: (f(key, x), jax.jacobian(f, 1)(key, x)))

        ours = run(gp)(KEY, x)
        with jax.numpy_dtype_promotion("standard"):
            theirs = run(optax.perturbations)(KEY, x)
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        check_close(ours, theirs, 3e-5 if dtype == "float32" else 1e-12)
        assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(ours))


def test_defaults_are_those_of_optax() -> None:
    x = jnp.array([0.0, 0.1, -0.1])
    ours, theirs = (jax.jit(m.make_perturbed_fun(one_hot))(KEY, x) for m in (gp, optax.perturbations))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_what_fun_closes_over_has_its_own_derivative() -> None:
    x, w = jnp.array([0.3, -0.2]), jnp.array([1.5, 0.7])

    def gradient(module: Any) -> Any:
        def loss(w: Any, x: Any) -> Any:
            fun = lambda y: jnp.sum(w**2 * jnp.sign(y))  # noqa: E731
            return module.make_perturbed_fun(fun, 30, 0.5, module.Normal())(KEY, x)

        return jax.jit(jax.grad(loss, (0, 1)))(w, x)

    check_close(gradient(gp), gradient(optax.perturbations), 1e-5)


@pytest.mark.parametrize("use_baseline", [True, False])
def test_the_argmax_with_gumbel_noise_has_the_mean_softmax(use_baseline: bool) -> None:
    x, sigma, n = jnp.array([0.5, 0.0, -0.3, 0.2]), 0.7, 40_000
    f = gp.make_perturbed_fun(one_hot, n, sigma, use_baseline=use_baseline)
    value, jacobian = jax.jit(lambda x: (f(KEY, x), jax.jacobian(f, 1)(KEY, x)))(x)
    p = np.asarray(jax.nn.softmax(x / sigma), np.float64)
    np.testing.assert_allclose(value, p, atol=5 * 0.5 / n**0.5)
    # a score has variance 1 / sigma^2, and what it multiplies is at most 1
    np.testing.assert_allclose(jacobian, (np.diag(p) - np.outer(p, p)) / sigma, atol=5 / sigma / n**0.5)


def test_derivatives_with_normal_noise_have_their_known_means() -> None:
    n, sigma, x = 40_000, 0.5, jnp.float32(0.2)
    step = gp.make_perturbed_fun(lambda x: jnp.where(x > 0, 1.0, 0.0), n, sigma, gp.Normal())
    value, slope = jax.jit(jax.value_and_grad(step, 1))(KEY, x)
    normal = scipy.stats.norm(scale=sigma)
    np.testing.assert_allclose(value, normal.cdf(0.2), atol=5 * 0.5 / n**0.5)
    np.testing.assert_allclose(slope, normal.pdf(0.2), atol=5 / sigma / n**0.5)
    square = gp.make_perturbed_fun(lambda x: x**2, n, 1.0, gp.Normal())
    np.testing.assert_allclose(
        jax.jit(jax.grad(jax.grad(square, 1), 1))(KEY, 0.0), 2, atol=5 * 74**0.5 / n**0.5
    )


def test_sigma_has_an_unbiased_derivative() -> None:
    # E (x + sigma z)^2 = x^2 + sigma^2; Optax leaves out the density's factor 1 / sigma.
    def value(sigma: Any) -> Any:
        return gp.make_perturbed_fun(lambda x: x**2, 40_000, sigma, gp.Normal())(KEY, jnp.float32(0.5))

    np.testing.assert_allclose(jax.jit(jax.grad(value))(0.5), 1.0, atol=0.1)


def test_keys_and_points_come_in_batches() -> None:
    f = jax.jit(gp.make_perturbed_fun(one_hot, 10, 1.0))
    keys, xs = jax.random.split(KEY, 3), jnp.eye(3)
    together = jax.jit(jax.vmap(f))(keys, xs)
    for i in range(3):
        np.testing.assert_allclose(together[i], f(keys[i], xs[i]), rtol=1e-6)
    assert len(np.unique(jax.vmap(f, (0, None))(jax.random.split(KEY, 20), xs[0])[:, 0])) > 1


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_drawn_and_averaged_in_float32(dtype: Any) -> None:
    x = jnp.full(3, 100, dtype)
    f = gp.make_perturbed_fun(lambda x: 500 * x, 2000, 1.0, gp.Normal())
    total = lambda x: jnp.sum(f(KEY, x).astype("float32"))  # noqa: E731
    value, slope = jax.jit(lambda x: (f(KEY, x), jax.grad(total)(x)))(x)
    assert value.dtype == slope.dtype == dtype
    np.testing.assert_allclose(np.asarray(value, np.float32), 50_000, rtol=0.005)
    np.testing.assert_allclose(np.asarray(slope, np.float32), 500, atol=5 * 500 * 3 / 2000**0.5)
    counts = gp.make_perturbed_fun(jnp.argmax, 10)(KEY, x)
    assert counts.dtype == jnp.float32
    for noise in (gp.Normal(), gp.Gumbel()):
        assert noise.log_prob(x).dtype == dtype


@pytest.mark.parametrize("name", ["Normal", "Gumbel"])
def test_noise_is_that_of_optax(name: str) -> None:
    ours, theirs = getattr(gp, name)(), getattr(optax.perturbations, name)()
    for kwargs in ({}, {"sample_shape": (4, 3)}, {"sample_shape": (2,), "dtype": jnp.bfloat16}):
        z = ours.sample(KEY, **kwargs)
        np.testing.assert_array_equal(z, theirs.sample(KEY, **kwargs))
        assert z.dtype == theirs.sample(KEY, **kwargs).dtype
    z = jnp.linspace(-3, 3, 13)
    np.testing.assert_allclose(ours.log_prob(z), theirs.log_prob(z), rtol=1e-6)
    known = {"Normal": scipy.stats.norm, "Gumbel": scipy.stats.gumbel_r}[name]
    assert scipy.stats.kstest(np.asarray(ours.sample(KEY, (2000,))), known.cdf).pvalue > 1e-3
    shift = {"Normal": 0.5 * np.log(2 * np.pi), "Gumbel": 0.0}[name]
    np.testing.assert_allclose(ours.log_prob(z) - shift, known.logpdf(z), rtol=1e-5)
    assert repr(ours) == f"{name}()"
    assert ours == getattr(gp, name)()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"num_samples": 0}, ValueError, "num_samples must be at least 1, received 0"),
        ({"num_samples": 2.5}, TypeError, "num_samples must be an integer, received 2.5"),
        ({"sigma": 0.0}, ValueError, "sigma must be finite and more than 0, received 0.0"),
        ({"sigma": -1}, ValueError, "sigma must be finite and more than 0, received -1"),
        ({"sigma": float("nan")}, ValueError, "received nan"),
        ({"sigma": jnp.ones(2)}, ValueError, r"sigma must be one number, received shape \(2,\)"),
        ({"noise": gp.Gumbel}, TypeError, r"such as Gumbel\(\), received <class"),
        ({"noise": jax.random.normal}, TypeError, "noise must be an object with sample"),
    ],
)
def test_bad_arguments_are_told_at_once(arguments: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=f"^make_perturbed_fun: .*{text}"):
        gp.make_perturbed_fun(one_hot, **arguments)


def test_integers_cannot_be_perturbed() -> None:
    f = gp.make_perturbed_fun(lambda x: x["a"], 3)
    with pytest.raises(TypeError, match=r"input \['i'\] has dtype int32; expected floating point"):
        f(KEY, {"a": jnp.ones(2), "i": jnp.arange(2)})


class TestMultiNormal:
    """Independent normal variables by their means and log-scales."""

    @pytest.mark.parametrize(("loc", "scale"), [((), ()), ((3,), ()), ((3,), (2, 3))], ids=str)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_is_that_of_optax(self, loc: Any, scale: Any, dtype: str) -> None:
        rng = np.random.default_rng(0)
        with enable_x64() if dtype == "float64" else nullcontext():
            params = [jnp.asarray(rng.normal(size=s), dtype) for s in (loc, scale)]
            x = jnp.asarray(rng.normal(size=(4, *np.broadcast_shapes(loc, scale))), dtype)

            def run(multi_normal: Any) -> Any:
                def all_of(params: Any, x: Any) -> Any:
                    d = multi_normal(*params)
                    draws = d.sample((4, 2), KEY)
                    slope = jax.grad(lambda p: jnp.sum(multi_normal(*p).log_prob(x)))(params)
                    moved = jax.grad(lambda p: jnp.sum(multi_normal(*p).sample((2,), KEY)))(params)
                    return draws, d.log_prob(x), d.params, d.log_scale, slope, moved

                return jax.jit(all_of)(params, x)

            with jax.numpy_rank_promotion("allow"):
                theirs = run(optax.multi_normal)
                check_close(run(gp.multi_normal), theirs, 3e-6 if dtype == "float32" else 1e-13)

    def test_draws_and_densities_are_normal(self) -> None:
        loc, log_scale = jnp.array([1.0, -2.0]), jnp.array([0.3, -0.8])
        d = gp.multi_normal(loc, log_scale)
        draws = np.asarray(d.sample((3000,), KEY))
        for i in range(2):
            known = scipy.stats.norm(loc[i], np.exp(log_scale[i]))
            assert scipy.stats.kstest(draws[:, i], known.cdf).pvalue > 1e-3
        known = scipy.stats.multivariate_normal(loc, np.diag(np.exp(2 * np.asarray(log_scale))))
        np.testing.assert_allclose(d.log_prob(draws[:5]), known.logpdf(draws[:5]), rtol=1e-5)
        assert abs(np.corrcoef(draws.T)[0, 1]) < 5 / 3000**0.5

    def test_is_a_tree_of_its_parameters(self) -> None:
        d = gp.multi_normal(jnp.zeros(3), jnp.ones(3))
        moved = jax.jit(lambda d: jax.tree.map(lambda p: p + 1, d))(d)
        np.testing.assert_array_equal(moved.params, [np.ones(3), 2 * np.ones(3)])
        slope = jax.grad(lambda d: d.log_prob(jnp.ones(3)))(d)
        np.testing.assert_allclose(slope.log_scale, np.exp(-2.0) - 1, rtol=1e-5)
        batch = jax.vmap(gp.multi_normal)(jnp.zeros((4, 3)), jnp.ones((4, 3)))
        assert jax.vmap(lambda d, k: d.sample((2,), k))(batch, jax.random.split(KEY, 4)).shape == (4, 2, 3)

    def test_small_scales_have_densities(self) -> None:
        # exp(100) is no float32; Optax gives NaN
        np.testing.assert_allclose(gp.multi_normal(0.0, -100.0).log_prob(0.0), 100 - 0.918939, rtol=1e-6)

    def test_integers_and_half_precision(self) -> None:
        assert gp.multi_normal(0, 0).sample((2,), KEY).dtype == jnp.float32
        half = gp.multi_normal(jnp.zeros(3000, jnp.bfloat16), jnp.zeros((), jnp.bfloat16))
        assert half.sample((2,), KEY).dtype == jnp.bfloat16
        density = half.log_prob(jnp.ones(3000, jnp.bfloat16))
        np.testing.assert_allclose(float(density), 3000 * -1.418939, rtol=0.005)

    def test_shapes_that_do_not_broadcast_are_told(self) -> None:
        with pytest.raises(ValueError, match=r"^multi_normal: loc has shape \(2,\) and log_scale \(3,\)"):
            gp.multi_normal(jnp.ones(2), jnp.ones(3))
