"""Law: the steps are those of the paper, whose algorithm is written out in NumPy float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, VARIANTS, Case, ids
from parity import error_to_paper
from trees import enable_x64

import gradchain as gc

WRITTEN = [case for case in [*CASES, *VARIANTS] if case.paper]


@pytest.mark.parametrize("case", **ids(WRITTEN))
def test_twelve_steps_follow_the_paper(case: Case) -> None:
    assert error_to_paper(case) <= 1e-12


def test_noise_has_the_variance_of_the_schedule() -> None:
    """Neelakantan et al., 2015, section 3: a variance of eta / (1 + t)^gamma."""
    with enable_x64():
        tx = gc.noisy_sgd(1.0, eta=0.3, gamma=0.55, key=0)
        zeros = gc.tree.zeros_like({"w": np.ones(20_000)})
        state = tx.init(zeros)
        for t in range(1, 4):
            noise, state = tx.update(zeros, state, zeros)
            variance = np.var(np.asarray(noise["w"]))
            assert abs(variance / (0.3 / t**0.55) - 1) < 5 * np.sqrt(2 / 20_000)


def test_nnls_finds_the_known_solution() -> None:
    """A problem made from its solution: where x is 0 the residual's gradient is not negative."""
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(30, 8)), np.maximum(rng.normal(size=(8, 3)), 0)
    with enable_x64():
        found = gc.nnls(jnp.asarray(a), jnp.asarray(a @ x), 2000)
        np.testing.assert_allclose(np.asarray(found), x, atol=1e-10)
        single = gc.nnls(jnp.asarray(a), jnp.asarray(a @ x[:, 0]), 2000, L=np.linalg.norm(a.T @ a, 2))
        np.testing.assert_allclose(np.asarray(single), x[:, 0], atol=1e-10)
        downhill = -(a.T @ rng.normal(size=30))
        x = np.asarray(gc.nnls(jnp.asarray(a), jnp.asarray(-np.linalg.pinv(a.T) @ downhill), 5000))
        slope = a.T @ (a @ x) + downhill
        assert np.all(x >= 0)
        assert np.all(slope[x == 0] > -1e-8)
        np.testing.assert_allclose(slope[x > 0], 0, atol=1e-8)
    with pytest.raises(ValueError, match=r"nnls: A must be \[m, n\] and b \[m\] or \[m, k\]"):
        gc.nnls(jnp.ones((3, 2)), jnp.ones((2,)), 5)
