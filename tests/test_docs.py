"""The documents are true: pages are derived, README's examples run, its commands exist, links resolve."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

GUIDES = ["concepts", "getting_started", "inspect", "matrices", "precision", "scale", "sweep"]
RUN = [f"{name}.md" for name in GUIDES] + [
    f"{folder}/{path.name}"
    for folder in ("from", "howto")
    for path in sorted((ROOT / "docs" / folder).iterdir())
]
"""The pages whose code is run."""


def check(script: Path) -> subprocess.CompletedProcess[str]:
    """A script that writes a page, asked whether its page is current."""
    command = [sys.executable, str(script), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", ["generate.py", "parity.py"])
def test_generated_pages_are_current(script: str) -> None:
    result = check(ROOT / "docs" / script)
    assert result.returncode == 0, result.stderr


def test_a_stale_page_is_named(tmp_path: Path) -> None:
    for name in ("generate.py", "optimizers.md"):
        (tmp_path / name).write_text((ROOT / "docs" / name).read_text())
    assert check(tmp_path / "generate.py").returncode == 0
    page = tmp_path / "optimizers.md"
    page.write_text(page.read_text().replace("`adam`", "`madam`"))
    result = check(tmp_path / "generate.py")
    assert result.returncode == 1
    assert result.stderr == "docs/optimizers.md is stale: run python docs/generate.py\n"
    page.unlink()
    assert check(tmp_path / "generate.py").returncode == 1
    assert not page.exists()


def test_readme_examples_run() -> None:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 3
    setup = "import jax.numpy as jnp\nparams = {'w': jnp.ones((2, 2))}\ngrads = params\n"
    check = """
p = {'w': jnp.ones((2, 3))}
tx = scale_by_sign_momentum()
u, _ = tx.update(p, tx.init(p))
assert u['w'].shape == (2, 3) and repr(tx) == 'scale_by_sign_momentum()'
"""
    for code in (setup + blocks[0], blocks[1], blocks[2] + check):
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr


def test_the_picture_of_parity_has_every_number_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    import parity_picture

    text = parity_picture.PAGE.read_text()
    found = parity_picture.errors(text)
    assert sum(map(len, found.values())) == len(re.findall(r" \d\.\de[+-]\d\d \|", text))
    assert "`radam`" in dict(found["Optax 0.2.8, float32"])
    assert all(name for rows in found.values() for name, _ in rows)
    axes = parity_picture.draw(found).axes[0]
    assert len(axes.lines) == len(found) == 6


@pytest.mark.parametrize("name", RUN)
def test_the_code_of_a_page_runs_and_prints_what_it_shows(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a block prints may stand in a block without a language right after it."""
    text, names = (ROOT / "docs" / name).read_text(), {}
    for code, shown in re.findall(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", text, re.S):
        exec(code, names)
        printed = capsys.readouterr().out
        assert not shown or printed == shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        made_by_site = ("api/", "optimizers/")  # pages that are made when the site is built
        if not target.startswith(("http", *made_by_site)):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_difference_names_its_test() -> None:
    text = (ROOT / "docs" / "differences.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    rows = [line for line in rows if not line.startswith("| Optax")]
    assert len(rows) > 20
    for line in rows:
        named = re.findall(r"`(test_\w+\.py)(?:::(\w+))?(?:::(\w+))?`", line)
        assert named, f"no test is named in: {line}"
        for file, first, second in named:
            source = (ROOT / "tests" / file).read_text()
            for name in filter(None, (first, second)):
                assert re.search(rf"(def|class) {name}\b", source), f"{file} has no {name}"
