"""A schedule draws itself."""

import builtins

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib import pyplot as plt

from gradchain.schedules import cosine_decay_schedule, cyclic_schedule, linear_schedule
from gradchain.tools.plot_schedule import plot_schedule


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_it_draws_the_values_under_the_code_of_the_schedule():
    schedule = cosine_decay_schedule(0.3, 100)
    ax = plot_schedule(schedule, 100)
    (line,) = ax.get_lines()
    assert line.get_label() == repr(schedule)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(101))
    np.testing.assert_allclose(line.get_ydata(), schedule(jnp.arange(101)), atol=1e-6)


def test_several_share_the_axes_they_are_given():
    _, ax = plt.subplots()
    schedules = [linear_schedule(1.0, 0.0, 10**6), cyclic_schedule(0.1, 1.0, 10**5), lambda t: 0.5]
    assert plot_schedule(schedules, 10**6, ax) is ax
    assert len(ax.get_lines()) == 3
    assert all(len(line.get_xdata()) <= 2000 for line in ax.get_lines())
    assert ax.get_lines()[0].get_xdata()[-1] == 10**6
    assert plot_schedule(schedules[0], [0, 5, 7], ax).get_lines()[-1].get_xdata().tolist() == [0, 5, 7]


def test_a_run_without_steps_is_an_error():
    with pytest.raises(ValueError, match="steps must be at least 1, received 0"):
        plot_schedule(linear_schedule(1.0, 0.0, 5), 0)


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"gradchain\[plot\]"):
        plot_schedule(linear_schedule(1.0, 0.0, 5), 5)
