"""The schedules Optax lacks, against their formulas written in NumPy's float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradchain import schedules as s

COUNTS = np.array([0, 1, 2, 9, 10, 11, 24, 25, 26, 39, 40, 41, 99, 100, 101, 10**6, 2**31 - 2])


def wsd(weight):
    def value(t):
        x = np.clip((t - 40) / 60, 0, 1)
        rise = 0.1 + 0.9 * np.minimum(t / 10, 1)
        return np.where(t < 40, rise, 0.02 + 0.98 * weight(x))

    return value


def cyclic(t, amplitude):
    cycle = np.floor(1 + t / 20)
    x = np.abs(t / 10 - 2 * cycle + 1)
    return 0.1 + 0.9 * np.maximum(0, 1 - x) * amplitude(t, cycle)


def inverse_sqrt(t):
    return 0.3 * np.minimum(t / 10, np.sqrt(10 / np.maximum(t, 10)))


def timescaled(t):
    return np.where(t < 10, 0.3 * t / 10, 0.3 / np.sqrt(1 + np.maximum(t - 10, 0) / 40))


def power(t):
    def at(n):
        return np.minimum(0.7, 8 * 4.0 * (512.0 * np.maximum(n, 1)) ** -0.51)

    return np.where(t < 10, at(10) * t / 10, at(t))


def rewarm(t):
    own = 0.5 * (1 + np.cos(np.pi * np.minimum(t / 100, 1)))
    x = np.clip((t - 25) / 15, 0, 1)
    return np.where(t < 25, own, 0.05 + (own - 0.05) * x)


def cooldown(t):
    return np.where(t < 40, 0.9**t, 0.9**40 * (1 - np.clip((t - 40) / 60, 0, 1)))


FORMULAS = {
    "wsd linear": (s.warmup_stable_decay_schedule(0.1, 1.0, 10, 30, 60, 0.02), wsd(lambda x: 1 - x)),
    "wsd cosine": (
        s.warmup_stable_decay_schedule(0.1, 1.0, 10, 30, 60, 0.02, "cosine"),
        wsd(lambda x: (1 + np.cos(np.pi * x)) / 2),
    ),
    "wsd 1-sqrt": (
        s.warmup_stable_decay_schedule(0.1, 1.0, 10, 30, 60, 0.02, "1-sqrt"),
        wsd(lambda x: 1 - np.sqrt(x)),
    ),
    "inverse sqrt": (s.warmup_inverse_sqrt_schedule(0.0, 0.3, 10), inverse_sqrt),
    "timescale": (s.warmup_inverse_sqrt_schedule(0.0, 0.3, 10, 40), timescaled),
    "power": (s.power_schedule(0.7, 4.0, -0.51, 10, 8, 512), power),
    "power at once": (
        s.power_schedule(0.7, 1.0, -0.5),
        lambda t: np.minimum(0.7, np.maximum(t, 1.0) ** -0.5),
    ),
    "rex": (
        s.rex_schedule(1.0, 100, 0.1),
        lambda t: 0.1 + 0.9 * (z := 1 - np.minimum(t / 100, 1)) / (0.5 + 0.5 * z),
    ),
    "cyclic": (s.cyclic_schedule(0.1, 1.0, 10), lambda t: cyclic(t, lambda t, c: 1)),
    "cyclic halved": (
        s.cyclic_schedule(0.1, 1.0, 10, "triangular2"),
        lambda t: cyclic(t, lambda t, c: 0.5 ** (c - 1)),
    ),
    "cyclic decayed": (
        s.cyclic_schedule(0.1, 1.0, 10, "exp_range", 0.97),
        lambda t: cyclic(t, lambda t, c: 0.97**t),
    ),
    "rewarmup": (s.rewarmup_schedule(s.cosine_decay_schedule(1.0, 100), 25, 15, 0.05), rewarm),
    "cooldown": (s.cooldown_schedule(s.exponential_decay(1.0, 1, 0.9), 40, 60), cooldown),
    "proportional": (
        s.proportional_schedule(s.linear_schedule(0.3, 0.1, 50), 0.1, 0.3, 0.02, 0.05),
        lambda t: 0.05 - 0.03 * np.minimum(t / 50, 1),
    ),
    "polynomial by fraction": (
        s.polynomial_schedule_by_fraction(1.0, 0.1, 2, 100, 0.25, 0.4),
        lambda t: 0.1 + 0.9 * (1 - np.clip((t - 25) / 15, 0, 1)) ** 2,
    ),
    "steps by fraction": (
        s.piecewise_constant_schedule_by_fraction(1.0, 100, {0.4: 0.1, 0.25: 0.5}),
        lambda t: np.where(t < 25, 1, np.where(t < 40, 0.5, 0.05)),
    ),
    "lines by fraction": (
        s.piecewise_interpolate_schedule_by_fraction("linear", 1.0, 100, {0.25: 0.5, 1.0: 0.0}),
        lambda t: np.interp(t, [0, 25, 100], [1, 0.5, 0]),
    ),
}


@pytest.mark.parametrize("row", FORMULAS.values(), ids=FORMULAS)
def test_the_numbers_are_those_of_the_formula(row):
    schedule, formula = row
    expected = formula(COUNTS.astype(np.float64))
    array = jnp.asarray(COUNTS, jnp.int32)
    for values in (schedule(array), jax.jit(jax.vmap(schedule))(array)):
        np.testing.assert_allclose(values, expected, rtol=3e-6, atol=2e-7)
    assert schedule(10).dtype == jnp.result_type(float)
    np.testing.assert_allclose(schedule(10), schedule(array)[4], rtol=3e-7)


def test_a_rewarmed_schedule_is_its_own_again_after_the_rise():
    own = s.cosine_decay_schedule(1.0, 100)
    counts = jnp.array([0, 24, 40, 41, 99])
    rewarmed = s.rewarmup_schedule(own, resume_step=25, warmup_steps=15)
    np.testing.assert_array_equal(rewarmed(counts), own(counts))
    assert rewarmed(25) == 0


def test_the_length_of_the_run_is_one_number():
    short = s.polynomial_schedule_by_fraction(1.0, 0.0, 1, 100, 0.2, 0.9)
    long = short.replace(total_steps=1000)
    counts = jnp.arange(0, 101, 10)
    np.testing.assert_allclose(short(counts), long(counts * 10), rtol=1e-6, atol=1e-7)
