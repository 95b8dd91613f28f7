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


def epfml(t, shape, end=0.02):
    """llm-optimizer-benchmark's wsd_schedule(100, end, 10, 100, 0.4, shape), as a multiple of the peak."""
    x = np.clip((t - 60) / 40, 0, 1)
    line, cosine = 1 - x, (1 + np.cos(np.pi * x)) / 2
    fall = {
        "linear": line,
        "cosine": cosine,
        "mirror_cosine": 2 * line - cosine,
        "square": 1 - x**2,
        "sqrt": 1 - np.sqrt(x),
        "1-sqrt": 1 - np.sqrt(x),
    }
    last = end**x if shape == "exponential" else end + (1 - end) * fall[shape]
    return np.where(t < 10, t / 10 + (1 - t / 10) / 100, np.where(t < 60, 1, last))


def halflife(t, first, last, steps, begin=0):
    """AdEMAMix's authors: evenly in ln(1/2) / ln(beta) - 1."""
    x = np.clip((t - begin) / steps, 0, 1)
    f0, f1 = (np.log(0.5) / np.log(beta) - 1 for beta in (first, last))
    return 0.5 ** (1 / ((1 - x) * f0 + x * f1 + 1))


SHAPES = ("linear", "cosine", "mirror_cosine", "square", "sqrt", "1-sqrt", "exponential")

FORMULAS = {
    **{
        f"wsd by fraction, {shape}": (
            s.wsd_schedule(0.3, 100, 10, 0.4, shape, 0.003, 0.006),
            lambda t, shape=shape: 0.3 * epfml(t, shape),
        )
        for shape in SHAPES
    },
    "cooldown exponential": (
        s.cooldown_schedule(s.exponential_decay(1.0, 1, 0.9), 40, 60, 1e-4, "exponential"),
        lambda t: np.where(t < 40, 0.9**t, 0.9**40 * (1e-4 / 0.9**40) ** np.clip((t - 40) / 60, 0, 1)),
    ),
    "powercool": (
        s.powercool_schedule(0.3, 100, 0.002),
        lambda t: np.minimum(0.3, 0.002 * np.maximum(0, 100 - t) ** 1.2),
    ),
    "powercool from a step": (
        s.powercool_schedule(0.3, 100, transition_begin=24, exponent=1.5),
        lambda t: np.minimum(0.3, 0.3 / 76**1.5 * np.maximum(0, 100 - t) ** 1.5),
    ),
    "momentum warm-up": (s.beta_schedule(0.85, 0.95, 30), lambda t: 0.85 + 0.1 * np.minimum(t / 30, 1)),
    "half-life": (
        s.beta_schedule(0.9, 0.9999, 40, space="halflife"),
        lambda t: halflife(t, 0.9, 0.9999, 40),
    ),
    "half-life, one ahead": (
        s.beta_schedule(0.5, 0.99, 40, -1, "halflife"),
        lambda t: halflife(t, 0.5, 0.99, 40, -1),
    ),
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


def test_half_lives_are_those_of_the_paper():
    """Pagliardini et al., 2024, section 3: exp(ln b_s ln b / ((1 - x) ln b + x ln b_s)), at most b."""
    x = np.minimum(COUNTS / 40, 1)
    start, end = np.log(0.9), np.log(0.9999)
    paper = np.minimum(np.exp(start * end / ((1 - x) * end + x * start)), 0.9999)
    values = s.beta_schedule(0.9, 0.9999, 40, space="halflife")(jnp.asarray(COUNTS, jnp.int32))
    np.testing.assert_allclose(values, paper, rtol=1e-6)
    assert abs(paper[7] - (0.9 + 0.0999 * 25 / 40)) > 0.02  # a line is elsewhere


def test_powercool_from_a_step_is_powercool_by_its_coefficient():
    by_step = s.powercool_schedule(0.3, 1000, transition_begin=400)
    by_number = s.powercool_schedule(0.3, 1000, 0.3 / 600**1.2)
    counts = jnp.arange(1100)
    np.testing.assert_allclose(by_step(counts), by_number(counts), rtol=2e-6)
    assert by_number(999) < by_number(998) < by_number(401) <= by_number(400)


def test_a_fall_by_a_factor_has_equal_factors():
    values = np.asarray(
        s.wsd_schedule(1.0, 100, 0, 0.5, "exponential", end_value=0.01)(jnp.arange(50, 101))
    )
    np.testing.assert_allclose(values[1:] / values[:-1], 0.01 ** (1 / 50), rtol=1e-5)
