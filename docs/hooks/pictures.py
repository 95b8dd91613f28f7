"""The pictures of all optimizers, in a kept folder: `python -m hooks.pictures PART PARTS`."""

import ast
import functools
import hashlib
import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import jax

import gradchain as gc

from .drives import STEPS, steps_of
from .public import optimizers

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "site" / "pictures"
PARTS = 2
_TEXTS = tomllib.loads((HERE / "remarks.toml").read_text())
NOT_DRAWN: dict[str, str] = _TEXTS["not_drawn"]
REMARKS: dict[str, str] = _TEXTS["remarks"]
_DRAWN_FROM = ("core", "linesearch", "optimizers", "schedules", "transforms", "tree")
_DRAWN_BY = ("drives.py", "landscapes.py", "pictures.py", "walks.py")


@functools.cache
def folder() -> Path:
    """Where the pictures of this code lie. Its name changes with the code, but not with docstrings."""
    package = Path(gc.__file__).parent
    files = [f for place in _DRAWN_FROM for f in sorted((package / place).rglob("*.py"))]
    digest = hashlib.sha256(f"{gc.__version__} {jax.__version__}".encode())
    for file in [*files, *(HERE / name for name in _DRAWN_BY)]:
        digest.update(_code(file.read_text()).encode())
    return CACHE / digest.hexdigest()[:16]


def _code(text: str) -> str:
    """A file's syntax tree without its docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            body[0] = ast.Expr(ast.Constant(None))
    return ast.dump(tree)


def names() -> list[str]:
    """The optimizers that are drawn."""
    return [name for name in optimizers() if name not in NOT_DRAWN]


def made() -> dict[str, dict[str, list[float | None]]]:
    """Draws what is missing, in two processes. By optimizer and landscape: rate and last height."""
    missing = [name for name in names() if not (folder() / f"{name}.json").exists()]
    if missing:
        paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        settings = {"JAX_PLATFORMS": "cpu", "MPLBACKEND": "agg", "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-m", "hooks.pictures"]
        env = os.environ | settings
        parts = [subprocess.Popen([*command, str(i), str(PARTS)], env=env) for i in range(PARTS)]
        codes = [part.wait() for part in parts]
        if any(codes):
            raise RuntimeError("the pictures of some optimizers could not be made")
    return {name: json.loads((folder() / f"{name}.json").read_text()) for name in names()}


def _shown(height: float) -> str:
    """A height; what is far below what one can see needs no digits."""
    return "below 1e-6" if height < 1e-6 else f"{height:.1g}"


def main(part: int, parts: int) -> None:
    """Draws every `parts`-th of the missing pictures."""
    import matplotlib.pyplot as plt
    from PIL import Image

    from .landscapes import LANDSCAPES, STYLE, draw, ground
    from .walks import walks

    folder().mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(12, 3.5), layout="constrained")
        for ax, (title, land) in zip(axes, LANDSCAPES.items(), strict=True):
            ground(ax, land)
            ax.set_title(title[0].upper() + title[1:])
        for name in names()[part::parts]:
            if (folder() / f"{name}.json").exists():
                continue
            found, drawn = walks(name), []
            for ax, walk in zip(axes, found.values(), strict=True):
                drawn += draw(ax, walk.points, every=steps_of(name) // STEPS)
                rate = "" if walk.rate is None else f"learning rate {walk.rate:.2g}, "
                ax.set_xlabel(f"{rate}height after {steps_of(name)} steps: {_shown(walk.height)}")
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png")
            for artist in drawn:
                artist.remove()
            picture = Image.open(buffer).convert("RGB").quantize(96, method=Image.Quantize.MEDIANCUT)
            picture.save(folder() / f"{name}.png", optimize=True)
            numbers = {title: [walk.rate, walk.height] for title, walk in found.items()}
            (folder() / f"{name}.json").write_text(json.dumps(numbers))
            jax.clear_caches()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
