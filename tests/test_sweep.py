"""Sweeps: the rows are those of single runs, in one compiled program."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradchain as gc
from gradchain.tools.sweeping import runs as sweep_runs

START = {"w": jnp.asarray([1.0, -2.0, 0.5])}
TRACED = {"times": 0}


def train(tx: Any) -> Any:
    """Ten steps on a quadratic."""
    TRACED["times"] += 1

    def step(carry: Any, _: Any) -> Any:
        params, state = carry
        loss, grads = jax.value_and_grad(lambda p: 0.5 * jnp.vdot(p["w"], p["w"]))(params)
        return tx.step(grads, state, params), loss

    (params, _), losses = jax.lax.scan(step, (START, tx.init(START)), None, length=10)
    return {"loss": 0.5 * jnp.vdot(params["w"], params["w"]), "curve": losses}


def alone(tx: Any) -> float:
    return float(jax.jit(lambda: train(tx)["loss"])())


def test_every_row_is_a_single_run() -> None:
    tx = gc.chain(gc.clip_by_global_norm(1.0), gc.adam(0.1))
    table = gc.sweep(train, tx, {"adam.learning_rate": [0.01, 0.1, 0.3], "b1": [0.5, 0.9]}, progress=False)
    assert table["curve"].shape == (6, 10)
    for rate, b1, loss in zip(table["adam.learning_rate"], table["b1"], table["loss"], strict=True):
        expected = alone(gc.chain(gc.clip_by_global_norm(1.0), gc.adam(rate, b1=b1)))
        assert loss == pytest.approx(expected, rel=1e-5)
    best = table.best("loss")
    assert best.results["loss"] == table["loss"].min()
    assert best.tx == tx.replace(**best.hyperparams)


@pytest.mark.parametrize("chunk", [None, 3])
def test_one_program_is_compiled(chunk: int | None) -> None:
    rates = np.geomspace(1e-3, 0.5, 11)
    TRACED["times"] = 0
    table = gc.sweep(train, gc.sgd(0.1), {"learning_rate": rates}, chunk=chunk, progress=False)
    assert TRACED["times"] == 1
    expected = 0.5 * float(jnp.vdot(START["w"], START["w"])) * (1 - rates) ** 20
    np.testing.assert_allclose(table["loss"], expected, rtol=1e-4)


def test_what_does_not_fit_the_memory_runs_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms, sizes = iter([0.5, 1.0]), []
    compiled = sweep_runs.Runs._compiled

    def noted(*args: Any, **kwargs: Any) -> Any:
        program, size = compiled(*args, **kwargs)
        sizes.append(size)
        return program, size

    monkeypatch.setattr(sweep_runs.Runs, "_compiled", noted)
    monkeypatch.setattr(sweep_runs, "_room", lambda compiled, device: next(rooms))
    rates = np.linspace(0.01, 0.9, 64)
    table = gc.sweep(train, gc.sgd(0.1), {"learning_rate": rates}, progress=False)
    assert sizes == [32]
    np.testing.assert_allclose(table["loss"], 2.625 * (1 - rates) ** 20, rtol=1e-3)


def test_data_are_given_to_every_run_and_not_compiled_in() -> None:
    def scaled(tx: Any, data: Any) -> Any:
        grads = {"w": START["w"] * data["scale"]}
        return tx.step(grads, tx.init(START), START)[0]["w"]

    data = {"scale": jnp.asarray(2.0)}
    table = gc.sweep(scaled, gc.sgd(0.1), {"learning_rate": [0.1, 0.2]}, args=(data,), progress=False)
    np.testing.assert_allclose(table["result"], np.outer([0.8, 0.6], START["w"]), rtol=1e-6)


def test_a_run_that_diverges_stops_no_other() -> None:
    table = gc.sweep(train, gc.sgd(0.1), {"learning_rate": [0.1, 1e30, 0.5]}, progress=False)
    assert table.diverged.tolist() == [False, True, False]
    assert table.best("loss").hyperparams == {"learning_rate": 0.5}
    assert table.order("loss").tolist() == [2, 0, 1]
    assert table.order("loss", maximize=True).tolist() == [0, 2, 1]
    assert "3 runs, 1 diverged" in str(table)
    with pytest.raises(ValueError, match="every run diverged"):
        gc.sweep(train, gc.sgd(0.1), {"learning_rate": [1e30]}, progress=False).best("loss")


def test_structure_is_an_outer_loop_and_the_table_says_so() -> None:
    table = gc.sweep(
        train,
        gc.sgd(0.1, momentum=0.9),
        {"nesterov": [False, True], "learning_rate": [0.1, 0.2]},
        progress=False,
    )
    assert set(table.looped) == {"nesterov"}
    assert "nesterov was not mapped: its values are no numbers" in str(table)
    for nesterov, rate, loss in zip(
        *(table[n] for n in ("nesterov", "learning_rate", "loss")), strict=True
    ):
        expected = alone(gc.sgd(float(rate), momentum=0.9, nesterov=bool(nesterov)))
        assert loss == pytest.approx(expected, rel=1e-5)


def test_what_cannot_be_traced_is_an_outer_loop() -> None:
    def make(rate: Any, steps: Any) -> Any:
        return gc.sgd(rate * len(range(steps)))

    table = gc.sweep(train, make, {"rate": [0.05, 0.1], "steps": [1, 2]}, progress=False)
    assert set(table.looped) == {"steps"}
    np.testing.assert_allclose(
        table["loss"], 2.625 * (1 - np.array([0.05, 0.1, 0.1, 0.2])) ** 20, rtol=1e-4
    )


def test_schedules_are_swept_by_a_function_that_makes_them() -> None:
    table = gc.sweep(
        train, lambda peak: gc.sgd(gc.cosine_decay_schedule(peak, 20)), {"peak": [0.1, 0.3]}, progress=False
    )
    assert not table.looped
    for peak, loss in zip(table["peak"], table["loss"], strict=True):
        assert loss == pytest.approx(alone(gc.sgd(gc.cosine_decay_schedule(float(peak), 20))), rel=1e-5)


def test_random_search_covers_each_range_evenly() -> None:
    space = {"learning_rate": gc.log_uniform(1e-4, 1.0), "momentum": [0.0, 0.9]}
    table = gc.random_search(train, gc.sgd(0.1), space, samples=8, progress=False)
    strata = np.sort(np.floor(8 * (np.log10(table["learning_rate"]) + 4) / 4))
    assert strata.tolist() == list(range(8))
    assert sorted(table["momentum"]) == [0.0] * 4 + [0.9] * 4
    again = gc.random_search(train, gc.sgd(0.1), space, samples=8, progress=False)
    assert again["learning_rate"].tolist() == table["learning_rate"].tolist()
    other = gc.random_search(train, gc.sgd(0.1), space, samples=8, seed=1, progress=False)
    assert other["learning_rate"].tolist() != table["learning_rate"].tolist()


def test_the_table_is_shown_and_drawn() -> None:
    space = {"learning_rate": [1e-3, 0.1, 1e30], "nesterov": [False, True]}
    table = gc.sweep(train, gc.sgd(0.1, momentum=0.5), space, progress=False)
    frame = table.to_pandas()
    assert list(frame.columns) == ["learning_rate", "nesterov", "curve", "loss", "diverged"]
    np.testing.assert_array_equal(frame["loss"], table["loss"])
    assert "<table>" in table._repr_html_()
    assert [ax.get_xlabel() for ax in table.plot("loss").axes] == ["learning_rate", "nesterov"]
    with pytest.raises(KeyError, match=r"no column 'los'.*Did you mean 'loss'"):
        table["los"]
    with pytest.raises(ValueError, match="with one number for each run are loss; 'curve' is none"):
        table.best("curve")


@pytest.mark.parametrize(
    ("space", "error", "text"),
    [
        ({"learning_rat": [0.1]}, KeyError, "Did you mean 'learning_rate'"),
        ({"learning_rate": []}, ValueError, "learning_rate has no values"),
        ({"learning_rate": [0.1, 0.1]}, ValueError, "has the value 0.1 twice"),
        ({"learning_rate": 0.1}, TypeError, "must be a list of values, received 0.1"),
        ({}, ValueError, "the space is empty"),
        ({"learning_rate": [float("nan")]}, ValueError, "learning_rate must be finite"),
    ],
)
def test_bad_spaces_are_refused(space: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        gc.sweep(train, gc.sgd(0.1), space, progress=False)


def test_results_must_be_arrays_with_names_of_their_own() -> None:
    with pytest.raises(TypeError, match="train returned None; it must return arrays"):
        gc.sweep(lambda tx: None, gc.sgd(0.1), {"learning_rate": [0.1]}, progress=False)
    with pytest.raises(ValueError, match="'learning_rate', which is another column"):
        gc.sweep(
            lambda tx: {"learning_rate": jnp.ones(())},
            gc.sgd(0.1),
            {"learning_rate": [0.1]},
            progress=False,
        )
    with pytest.raises(KeyError, match="nothing in the transformation remembers its arguments"):
        gc.sweep(
            train, gc.GradientTransformation(*gc.sgd(0.1)[:2]), {"learning_rate": [0.1]}, progress=False
        )


@pytest.mark.parametrize(
    ("source", "bounds"), [(gc.uniform, (1, 1)), (gc.log_uniform, (0, 1)), (gc.uniform, (0, np.inf))]
)
def test_ranges_are_checked(source: Any, bounds: Any) -> None:
    with pytest.raises(ValueError, match="expected finite bounds"):
        source(*bounds)


def rising_batches(n: int) -> Any:
    return (jnp.asarray(float(i % 3)) for i in range(n))


def train_step(tx: Any, params: Any, state: Any, batch: Any) -> Any:
    loss, grads = jax.value_and_grad(lambda p: 0.5 * jnp.vdot(p["w"], p["w"]) + 0.0 * batch)(params)
    params, state = tx.step(grads, state, params)
    return params, state, loss


def test_the_range_test_suggests_a_rate_that_trains() -> None:
    found = gc.find_learning_rate(train_step, gc.sgd(0.1), START, rising_batches(200), high=1e3)
    assert found.suggestion is not None
    assert 1e-3 < found.suggestion < 1.0  # beyond 2 the loss grows
    assert len(found.rates) < 100  # it ended where the loss grew
    assert found.losses[-1] > found.losses[0]
    assert found.plot().get_xlabel() == "learning rate"
    assert f"{found.suggestion:.2g}: " in str(found)


def test_the_range_test_says_when_nothing_fell() -> None:
    found = gc.find_learning_rate(
        train_step, gc.sgd(0.1), START, rising_batches(20), low=1e-9, high=1e-8, steps=20
    )
    assert found.suggestion is None
    assert "the loss never fell" in found.reason


def test_the_range_test_names_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="there were 3 batches"):
        gc.find_learning_rate(train_step, gc.sgd(0.1), START, rising_batches(3))
    with pytest.raises(ValueError, match="0 < low < high"):
        gc.find_learning_rate(train_step, gc.sgd(0.1), START, rising_batches(30), low=1.0, high=0.1)
    with pytest.raises(KeyError, match="there is no 'learning_rate'"):
        gc.find_learning_rate(train_step, gc.scale(-0.1), START, rising_batches(30))


def test_optuna_trials_share_a_program_and_find_the_best_rate() -> None:
    optuna = pytest.importorskip("optuna")
    from gradchain.integrations.optuna import objective

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {"learning_rate": gc.log_uniform(1e-3, 10.0), "momentum": [0.0, 0.5], "nesterov": [False, True]}
    TRACED["times"] = 0
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective(train, gc.sgd(0.1), space, metric="loss"), n_trials=12)
    assert TRACED["times"] <= 4  # two values of nesterov, and trying
    assert alone(gc.sgd(0.1).replace(**study.best_params)) == pytest.approx(study.best_value, rel=1e-4)
    with pytest.raises(KeyError, match="there is no 'rate'"):
        objective(train, gc.sgd(0.1), {"rate": [0.1]})
    with pytest.raises(TypeError, match="momentum must be a range or choices"):
        objective(train, gc.sgd(0.1), {"momentum": [jnp.ones(())]})


def test_a_diverged_trial_is_pruned() -> None:
    optuna = pytest.importorskip("optuna")
    from gradchain.integrations.optuna import objective

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective(train, gc.sgd(0.1), {"learning_rate": [1e30]}, metric="loss"), n_trials=1)
    assert study.trials[0].state == optuna.trial.TrialState.PRUNED
