"""The notebooks run from top to bottom, show what they promise, and are kept with their pictures."""

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import xla
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
COLAB = "https://colab.research.google.com/github/gradchain/gradchain/blob/main/notebooks/"
PICTURES = {
    "01_compose_your_own.ipynb": 4,
    "02_watching_optimizers.ipynb": 7,
    "03_see_change_save.ipynb": 3,
    "04_low_precision.ipynb": 6,
    "05_sharded_training.ipynb": 3,
    "06_matrix_optimizers.ipynb": 2,
    "07_sparse_text.ipynb": 3,
    "08_recurrent.ipynb": 3,
    "09_convolutional.ipynb": 3,
    "10_layerwise_rates.ipynb": 2,
    "11_character_transformer.ipynb": 2,
    "12_differential_privacy.ipynb": 2,
    "13_learning_hyperparameters.ipynb": 3,
    "14_sharpness_aware.ipynb": 2,
    "15_physics_lbfgs.ipynb": 2,
}
# Appended to the cell that is tagged "settings", so that a test takes seconds.
SMALL = {
    "01_compose_your_own.ipynb": "RATES, SEEDS = jnp.array([0.01, 0.03]), 1",
    "05_sharded_training.ipynb": "STEPS = 20",
    "06_matrix_optimizers.ipynb": "RATES, WATCHED = [0.006, 0.012], 5",
    "07_sparse_text.ipynb": "STEPS, RATES = 120, {name: rates[2:4] for name, rates in RATES.items()}",
    "08_recurrent.ipynb": "LENGTH, STEPS, TAIL, RATES = 8, 60, 20, {n: r[::3] for n, r in RATES.items()}",
    "09_convolutional.ipynb": "STEPS, FULL_STEPS, RATES = 60, 50, [0.1, 0.3]",
    "10_layerwise_rates.ipynb": "FACTORS, RATES, LARGE_STEPS = [0.3, 1.0, 10.0], [0.03], 10",
    "11_character_transformer.ipynb": "STEPS, RATES, CHARACTERS = 75, [0.012], 60",
    "12_differential_privacy.ipynb": "STEPS, SEEDS, NOISE = 50, 2, 4.0; del RATES[0], NOISES[1::2]",
    "13_learning_hyperparameters.ipynb": "META_STEPS, GRID, LONG, NEAR = 12, 5, 40, 3",
    "14_sharpness_aware.ipynb": "STEPS, SEEDS, RATES, RADII = 150, 3, [0.03, 0.1], [0.4]",
    "15_physics_lbfgs.ipynb": "GRADIENTS, WARM, LBFGS_STEPS, RATES, SEEDS = 600, 200, 150, [0.01], 1",
}


def outputs(notebook: Any) -> list[Any]:
    return [o for cell in notebook.cells for o in cell.get("outputs", [])]


def pictures(notebook: Any) -> int:
    return sum("image/png" in o.get("data", {}) for o in outputs(notebook))


def printed(notebook: Any) -> str:
    return "".join(o.text for o in outputs(notebook) if o.output_type == "stream")


def settings(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if "settings" in cell.metadata.get("tags", [])]


def run(name: str, folder: Path) -> Any:
    """The notebook after running in an empty folder, with Jupyter's own way to show pictures.

    It runs with the small settings if it has some, and must show as many pictures as with its own.
    """
    notebook = nbformat.read(FOLDER / name, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    if name in SMALL:
        (cell,) = settings(notebook)
        cell.source += "\n" + SMALL[name]
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources)
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    client.execute(env=environment | {"XLA_FLAGS": " ".join(xla.fast_compilation())})
    assert pictures(notebook) == PICTURES[name]
    return notebook


def test_every_notebook_is_known():
    assert list(PICTURES) == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_is_kept_with_its_badge_and_its_pictures(name: str):
    path = FOLDER / name
    notebook = nbformat.read(path, as_version=4)
    first_code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert COLAB + name in notebook.cells[0].source
    assert re.search(
        r'%pip install -q "gradchain(\[\w+\])? @ git\+https://github.com/gradchain/gradchain"',
        first_code.source,
    )
    assert pictures(notebook) == PICTURES[name]
    assert not [o for o in outputs(notebook) if o.output_type == "error"]
    assert path.stat().st_size < 700_000


def test_compose_your_own_runs(tmp_path: Path):
    notebook = run("01_compose_your_own.ipynb", tmp_path)
    text = printed(notebook)
    assert "the code makes an equal chain: True" in text
    assert "three equal optimizers, traced: 1" in text
    gap = re.search(r"difference in training loss to gc.adam: (\S+)", text)
    assert gap
    assert float(gap[1]) < 1e-5
    accuracies = [float(x) for x in re.findall(r"test accuracy (\S+) %", text)]
    assert len(accuracies) == 2
    assert min(accuracies) > 95


