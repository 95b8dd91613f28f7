"""Training quality: scores against numbers computed by hand, the command on a tiny workload, its page."""

import math
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1]))  # the benchmarks are not installed

pytest.importorskip("rich")
pytest.importorskip("flax")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from benchmarks.__main__ import main
from benchmarks.quality import command, figures, page, scoring, tables, timing, tuning
from benchmarks.quality.contenders import CONTENDERS, factor
from benchmarks.quality.results import Results, dumps, read
from benchmarks.quality.training import Outcome, Trainer
from benchmarks.quality.workloads import SMALL, WORKLOADS

INF = math.inf
DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([3.0, 2.0, 1.0], 20),  # at the target counts
        ([3.0, 2.1, 1.0], 30),
        ([3.0, 1.0, 9.0], 20),  # the first one counts, whatever follows
        ([3.0, 2.1, 2.1], None),
        ([None, math.nan, 2.0], 30),
        ([], None),
    ],
)
def test_steps_to_a_target(curve: list[float | None], expected: int | None) -> None:
    assert scoring.steps_to(curve, 2.0, 10) == expected


def test_median_with_unreached_seeds() -> None:
    assert scoring.median([30, 10, 20]) == 20
    assert scoring.median([10, INF, 20, INF, 30]) == 30
    assert scoring.median([10, INF, INF]) == INF
    assert scoring.median([10, 20, 40, INF]) == 30


def test_summary_and_coverage() -> None:
    assert scoring.summary([30, None, 10]) == (30, 10, INF, 2, 3)
    assert scoring.coverage(5) == 0.9375
    assert scoring.coverage(7) == 0.984375


def test_verdict_needs_pairs_that_agree() -> None:
    assert scoring.verdict([10, 20, 30], [20, 30, None]) == "faster"
    assert scoring.verdict([20, None], [10, 20]) == "slower"
    assert scoring.verdict([10, 20, 30], [20, 30, 30]) == "faster"  # but for one tie
    assert scoring.verdict([10, 20, 30], [20, 20, 30]) == "not told apart"
    assert scoring.verdict([10, 20, 50], [20, 30, 40]) == "not told apart"
    assert scoring.verdict([10], [10]) == "not told apart"
    assert scoring.verdict([10, 40], [20, 30]) == "not told apart"
    assert scoring.verdict([None, None], [None, None]) == "not told apart"


TIMES = {"one": {"a": 100.0, "b": 200.0, "c": 100.0}, "two": {"a": 300.0, "b": 100.0, "c": INF}}


def test_profile_by_hand() -> None:
    assert [scoring.profile(TIMES, "a", tau) for tau in (1, 2.9, 3, 4)] == [0.5, 0.5, 1, 1]
    assert [scoring.profile(TIMES, "b", tau) for tau in (1, 1.9, 2)] == [0.5, 0.5, 1]
    assert [scoring.profile(TIMES, "c", tau) for tau in (1, 4, 1e9)] == [0.5, 0.5, 0.5]  # a tie, and never


def test_score_by_hand() -> None:
    assert scoring.score(TIMES, "a") == pytest.approx((1 + 1 / 3) / 2)
    assert scoring.score(TIMES, "b") == pytest.approx((2 / 3 + 1) / 2)
    assert scoring.score(TIMES, "c") == pytest.approx(1 / 2)
    assert scoring.score({"one": {"a": 1.0, "b": 4.0, "c": 9.0}}, "b") == 0  # at the end, and beyond
    assert scoring.score({"one": {"a": 1.0, "b": 9.0}}, "b") == 0
    assert scoring.score(TIMES, "a", max_tau=2) == pytest.approx(1 / 2)


def test_score_is_the_area_under_the_profile() -> None:
    taus = np.linspace(1, scoring.MAX_TAU, 3001)
    for name in "abc":
        area = np.mean([scoring.profile(TIMES, name, tau) for tau in taus])
        assert scoring.score(TIMES, name) == pytest.approx(area, abs=1e-3)


def test_a_target_that_none_reached_is_reached_by_none() -> None:
    assert scoring.profile({"one": {"a": INF, "b": INF}}, "a", 1) == 0
    assert scoring.score({"one": {"a": INF, "b": INF}}, "a") == 0


