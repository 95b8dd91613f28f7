"""The benchmarks: their families are found, what is computed from times is right, the page and picture."""

import io
import json
import statistics
import subprocess
import sys
from pathlib import Path

import jax
import pytest

sys.path.append(str(Path(__file__).parents[1]))  # the benchmarks are not installed

pytest.importorskip("rich")
pytest.importorskip("optax")

from benchmarks import picture, report, trees, worker
from benchmarks.families import matrix, one_pass, step
from benchmarks.harness import COPY, FLAGGED, OURS, REFERENCE, WITH_FLAGS, Benchmark, Figure, Limit, find
from benchmarks.pytorch import FOREACH, FUSED
from benchmarks.training import least_bytes, merged, program, shares, state_arrays


def bench(title: str) -> Benchmark:
    return Benchmark(title, title, lambda repeats: [])


def test_families_are_found() -> None:
    names = {b.name for b in find([])}
    assert {f"one_pass/{row}" for row in one_pass.ROWS} < names
    assert {f"step/{case}" for case in step.CASES} < names
    assert {"first_call/500", "first_call/2000", "first_call/update", "first_call/construction"} < names
    assert [b.name for b in find(["one_pass/adamw"])] == ["one_pass/adamw"]
    assert len(find(["one_pass"])) == len(one_pass.ROWS) >= 33


def test_a_name_that_is_none_is_reported() -> None:
    with pytest.raises(LookupError, match="no benchmark is called 'adamq'"):
        find(["adamq"])


def test_drawn_rows_exist() -> None:
    assert set(picture.SHOWN) <= {row.label or name for name, row in one_pass.ROWS.items()}


@pytest.mark.parametrize(
    ("name", "least"),
    [("sgd", 12), ("momentum", 20), ("adamw", 28), ("adan", 44), ("madgrad", 32), ("cocob", 48)],
)
def test_least_bytes(name: str, least: int) -> None:
    row = one_pass.ROWS[name]
    assert least_bytes(state_arrays(one_pass.case(name)), row.fixed, row.gradient_reads) == least


def test_a_gradient_that_is_read_twice_costs_four_bytes() -> None:
    assert least_bytes(2, gradient_reads=2) == least_bytes(2) + 4


def test_sizes_of_trees() -> None:
    assert trees.size(trees.gpt2()) == 124_439_808
    filled = trees.random({"a": (2, 3), "b": {"c": (5,)}}, 0)
    assert filled["a"].shape == (2, 3)
    assert filled["b"]["c"].shape == (5,)


def test_shares_are_percent_of_the_limit() -> None:
    assert shares([1.0, 2.0], 1.0) == [100.0, 50.0]


