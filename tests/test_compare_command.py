"""The command as its users meet it: options in, table and files out, errors that help."""

import csv
import html.parser
import json
import re
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest
from click.testing import CliRunner, Result

import gradchain as gc
from gradchain.compare import cli, contenders, files, presets, schedules, writing
from gradchain.compare.command import gradchain
from gradchain.compare.runner import Trainer

SHORT = ("--epochs", "1", "--seeds", "2", "--batch-size", "128")


@pytest.fixture
def compare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*options: str) -> Result:
        return CliRunner().invoke(gradchain, ["compare", *options])

    return run


def refused(result: Result, *words: str) -> None:
    """Exit code 2, in our voice, without a traceback, and nothing written."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("gradchain: ")
    for word in words:
        assert word in result.stderr
    assert not Path("gradchain-out").exists()


def read(out: Path) -> dict:
    def no_constant(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    return json.loads((out / "results.json").read_text(), parse_constant=no_constant)


def test_a_comparison_prints_a_table_and_writes_five_files(compare, tmp_path):
    chain = "chain(clip_by_global_norm(1.0), rmsprop(1e-3))"
    result = compare(*SHORT, "--optimizers", f"adam,{chain},sgd", "--out", "there/below")
    assert result.exit_code == 0, result.output
    out = tmp_path / "there" / "below"
    assert {p.name for p in out.iterdir()} == set(writing.WRITTEN)
    content = read(out)
    rows = content["results"]
    assert {r["optimizer"] for r in rows} == {"adam", chain, "sgd"}
    accuracies = [r["test_accuracy_mean"] for r in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert content["settings"]["seeds"] == 2
    assert len(rows[0]["curves"]["batch_loss_by_seed"]) == 2
    with (out / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["optimizer"] for line in lines] == [r["optimizer"] for r in rows]
    assert float(lines[0]["test_loss_mean"]) == rows[0]["test_loss_mean"]
    for picture in ("comparison.png", "rates.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    for row, line in zip(rows, lines, strict=True):
        assert f"{100 * row['test_accuracy_mean']:.1f} ± " in result.output
        assert line["place"] == row["place"] != ""
    names = [re.search(rf"^\d=?\s+{re.escape(r['optimizer'][:5])}", result.output, re.M) for r in rows]
    starts = [found.start() for found in names if found]
    assert len(starts) == 3
    assert starts == sorted(starts)


def test_the_report_needs_no_other_file(compare, tmp_path):
    compare(*SHORT, "--optimizers", "sgd,adam(1e-3)", "--out", "o")
    page = (tmp_path / "o" / "report.html").read_text()

    class Links(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.found: list[str] = []
            self.text = ""

        def handle_starttag(self, tag, attrs):
            self.found += [v or "" for k, v in attrs if k in ("src", "srcset", "href")]

        def handle_data(self, data):
            self.text += data

    links = Links()
    links.feed(page)
    pictures = [link for link in links.found if link != "data:,"]  # which is no icon
    assert len(pictures) == 4  # two, each also for a narrow screen
    assert all(link.startswith("data:image/png;base64,") for link in pictures)
    assert "url(" not in page
    assert re.search(r"sgd\(learning_rate=[0-9.e-]+\)", links.text)
    assert gc.__name__ in links.text


@pytest.mark.parametrize("option", [(), ("--sweep",), ("--rates", "best")], ids=" ".join)
def test_each_optimizer_is_shown_at_its_best_rate(compare, option):
    options = ("--optimizers", "sgd,adadelta,lion", *option, "--schedule", "cosine")
    result = compare("regression", *SHORT, *options)
    assert result.exit_code == 0, result.output
    assert "rate" in result.output
    rows = read(Path("gradchain-out"))["results"]
    for row in rows:
        assert len(row["sweep"]) == 12
        best = min(p["validation_mean"] for p in row["sweep"] if not p["diverged_seeds"])
        chosen = next(p for p in row["sweep"] if p["learning_rate"] == row["learning_rate"])
        assert chosen["validation_mean"] <= best + 0.1  # best but for its standard error
    by_name = {r["optimizer"]: r["learning_rate"] for r in rows}
    assert by_name["adadelta"] > by_name["sgd"]
    beside = {r["optimizer"]: (r["default_learning_rate"], r["test_loss_at_default_mean"]) for r in rows}
    assert beside["lion"] == (None, None)
    grid = next(r for r in rows if r["optimizer"] == "sgd")["sweep"]
    assert beside["sgd"] == (0.1, next(p["test_mean"] for p in grid if p["learning_rate"] == 0.1))


def test_divergence_is_reported_and_json_stays_valid(compare):
    options = ("--optimizers", "sgd(1e30),adam", "--epochs", "2", "--rates", "default")
    result = compare("regression", *SHORT, *options)
    assert result.exit_code == 0, result.output
    assert re.search(r"diverged\s+at step 2", result.output)
    adam, sgd = read(Path("gradchain-out"))["results"]
    assert (adam["optimizer"], sgd["optimizer"]) == ("adam", "sgd(1e30)")
    assert sgd["test_loss_mean"] is None
    assert sgd["diverged_at_step_by_seed"] == [2, 2]
    assert adam["diverged_at_step_by_seed"] == [None, None]


def test_without_a_sweep_there_are_no_rates_to_draw(compare):
    out = Path("gradchain-out")
    out.mkdir()
    (out / "rates.png").write_text("of an earlier run")
    result = compare("regression", *SHORT, "--optimizers", "adam", "--preset", "keras")
    assert result.exit_code == 0, result.output
    assert "comparison.png, report.html" in result.output
    assert {p.name for p in out.iterdir()} == set(writing.WRITTEN) - {"rates.png"}
    content = read(out)
    assert content["settings"]["rates"] == "default"
    assert content["results"][0]["code"] == "adam(learning_rate=0.001, eps=1e-07)"
    assert content["results"][0]["sweep"] == []


def test_one_rate_for_all(compare):
    options = ("--optimizers", "sgd,adam", "--learning-rate", "0.02")
    result = compare("regression", *SHORT, *options)
    assert result.exit_code == 0, result.output
    assert [r["learning_rate"] for r in read(Path("gradchain-out"))["results"]] == [0.02, 0.02]
    assert "One learning rate for all" in result.output


def test_everyone_may_diverge(compare):
    options = ("--optimizers", "sgd", "--learning-rate", "1e30", "--epochs", "2")
    result = compare("regression", *SHORT, *options)
    assert result.exit_code == 0, result.output
    assert "diverged" in result.output


def test_regression_is_ranked_by_loss_and_shows_the_exact_solution(compare):
    result = compare("regression", "--epochs", "2", "--batch-size", "full", "--optimizers", "sgd,adam")
    assert result.exit_code == 0, result.output
    assert "To exact: the distance to the least-squares solution" in " ".join(result.output.split())
    rows = read(Path("gradchain-out"))["results"]
    losses = [r["test_loss_mean"] for r in rows]
    assert losses == sorted(losses)
    assert all(r["distance_to_least_squares_mean"] > 0 for r in rows)


def test_single_examples(compare):
    result = compare(
        "regression", "--epochs", "1", "--seeds", "1", "--batch-size", "1", "--optimizers", "sgd"
    )
    assert result.exit_code == 0, result.output
    assert read(Path("gradchain-out"))["settings"]["steps"] == 288


def test_an_interruption_leaves_no_half_file(tmp_path, monkeypatch):
    (tmp_path / "results.json").write_text("old")

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "results.json", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_text() == "old"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["digitz"], ["unknown task 'digitz'", "Did you mean 'digits'?", "mnist", "sequence"]),
        (["--optimizers", "adamm"], ["unknown optimizer 'adamm'", "'adam'", "nesterov, adagrad"]),
        (["--optimizers", ""], ["--optimizers: expected names", "found nothing"]),
        (["--optimizers", "adam,,sgd"], ["found nothing at place 2"]),
        (["--optimizers", "adam,adam"], ["adam is named twice"]),
        (["--optimizers", "chain(adam(1e-3)"], ["--optimizers: parse: column 6", "^"]),
        (["--optimizers", "sdg(0.1)"], ["column 1", "Did you mean 'sgd'?"]),
        (["--optimizers", "adam(1e-3, b1=2.0)"], ["column 1", "b1", "2.0"]),
        (["--optimizers", "__import__('os').system('x')"], ["a call of anything but a name"]),
        (["--preset", "kerass"], ["unknown preset 'kerass'", "'keras'", "defaults, keras, torch"]),
        (["--schedule", "cosin"], ["unknown schedule 'cosin'", "'cosine'", "warmup_cosine"]),
        (["--epochs", "0"], ["--epochs: expected a whole number from 1, received 0"]),
        (["--epochs", "-3"], ["--epochs", "received -3"]),
        (["--epochs", "many"], ["--epochs", "received many"]),
        (["--seeds", "0"], ["--seeds", "received 0"]),
        (["--batch-size", "0"], ["--batch-size", "or full, received 0"]),
        (["--batch-size", "1.5"], ["--batch-size", "received 1.5"]),
        (["--batch-size", "5000"], ["--batch-size 5000", "1168 training examples"]),
        (["--learning-rate", "-0.1"], ["--learning-rate: expected a finite number", "-0.1"]),
        (["--learning-rate", "nan"], ["--learning-rate", "received nan"]),
        (["--learning-rate", "inf"], ["--learning-rate", "received inf"]),
        (["--learning-rate", "fast"], ["--learning-rate", "received fast"]),
        (["--clip", "0"], ["--clip", "received 0"]),
        (["--clip", "inf"], ["--clip", "received inf"]),
        (["--sweep", "--learning-rate", "0.1"], ["--sweep", "leave --learning-rate out"]),
        (
            ["--rates", "best", "--learning-rate", "1"],
            ["--rates best tries many", "leave --learning-rate out"],
        ),
        (
            ["--rates", "default", "--learning-rate", "1"],
            ["--rates default leaves", "leave --learning-rate"],
        ),
        (["--rates", "default", "--sweep"], ["--sweep means --rates best"]),
        (["--rates", "bset"], ["--rates: expected best or default, received bset.", "'best'"]),
        (["--optimizer", "adam"], ["unknown option '--optimizer'", "'--optimizers'", "--sweep"]),
        (["--quick"], ["unknown option '--quick'", "--epochs"]),
        (["--epochs"], ["--epochs"]),
        (["digits", "mnist"], ["mnist"]),
        (["mnist"], ["needs --data DIR", "train-images-idx3-ubyte"]),
        (["mnist", "--data", "nowhere"], ["--data nowhere: there is no such folder"]),
        (["digits", "--data", "."], ["--data belongs to the task mnist"]),
        (["--out", "file"], ["--out file: expected a folder"]),
        (
            ["--optimizers", "adam,masked(sgd(0.1), {'a': True})"],
            [
                "masked(sgd(0.1), {'a': True}) does not fit the model of digits",
                "parameters are ['Dense_0']",
            ],
        ),
        (["--optimizers", "partition({'a': sgd(0.1)}, 'b')"], ["does not fit", "has label 'b'"]),
        (["--optimizers", "conditionally_mask(sgd(0.1), 3)"], ["not callable. Change it or leave it out"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0] != "unknown" else None,
)
def test_bad_input_is_refused_with_reasons(compare, options, words):
    Path("file").touch()
    refused(compare(*options), *words)


def test_an_unknown_command():
    result = CliRunner().invoke(gradchain, ["compar"])
    assert result.exit_code == 2
    assert "unknown command 'compar'. Did you mean 'compare'?" in result.stderr


def test_help_names_tasks_and_options(compare):
    result = compare("--help")
    assert result.exit_code == 0
    for word in ("digits", "mnist", "characters", "--sweep", "--rates", "--preset", "keras"):
        assert word in result.output


@pytest.mark.parametrize("fault", ["init", "update", "state"])
def test_a_misfit_is_refused_before_anyone_trains(compare, monkeypatch, fault):
    def init(params):
        if fault == "init":
            raise RuntimeError("no memory for this.\n\nA second paragraph.")
        return jnp.zeros(())

    def update(updates, state, params=None, **extra_args):
        if fault == "update":
            raise KeyError()
        return updates, jnp.zeros(2)  # not the shape it had

    def never(*args):
        raise AssertionError("trained")

    odd = gc.GradientTransformationExtraArgs(init, update)
    monkeypatch.setattr(contenders, "find_optimizer", lambda name, preset: odd)
    monkeypatch.setattr(Trainer, "run", never)
    told = {"init": "no memory for this. Change", "update": "KeyError. Change", "state": "carry"}[fault]
    result = compare("regression", *SHORT, "--optimizers", "odd")
    refused(result, "odd does not fit the model of regression: ", told, "leave it out")
    assert result.stderr.count("\n") == 1


def test_a_failure_while_training_keeps_the_others(compare, monkeypatch):
    run = Trainer.run

    def failing(self, contender, on_progress):
        if contender.name == "adam":
            raise RuntimeError("out of memory")
        return run(self, contender, on_progress)

    monkeypatch.setattr(Trainer, "run", failing)
    result = compare("regression", *SHORT, "--optimizers", "sgd,adam,rmsprop")
    assert result.exit_code == 2
    assert "adam failed while training: out of memory. Leave out what failed" in result.stderr
    content = read(Path("gradchain-out"))
    assert {r["optimizer"] for r in content["results"]} == {"sgd", "rmsprop"}
    assert content["settings"]["unfinished"] == ["adam"]


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_has_the_ten_classics(name):
    assert set(presets.PRESETS[name]) == set(presets.DEFAULTS)
    assert set(presets.FIELD[name]) <= set(presets.DEFAULTS)


def test_an_optimizer_outside_the_presets_takes_part(monkeypatch):
    monkeypatch.setattr(presets, "others", lambda: ["sgd"])
    found = presets.find_optimizer("sgd", {})
    assert found == gc.sgd(presets.CUSTOMARY_LEARNING_RATE)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("steps", [1, 3, 1000])
def test_schedules_are_factors(name, steps):
    schedule = schedules.find_schedule(name, steps)
    values = [float(schedule(count)) for count in (0, steps // 3, steps - 1, steps)]
    assert all(0 <= value <= 1.000001 for value in values)
    if steps == 1000:
        assert values[-1] <= 0.011


def test_missing_packages_are_named_with_the_remedy(monkeypatch, capsys):
    monkeypatch.setattr(cli, "NEEDED", ("click", "surely_not_installed"))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "surely_not_installed" in message
    assert 'pip install "gradchain[compare]"' in message


def test_it_is_also_a_module():
    command = [sys.executable, "-m", "gradchain", "compare", "digitz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Did you mean 'digits'?" in done.stderr
    assert "Traceback" not in done.stderr