def test_see_change_save_runs(tmp_path: Path):
    notebook = run("03_see_change_save.ipynb", tmp_path)
    text = printed(notebook)
    assert "71.8 kB in all, 2.00 x the parameters" in text
    assert "programs compiled for the three rates: 1\n" in text
    assert "first moments of the head: 0.0\n" in text
    assert "the embedding has not moved: True" in text
    assert "everything came back: True" in text
    assert "refused: load: the saved state is of chain(" in text
    accuracies = [float(x) for x in re.findall(r"test accuracy (\S+)%", text)]
    assert len(accuracies) == 3
    assert min(accuracies) > 80


def test_watching_optimizers_runs(tmp_path: Path):
    notebook = run("02_watching_optimizers.ipynb", tmp_path)
    assert not printed(notebook)  # no warning, nothing but pictures


def test_matrix_optimizers_runs(tmp_path: Path):
    """Every optimizer of matrices ends below AdamW, and reaches AdamW's end in fewer steps."""
    notebook = run("06_matrix_optimizers.ipynb", tmp_path)
    rows = re.findall(r"^(\w+) +\S+ +(\S+) +(\d+|never) +\S+$", printed(notebook), re.M)
    ends = {name: float(end) for name, end, _ in rows}
    steps = {name: int(step) for name, _, step in rows}
    assert list(ends) == ["AdamW", "Muon", "SOAP", "Shampoo", "Kron"]
    for name in list(ends)[1:]:
        assert ends[name] < ends["AdamW"] - 0.02
        assert steps[name] < steps["AdamW"] == 300


def test_sharded_training_runs(tmp_path: Path):
    """On eight simulated devices: one's numbers, no state gathered, the bits of an undisturbed run."""
    notebook = run("05_sharded_training.ipynb", tmp_path)
    text = printed(notebook)
    assert "8 devices\n" in text
    assert "v_row of w1: P('data',)\nv_col of w1: P()\n" in text
    gap = re.search(r"largest difference of a parameter: (\S+)", text)
    assert gap
    assert float(gap[1]) < 1e-3
    assert text.count("reduce-scatter ") == text.count("all-gather ") == 6
    assert "100 steps; the same bits: True" in text


def numbers(pattern: str, text: str) -> list[float]:
    """What the pattern's group finds, as numbers; ^ is the beginning of a line."""
    return [float(x) for x in re.findall(pattern, text, re.M)]


def test_sparse_text_runs(tmp_path: Path):
    """Only Adagrad from zero and Adam give rare words longer steps; all four learn."""
    text = printed(run("07_sparse_text.ipynb", tmp_path))
    sgd, adagrad, from_zero, adam = numbers(r"one in over 100 texts .*, ratio (\S+)\n", text)
    assert sgd == 1.0
    assert 1.0 <= adagrad < 1.5
    assert min(from_zero, adam) > 10
    rows = re.findall(r"^(\w.*?) +(\S+) +(\S+) +(\S+)$", text.partition("test accuracy, %")[2], re.M)
    accuracy = {name: [float(x) for x in row] for name, *row in rows}
    assert list(accuracy) == ["SGD", "Adagrad", "Adagrad from 0", "Adam"]
    for every, _, alone in accuracy.values():
        assert every > 60
        assert 20 < alone < every


def test_recurrent_runs(tmp_path: Path):
    """Gradients vanish and explode over time; no clipped run and no run of RMSprop diverges."""
    text = printed(run("08_recurrent.ipynb", tmp_path))
    vanished, kept, exploded = numbers(r"first state's gradient is (\S+) of", text)
    assert vanished < 0.2 < 1 < exploded
    assert vanished < kept < exploded
    ends = numbers(r" end (\S+) ", text)
    assert len(ends) == 6
    assert max(ends) < 0.3
    diverged = dict(re.findall(r"^(\w+ +(?:clipped)?) +best .* diverged at (\d)", text, re.M))
    assert len(diverged) == 6
    assert {n for k, n in diverged.items() if "clipped" in k or "RMSprop" in k} == {"0"}


def test_convolutional_runs(tmp_path: Path):
    text = printed(run("09_convolutional.ipynb", tmp_path))
    losses = numbers(r" best rate .* test loss (\S+) ", text)
    assert len(losses) == 6
    assert max(losses) < 2.3  # the loss of chance
    assert losses[1] < losses[0]  # momentum below SGD
    norms = numbers(r"weight decay .* norm +(\S+) ", text)
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < norms[0]
    curvatures = numbers(r"median of the last 100 steps +(\S+)", text)
    assert len(curvatures) == 3
    assert min(curvatures) > 0


