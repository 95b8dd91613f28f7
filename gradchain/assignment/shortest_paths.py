"""The linear assignment problem by shortest augmenting paths.

Prices of rows and columns, `u` and `v`, are kept so that no reduced cost c_ij - u_i - v_j is negative
and those of assigned pairs are 0. Each free row is assigned along a shortest path of reduced costs to
a free column, found by Dijkstra's algorithm; all columns are looked at at once.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

FREE = -1


class Assignment(NamedTuple):
    """Which pairs are assigned, and the prices that show that none are cheaper."""

    u: jax.Array  # f[n]  prices of rows
    v: jax.Array  # f[m]  prices of columns; 0 for free ones where n < m
    col_of: jax.Array  # i[n]  each row's column, or FREE
    row_of: jax.Array  # i[m]  each column's row, or FREE


class Search(NamedTuple):
    """Dijkstra's algorithm from one row, under way."""

    row: jax.Array  # i[]  whose edges are looked at next
    col: jax.Array  # i[]  the column reached last
    reached: jax.Array  # f[]  its distance
    distance: jax.Array  # f[m]  to each column, as far as known
    before: jax.Array  # i[m]  the row before each column on its path
    done: jax.Array  # bool[m]  columns whose distance is final


def _nearest(x: jax.Array, row_of: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The least entry and a place of it, that of a free column if there is one: it ends the search.

    Two plain reductions are faster than one `argmin`.
    """
    m = x.size
    least, places = jnp.min(x), jnp.arange(m) + jnp.where(row_of == FREE, 0, m)
    first = jnp.min(jnp.where(x == least, places, 2 * m - 1))
    return least, jnp.where(first < m, first, first - m)


def _begin(cost: jax.Array) -> Assignment:
    """Prices from the least entries of columns (of a square matrix) and rows; pairs of distinct ones."""
    n, m = cost.shape
    rows = jnp.arange(n)
    v = jnp.min(cost, axis=0) if n == m else jnp.zeros(m, cost.dtype)
    reduced = cost - v[None, :]
    col = jnp.argmin(reduced, axis=1)
    row_of = jnp.full(m, n).at[col].min(rows)
    return Assignment(
        u=jnp.min(reduced, axis=1),
        v=v,
        col_of=jnp.where(row_of[col] == rows, col, FREE),
        row_of=jnp.where(row_of == n, FREE, row_of),
    )


def _search(cost: jax.Array, now: Assignment, start: jax.Array) -> Search:
    """The nearest free column from row `start`, and the path to it."""
    m = cost.shape[1]

    def going(s: Search) -> jax.Array:
        # Under vmap a matrix that is done searches on until all are: it runs out of columns.
        return (s.row != FREE) & (s.reached < jnp.inf)

    def look(s: Search) -> Search:
        through = cost[s.row] + (s.reached - now.u[s.row]) - now.v
        shorter = (through < s.distance) & ~s.done
        distance = jnp.where(shorter, through, s.distance)
        before = jnp.where(shorter, s.row, s.before)
        reached, col = _nearest(jnp.where(s.done, jnp.inf, distance), now.row_of)
        return Search(now.row_of[col], col, reached, distance, before, s.done | (jnp.arange(m) == col))

    nowhere = Search(
        row=start,
        col=jnp.zeros_like(start),
        reached=jnp.zeros((), cost.dtype),
        distance=jnp.full(m, jnp.inf, cost.dtype),
        before=jnp.full_like(now.row_of, FREE),
        done=jnp.zeros(m, bool),
    )
    return lax.while_loop(going, look, nowhere)


def _reprice(now: Assignment, found: Search, start: jax.Array) -> Assignment:
    """Prices under which every pair on the path has reduced cost 0."""
    gain = jnp.where(found.done, found.reached - found.distance, 0)
    of_rows = jnp.where(now.col_of == FREE, 0, gain[now.col_of])
    u = now.u + jnp.where(jnp.arange(now.u.size) == start, found.reached, of_rows)
    return now._replace(u=u, v=now.v - gain)


def _flip(now: Assignment, found: Search, start: jax.Array) -> Assignment:
    """Assigns along the path, from its end back to `start`."""

    def step(carry: Any) -> Any:
        col, _, col_of, row_of = carry
        row = found.before[col]
        return col_of[row], row, col_of.at[row].set(col), row_of.at[col].set(row)

    end = (found.col, jnp.full_like(start, FREE), now.col_of, now.row_of)
    _, _, col_of, row_of = lax.while_loop(lambda carry: carry[1] != start, step, end)
    return now._replace(col_of=col_of, row_of=row_of)


@jax.jit
def shortest_paths(cost: jax.Array) -> jax.Array:
    """The column of each row, all distinct, of least total cost.

    Args: cost, finite floating point (n, m), 1 <= n <= m.
    Returns: i[n].
    Reference: Crouse, 2016, On Implementing 2D Rectangular Assignment Algorithms.
    """

    def assign(now: Assignment) -> Assignment:
        start = jnp.argmax(now.col_of == FREE)
        found = _search(cost, now, start)
        return _flip(_reprice(now, found, start), found, start)

    begun = _begin(cost)
    return lax.while_loop(lambda now: jnp.any(now.col_of == FREE), assign, begun).col_of
