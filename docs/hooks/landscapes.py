"""Three losses of two numbers, those of `02_watching_optimizers.ipynb`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

GROUND = LinearSegmentedColormap.from_list("ground", ["#FFFEFA", "#F0EADB", "#DCD2BC", "#B7AB92"])
HALO = [patheffects.Stroke(linewidth=3.4, foreground="white"), patheffects.Normal()]
COLOUR = "#1F77C4"
STYLE = {
    "figure.dpi": 100,
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlecolor": "#333333",
    "axes.labelcolor": "#444444",
    "axes.labelsize": 10,
}


def ravine(p: jax.Array) -> jax.Array:
    """Steep across, nearly flat along."""
    return 0.5 * (0.08 * p[0] ** 2 + 4 * p[1] ** 2)


def saddle(p: jax.Array) -> jax.Array:
    """Two valleys, and a pass between them where the gradient vanishes."""
    return p[0] ** 4 / 4 - p[0] ** 2 / 2 + 0.6 * p[1] ** 2


def plateau(p: jax.Array) -> jax.Array:
    """Almost level ground far from a hole."""
    return 1 - jnp.exp(-0.5 * jnp.sum(p**2))


@dataclasses.dataclass(frozen=True)
class Landscape:
    """A loss with the place where walks begin, and how it is drawn."""

    loss: Callable[[jax.Array], jax.Array]
    start: tuple[float, float]
    extent: tuple[float, float, float, float]  # left, right, low, high
    minima: tuple[tuple[float, float], ...]
    power: float  # of the heights, for the contours
    least: float  # the height of the minima


LANDSCAPES = {
    "a ravine": Landscape(ravine, (-4.2, 1.1), (-5, 2, -2, 2), ((0, 0),), 0.35, 0.0),
    "a saddle": Landscape(saddle, (1e-3, 1.3), (-1.7, 1.7, -1.1, 1.6), ((-1, 0), (1, 0)), 0.6, -0.25),
    "a plateau": Landscape(plateau, (-3.3, 1.9), (-4.2, 2, -2, 2.6), ((0, 0),), 1.0, 0.0),
}


def ground(ax: Axes, land: Landscape, levels: int = 14) -> None:
    """Contours, denser towards the bottom, and a star at each minimum."""
    left, right, low, high = land.extent
    x, y = np.meshgrid(np.linspace(left, right, 220), np.linspace(low, high, 220))
    z = np.asarray(jax.vmap(land.loss)(jnp.stack([x.ravel(), y.ravel()], 1))).reshape(x.shape)
    z = (z - z.min()) ** land.power
    ax.contourf(x, y, z, levels, cmap=GROUND)
    ax.contour(x, y, z, levels, colors="white", linewidths=0.6, alpha=0.8)
    ax.set(xlim=(left, right), ylim=(low, high), xticks=[], yticks=[])
    for minimum in land.minima:
        ax.plot(*minimum, "*", color="#222222", mec="white", ms=13, mew=0.8, zorder=2)
    for side in ax.spines.values():
        side.set_visible(False)


def draw(ax: Axes, points: np.ndarray, colour: str = COLOUR, every: int = 1) -> list[Any]:
    """A path with a dot per `every` steps, from a ring to a diamond. Returns what was drawn."""
    return [
        *ax.plot(*points.T, color=colour, lw=1.7, path_effects=HALO, zorder=3),
        *ax.plot(*points[::every].T, ".", color=colour, ms=3.6, zorder=4),
        *ax.plot(*points[0], "o", mfc="white", mec=colour, ms=7, mew=1.8, zorder=5),
        *ax.plot(*points[-1], "D", mfc=colour, mec="white", ms=7, mew=1.2, zorder=6),
    ]
