"""The notebooks run from top to bottom, show what they promise, and are kept with their pictures."""

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
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
}


def outputs(notebook: Any) -> list[Any]:
    return [o for cell in notebook.cells for o in cell.get("outputs", [])]


def pictures(notebook: Any) -> int:
    return sum("image/png" in o.get("data", {}) for o in outputs(notebook))


def printed(notebook: Any) -> str:
    return "".join(o.text for o in outputs(notebook) if o.output_type == "stream")


def run(name: str, folder: Path) -> Any:
    """The notebook after running in an empty folder, with Jupyter's own way to show pictures."""
    notebook = nbformat.read(FOLDER / name, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources)
    client.execute(env={k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "XLA_FLAGS")})
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
    assert pictures(notebook) == PICTURES["01_compose_your_own.ipynb"]
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
    assert pictures(notebook) == PICTURES["03_see_change_save.ipynb"]
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
    assert pictures(notebook) == PICTURES["02_watching_optimizers.ipynb"]
    assert not printed(notebook)  # no warning, nothing but pictures


def test_matrix_optimizers_runs(tmp_path: Path):
    """Every optimizer of matrices ends below AdamW, and reaches AdamW's end in fewer steps."""
    notebook = run("06_matrix_optimizers.ipynb", tmp_path)
    assert pictures(notebook) == PICTURES["06_matrix_optimizers.ipynb"]
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
    assert pictures(notebook) == PICTURES["05_sharded_training.ipynb"]
    assert "8 devices\n" in text
    assert "v_row of w1: P('data',)\nv_col of w1: P()\n" in text
    gap = re.search(r"largest difference of a parameter: (\S+)", text)
    assert gap
    assert float(gap[1]) < 1e-3
    assert text.count("reduce-scatter ") == text.count("all-gather ") == 6
    assert "100 steps; the same bits: True" in text