def test_samples_of_rounds_are_joined() -> None:
    assert merged([{"a": [1.0]}, {"a": [2.0, 3.0]}]) == {"a": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize("name", list(step.CASES))
@pytest.mark.parametrize("column", [REFERENCE, OURS])
def test_steps_compile(name: str, column: str) -> None:
    case = step.CASES[name]._replace(shapes={"w": (4, 4)})
    with jax.numpy_dtype_promotion("standard"):  # as Optax needs it
        assert program(case, column).compiled.cost_analysis()


@pytest.mark.parametrize("name", ["shampoo", "normuon", "came"])
def test_steps_of_matrix_optimizers_are_measured(name: str) -> None:
    with jax.numpy_dtype_promotion("standard"):
        steps, kept, compiled = matrix.run(name, 2, {"w": (4, 6), "v": (6, 4)})
    columns = {REFERENCE, OURS, matrix.ADAMW}
    if name != "came":
        columns |= {matrix.PRODUCTS, matrix.BEYOND}
    assert set(steps.samples) - {matrix.RENEWING} == columns
    assert len(steps.samples[OURS]) == 2
    assert len(steps.samples.get(matrix.RENEWING, [])) == (
        2 if name == "shampoo" else 0
    )  # the 10th, the 20th
    assert kept.median(OURS) > 4
    assert compiled.samples == {OURS: [1.0]}


def made_up() -> list[Figure]:
    """AdamW on one array: a copy of the least bytes takes 10 ms."""
    per_byte = 1e-2 / (28 * 4096 * 4096)
    times = {
        REFERENCE: [0.02],
        OURS: [0.0125],
        COPY: [per_byte],
        COPY + WITH_FLAGS: [per_byte],
        FLAGGED: [0.008],
        FUSED: [0.04],
    }
    moved = {REFERENCE: 40.0, OURS: 40.0, FLAGGED: 28.0}
    return one_pass.figures("adamw", 28, moved, times)


def test_figures_of_one_pass() -> None:
    moved, time, share = made_up()
    assert moved.holds
    assert time.holds
    expected = {REFERENCE: 50.0, OURS: 80.0, FLAGGED: 125.0, FUSED: 25.0}
    assert {c: statistics.median(s) for c, s in share.samples.items()} == pytest.approx(expected)
    copies = {COPY: [1e-12], COPY + WITH_FLAGS: [1e-12]}
    assert not one_pass.figures("adamw", 28, {FLAGGED: 32.0}, time.samples | copies)[0].holds


def test_limits() -> None:
    figure = Figure("q", "s", {REFERENCE: [2.0], OURS: [1.0], FLAGGED: [0.5]}, 0.5)
    assert figure.holds
    assert not figure._replace(most_ratio=0.4).holds
    assert not figure._replace(most=0.9).holds
    assert figure._replace(limits=(Limit(0.5, FLAGGED, OURS),)).holds
    assert not figure._replace(limits=(Limit(0.4, FLAGGED, OURS),)).holds
    assert not figure._replace(limits=(Limit(1.0, FLAGGED, "absent"),)).holds


def test_cells_of_a_table() -> None:
    figure = Figure(
        "adamw",
        "s",
        {REFERENCE: [0.02, 0.024, 0.022], FUSED: [0.05], OURS: [0.011], FLAGGED: [0.0055]},
        most_ratio=0.4,
        limits=(Limit(1.1, FLAGGED, FUSED),),
    )
    other = Figure("lion", "s", {OURS: [1e-6]})
    assert report.heading([figure, other]) == [
        *("quantity", "optax", "gradchain", "gradchain with flags", "pytorch fused"),
        *("gradchain / optax", "with flags / optax", "limit"),
    ]
    limits = "≤ 0.40x **missed**, with flags ≤ 1.10x of pytorch fused met"
    assert report.rows([figure, other]) == [
        ["adamw", "22 ms ±9%", "11 ms", "5.5 ms", "50 ms", "0.50x", "0.25x", limits],
        ["lion", "", "1 µs", "", "", "", "", ""],
    ]


def test_percentages_are_not_divided() -> None:
    share = Figure("adamw", "%", {REFERENCE: [50.0], OURS: [99.6]})
    assert report.rows([share]) == [["adamw", "50%", "100%", ""]]
    assert report.heading([share]) == ["quantity", "optax", "gradchain", "limit"]


def test_benchmarks_of_one_title_share_tables() -> None:
    results = [(bench("passes"), made_up()), (bench("passes"), made_up())]
    lengths = {title: len(figures) for title, figures in report.tables(results).items()}
    tables = (one_pass.BYTES, one_pass.TIME, one_pass.SHARE)
    assert lengths == {f"passes: {table}": 2 for table in tables}


def test_the_page_shows_picture_and_tables() -> None:
    page = report.markdown({"one_pass/adamw": (bench("passes"), made_up())}, 5, "benchmarks.png")
    assert "](benchmarks.png)" in page
    assert "| adamw | 50% | 80% | 125% | 25% |" in page
    assert "![" not in report.markdown({"one_pass/adamw": (bench("passes"), made_up())}, 5)


def test_the_picture_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    shares = {REFERENCE: [60.0], FOREACH: [20.0], OURS: [61.0], FLAGGED: [101.0]}
    lion = Figure("lion", "%", shares, table=one_pass.SHARE)
    bars = picture.bars([(bench("passes"), made_up()), (bench("passes"), [lion])])
    assert bars["AdamW"] == pytest.approx({REFERENCE: 50.0, OURS: 80.0, FLAGGED: 125.0, FUSED: 25.0})
    assert list(bars) == ["AdamW", "Lion"]
    assert picture.draw(bars, tmp_path / "bars.png") == "bars.png"
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")
    assert picture.draw({}, tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()


def test_a_worker_answers_and_reports_errors() -> None:
    asked = io.StringIO(
        json.dumps(["benchmarks.training", "least_bytes", [2]])
        + "\n"
        + json.dumps(["benchmarks.training", "least_bytes", []])
    )
    told = io.StringIO()
    worker.serve(asked, told)
    first, second = map(json.loads, told.getvalue().splitlines())
    assert first == {"result": 28}
    assert "missing 1 required positional argument" in second["error"]


def test_a_process_has_its_flags() -> None:
    assert worker.call_fresh("--xla_force_host_platform_device_count=3", jax.device_count) == 3
    with pytest.raises(RuntimeError, match="least_bytes"):
        worker.call_fresh("", least_bytes)


def test_the_command_lists_names() -> None:
    command = [sys.executable, "-m", "benchmarks", "--list", "one_pass"]
    listed = subprocess.run(command, cwd=worker.ROOT, capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == len(one_pass.ROWS)