def test_layerwise_rates_runs(tmp_path: Path):
    """First layers for new images, the last one for new labels."""
    text = printed(run("10_layerwise_rates.ipynb", tmp_path))
    best = dict(re.findall(r"^(images turned|labels renamed) .* factor (\S+):", text, re.M))
    assert best["labels renamed"] == "10"
    assert best["images turned"] in ("0.3", "1")
    first, last, decayed = re.findall(r"images turned (\S+) %   labels renamed (\S+) %", text)
    assert float(first[0]) > float(last[0])
    assert float(first[1]) < float(last[1])
    assert float(decayed[0]) < 50 < float(decayed[1])  # where the head is fastest
    assert len(numbers(r" best rate \S+ +test loss (\S+) ", text)) == 4


def test_character_transformer_runs(tmp_path: Path):
    notebook = run("11_character_transformer.ipynb", tmp_path)
    text = printed(notebook)
    losses = numbers(r"held-out loss (\S+) ", text)
    assert len(losses) == 3
    assert max(losses) < 3.0  # 3.58 is chance
    assert len(re.findall(r"(\d+)% of \d+ words", text)) == 4
    assert "muon" in str(outputs(notebook))


def test_differential_privacy_runs(tmp_path: Path):
    """The account is not below the exact epsilon; more noise spends less and costs accuracy."""
    text = printed(run("12_differential_privacy.ipynb", tmp_path))
    (bound,), (exact,) = numbers(r"noise 20: epsilon (\S+),", text), numbers(r", exact (\S+)\n", text)
    assert exact <= bound < 1.2 * exact
    spent, whole = numbers(r"^noise .*: epsilon +(\S+),", text), numbers(r"every step +(\d\S+)\n", text)
    assert len(spent) == len(whole) == 2
    assert 0 < spent[1] < spent[0] < whole[0] / 10
    assert whole[1] < whole[0]
    free, some, much = numbers(r"^noise .* accuracy (\S+) %", text)
    assert free > 85
    assert 20 < much < some - 5 < free - 8


def test_learning_hyperparameters_runs(tmp_path: Path):
    """The derivative is that of differences, walks go down, and beyond an edge it explodes."""
    text = printed(run("13_learning_hyperparameters.ipynb", tmp_path))
    errors = numbers(r"relative error (\S+)", text)
    assert len(errors) == 6
    assert max(errors) < 1e-5
    walks = re.findall(r"^from (\w+) +loss (\S+) to (\S+) ", text, re.M)
    assert [name for name, *_ in walks] == ["small", "middle", "large"]
    for _, before, after in walks[:2]:
        assert float(after) < 0.5 * float(before)
    one, schedule = numbers(r"validation loss (\S+) ", text)
    assert schedule < one - 0.01
    stable, _, unstable = numbers(r"after 40 steps (\S+)$", text)
    assert stable < 10 < 1e5 < unstable


def test_sharpness_aware_runs(tmp_path: Path):
    """SAM's minimum is flatter by both measures, and every optimizer learns."""
    text = printed(run("14_sharpness_aware.ipynb", tmp_path))
    accuracies = numbers(r" test (\S+) % ", text)
    assert len(accuracies) == 3
    assert min(accuracies) > 70
    assert len(re.findall(r"^SAM above .* by \S+ \+- \S+ points, 3 seeds$", text, re.M)) == 2
    for measure in r" curvature +(\S+) ", r" growth at distance 4 (\S+) ":
        sgd, _, sam = numbers(measure, text)
        assert 0 < sam < 0.8 * sgd


def test_physics_runs(tmp_path: Path):
    """L-BFGS is at Adam's loss with a third of the gradients, and its solution is the equation's."""
    text = printed(run("15_physics_lbfgs.ipynb", tmp_path))
    rows = re.findall(r"^(\S+) +(\d+) gradients +loss (\S+) +error (\S+) .* after (\d+)$", text, re.M)
    assert [row[0] for row in rows] == ["Adam", "L-BFGS", "both"]
    adam, lbfgs, both = ([float(x) for x in row[1:]] for row in rows)
    assert adam[0] == adam[3] == 600
    assert lbfgs[3] < 200
    assert lbfgs[1] < adam[1] / 10
    assert both[1] < adam[1]
    assert max(lbfgs[2], both[2]) < 1e-3
    assert numbers(r"^seed \d +L-BFGS .* loss (\S+) ", text)[0] < 1e-6