def results(curves: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Raw results of one workload, with a target of 1 and a measurement after every 10 steps."""
    training = {
        name: {
            "rate": 0.1,
            "decay": 0.0,
            "edge": "",
            "trials": [{}] * 3,
            "seeds": [0, 1],
            "curves": of,
            "train_loss": [0.5, 0.5],
            "test_loss": [0.5, 0.7],
            "test_accuracy": [0.8, 0.9],
        }
        for name, of in curves.items()
    }
    ratio = {"adamw": 1.0, "muon": 3.0}
    timed = {
        name: {"seconds": {"median": r}, "ratio": {"low": r, "median": r, "high": r}}
        for name, r in ratio.items()
    }
    workload = {"what": "a test", "steps": 40, "every": 10, "target": 1.0, "batch_size": 1}
    facts = {"machine": {"python": "3"}, "seeds": 2, "workloads": {"w": workload}}
    return {"facts": facts, "training": {"w": training}, "timing": {"w": timed}}


TWO = {"adamw": [[2, 2, 1, 1], [2, 2, 2, 1]], "muon": [[2, 1, 1, 1], [2, 2, 1, 2]]}


def test_rows_and_scores_of_results() -> None:
    data = results(TWO)  # type: ignore[arg-type]
    muon, adamw = figures.rows(data, "w")
    assert (muon.name, muon.steps.median, muon.steps.low, muon.steps.high) == ("muon", 25, 20, 30)
    assert (adamw.name, adamw.steps.median, muon.verdict, adamw.verdict) == ("adamw", 35, "faster", "")
    assert muon.time == 75
    assert muon.time_ratio is not None
    assert muon.time_verdict == "slower"
    assert (muon.time_ratio.low, muon.time_ratio.high) == (pytest.approx(2.0), pytest.approx(2.25))
    assert figures.ranking(figures.by_steps(data))[0] == ("muon", 1.0)
    assert figures.ranking(figures.by_time(data) or {})[0] == ("adamw", 1.0)
    assert muon.test_accuracy == pytest.approx(0.85)


def test_an_optimizer_that_loses_is_called_a_loser() -> None:
    text = tables.generated(results(TWO))  # type: ignore[arg-type]
    line = next(line for line in text.splitlines() if line.startswith("| muon"))
    assert "1 faster, 0 slower" in line  # in steps
    assert "0 faster, 1 slower" in line  # in time, with steps three times as long
    assert "loses to AdamW" in line
    text = tables.generated(results(TWO) | {"timing": {}})  # type: ignore[arg-type]
    line = next(line for line in text.splitlines() if line.startswith("| muon"))
    assert "beats AdamW" in line  # by steps


def test_the_part_written_by_hand_stays() -> None:
    data = results(TWO)  # type: ignore[arg-type]
    first = page.text("", data, [])
    changed = first.replace("# Training quality\n", "# Training quality\n\nWhat surprised: nothing.\n")
    assert page.text(changed, data, []) == changed != first


def test_schedule() -> None:
    shape = factor(100)
    assert [float(shape(jnp.asarray(n))) for n in (0, 5)] == pytest.approx([0.2, 1.0])
    assert float(shape(jnp.asarray(100))) == pytest.approx(0, abs=1e-6)
    constant = factor(100, scheduled=False)
    assert [float(constant(jnp.asarray(n))) for n in (0, 5, 99)] == pytest.approx([0.2, 1.0, 1.0])


def test_every_optimizer_has_the_same_trials() -> None:
    for contender in CONTENDERS.values():
        first = contender.first()
        second = contender.second(first[0][0])
        assert len({*first, *second}) == (3 if contender.name == "prodigy" else 13)


def test_the_search_chooses_by_steps_then_by_loss() -> None:
    contender = CONTENDERS["adamw"]

    class Pretended:
        """The loss in the end is least at the rate 0.0316 and the decay 0.5."""

        workload = SMALL

        def run(self, program: Any, runs: Any) -> Outcome:
            end = [abs(math.log10(r.rate / 0.0316)) + (r.decay == 0) - 0.1 * (r.decay == 0.5) for r in runs]
            curve = np.asarray([[9.0, max(x, 0.01)] for x in end], np.float32)
            return Outcome(curve, curve, curve[:, 0], curve[:, 0])

    trials = tuning.search(Pretended(), contender, None, 0.2)  # type: ignore[arg-type]
    assert len(trials) == 13
    assert trials[0]["rate"] == pytest.approx(0.0316, rel=1e-2)
    assert [len(t["loss"]) for t in trials] == [3] * 3 + [1] * 10
    assert tuning.edge(contender, trials) == ""
    assert trials[0]["steps"] == [20, 20, 20]


def test_a_rate_at_the_edge_is_marked() -> None:
    low, high = ({"rate": r} for r in (0.1, 1.0))
    assert tuning.edge(CONTENDERS["adamw"], [low, high]) == "<"
    assert tuning.edge(CONTENDERS["adamw"], [high, low]) == ">"


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_every_optimizer_begins_on_every_workload(name: str) -> None:
    trainer = Trainer(WORKLOADS[name])
    params = jax.tree.map(lambda p: p[0], trainer.params(jnp.zeros(1, jnp.uint32)))
    order = trainer.order(0)
    assert order.shape[0] * order.shape[1] == WORKLOADS[name].steps
    assert order.max() < len(trainer.parts.train)
    for contender in CONTENDERS.values():
        tx = trainer.optimizer(contender, 0.1, 0.1)
        assert jax.tree.leaves(jax.eval_shape(tx.init, params))


def test_small_command_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["benchmarks", "quality", "--small", "--optimizers", "adamw,sgd", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(timing, "REPEATS", 2)
    assert main() == 0
    data = read(tmp_path / "quality.json")
    kept = data["training"]["small"]["sgd"]
    assert len(kept["trials"]) == 13
    assert np.shape(kept["curves"]) == (len(tuning.SEEDS), 4)
    first, *_, last = np.median(kept["curves"], 0)
    assert last < 0.7 * first  # it learned
    assert data["timing"]["small"]["sgd"]["seconds"]["median"] > 0
    text = (tmp_path / page.NAME).read_text()
    assert "| sgd |" in text
    assert "**adamw**" in text
    assert {p.name for p in tmp_path.glob("*.png")} == {"quality_profile.png", "quality_steps.png"}

    def refused(*args: Any) -> Any:
        raise AssertionError("trained again")

    monkeypatch.setattr(command, "train", refused)
    monkeypatch.setattr(timing, "measure", refused)
    assert main() == 0  # all is done
    assert read(tmp_path / "quality.json") == data
    monkeypatch.setattr(sys, "argv", [*arguments[:4], "adamw,lion", *arguments[5:]])
    with pytest.raises(AssertionError, match="trained again"):
        main()


def test_results_of_other_workloads_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "quality.json"
    file.write_text(dumps(results(TWO)))  # type: ignore[arg-type]
    assert read(file) == results(TWO)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="other workloads"):
        Results(file, command.facts([SMALL]))
    file.write_text("{}")
    with pytest.raises(ValueError, match="holds no results"):
        read(file)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--optimizers", "adamq"], "no optimizer is called 'adamq'. Did you mean 'adamw'?"),
        (["--workloads", "digit_mlp"], "no workload is called 'digit_mlp'. Did you mean 'digits_mlp'?"),
        (["--small", "--workloads", "digits_mlp"], "no workload is called 'digits_mlp'"),
    ],
)
def test_unknown_names(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_results_that_are_missing(tmp_path: Path) -> None:
    assert command.main(["--from", str(tmp_path / "none.json"), "--out", str(tmp_path)]) == 2


def test_the_page_is_current() -> None:
    data = read(DOCS / "quality.json")
    existing = (DOCS / page.NAME).read_text(encoding="utf-8")
    assert existing == page.text(existing, data, page.pictures.names(data))
    assert (
        data["facts"]["workloads"] == command.facts(WORKLOADS.values())["workloads"]
    )  # the targets and budgets are those of the code
