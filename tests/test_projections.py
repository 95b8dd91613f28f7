"""Projections: Optax's numbers, the laws of a projection, and a solver's closest points."""

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
from jax.flatten_util import ravel_pytree
from trees import check_close, enable_x64

import gradchain.projections as gp

FORMS: dict[str, Any] = {
    "scalar": (),
    "vector": (7,),
    "tree": {"w": (2, 3), "deep": ([(2,), None], ()), "empty": {}},
}
TREE = FORMS["tree"]


def random(form: Any, seed: int, dtype: Any = jnp.float32, size: float = 1.0, batch: Any = ()) -> Any:
    """Normal numbers in the shapes of a form, rounded to halves' precision, so that no dtype loses."""
    rng = np.random.default_rng(seed)

    def draw(shape: Any) -> Any:
        x = np.asarray(rng.normal(size=(*batch, *shape)), np.float16) * size
        return None if shape is None else jnp.asarray(x, dtype)

    is_shape = lambda s: isinstance(s, tuple) and all(isinstance(n, int) for n in s)  # noqa: E731
    return jax.tree.map(draw, form, is_leaf=is_shape)


def flat(tree: Any) -> np.ndarray:
    """A tree as one vector in double precision."""
    leaves = [np.asarray(x, np.float64).ravel() for x in jax.tree.leaves(tree)]
    return np.concatenate([np.zeros(0), *leaves])


class Row(NamedTuple):
    """A projection, its further arguments, and its set: equalities are 0, inequalities at least 0.

    Both are smooth near the closest point of `x`, whose signs they may use.
    """

    name: str
    args: Callable[[Any], tuple[Any, ...]] = lambda form: ()
    equal: Callable[..., Any] = lambda y, x, *args: np.zeros(0)
    least: Callable[..., Any] = lambda y, x, *args: np.zeros(0)
    convex: bool = True

    def of(self, module: Any) -> Callable[..., Any]:
        """The function, in gradchain or Optax, whose hypercube takes single arrays only."""
        project = getattr(module, self.name)
        if module is optax.projections and self.name == "projection_hypercube":
            return functools.partial(jax.tree.map, project)
        return project


def complement(a: np.ndarray) -> np.ndarray:
    """Rows that span what is orthogonal to `a`."""
    return np.linalg.svd(a[None])[2][1:]


def signed(y: Any, x: Any, *args: Any) -> Any:
    """Entries with the signs of `x`."""
    return np.sign(x) * y


ROWS = [
    Row("projection_non_negative", least=lambda y, x: y),
    Row(
        "projection_box",
        lambda form: (random(form, 5, size=0.2), jax.tree.map(lambda x: abs(x) + 0.7, random(form, 6))),
        least=lambda y, x, low, high: np.concatenate([y - low, high - y]),
    ),
    Row(
        "projection_hypercube",
        lambda form: (jax.tree.map(lambda x: abs(x) + 0.5, random(form, 6)),),
        least=lambda y, x, scale: np.concatenate([y, scale - y]),
    ),
    Row("projection_simplex", equal=lambda y, x: np.sum(y) - 1, least=lambda y, x: y),
    Row("projection_simplex", lambda form: (2.5,), lambda y, x, s: np.sum(y) - s, lambda y, x, s: y),
    Row(
        "projection_l1_sphere",
        lambda form: (0.75,),
        lambda y, x, s: np.sum(signed(y, x)) - s,
        signed,
        convex=False,
    ),
    Row(
        "projection_l1_ball",
        lambda form: (0.75,),
        least=lambda y, x, s: np.append(signed(y, x), s - np.sum(signed(y, x))),
    ),
    Row("projection_l2_sphere", lambda form: (1.75,), lambda y, x, s: np.sum(y**2) - s**2, convex=False),
    Row("projection_l2_ball", lambda form: (0.5,), least=lambda y, x, s: s**2 - np.sum(y**2)),
    Row("projection_linf_ball", lambda form: (0.5,), least=lambda y, x, s: np.append(s - y, s + y)),
    Row("projection_vector", lambda form: (random(form, 7),), lambda y, x, a: complement(a) @ y),
    Row("projection_hyperplane", lambda form: (random(form, 7), 0.3), lambda y, x, a, b: np.dot(a, y) - b),
    Row(
        "projection_halfspace",
        lambda form: (random(form, 7), -0.4),
        least=lambda y, x, a, b: b - np.dot(a, y),
    ),
]


@functools.cache
def compiled(number: int) -> Callable[[Any], Any]:
    """The projection of a row with its arguments for TREE, compiled once for all tests."""
    row = ROWS[number]
    with jax.ensure_compile_time_eval():
        args = row.args(TREE)
    return jax.jit(lambda x: row.of(gp)(x, *args))


def project(row: Row, x: Any) -> Any:
    """The projection of a tree like TREE."""
    return compiled(next(i for i, r in enumerate(ROWS) if r is row))(x)


BY_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r.name}{len(r.args(()))}"[11:])
SIZED = [r for r in ROWS if r.name.endswith(("simplex", "sphere", "ball")) and r.args(())]


def violation(row: Row, form: Any, x: Any, p: Any) -> float:
    """How far `p` is outside the set."""
    args = [flat(arg) if not isinstance(arg, float) else arg for arg in row.args(form)]
    equal, least = row.equal(flat(p), flat(x), *args), row.least(flat(p), flat(x), *args)
    return max(np.max(np.abs(equal), initial=0), np.max(-np.asarray(least), initial=0))


def optax_of(f: Callable[..., Any], *args: Any) -> Any:
    """Optax's result; it needs the usual promotion."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return jax.jit(f)(*args)


@BY_ROW
@pytest.mark.parametrize(("form", "dtype"), [*((form, "float32") for form in FORMS), ("tree", "float64")])
def test_values_and_gradients_are_those_of_optax(row: Row, form: str, dtype: str) -> None:
    with enable_x64() if dtype == "float64" else nullcontext():
        x, weights = random(FORMS[form], 0, dtype), random(FORMS[form], 1, dtype)
        args = jax.tree.map(lambda a: jnp.asarray(a, dtype), row.args(FORMS[form]))

        def run(module: Any) -> Any:
            def weighted(x: Any, args: Any) -> Any:
                p = row.of(module)(x, *args)
                products = jax.tree.map(lambda w, y: jnp.sum(w * y), weights, p)
                return sum(jax.tree.leaves(products)), p

            return jax.value_and_grad(weighted, (0, 1), has_aux=True)

        ours, theirs = jax.jit(run(gp))(x, args), optax_of(run(optax.projections), x, args)
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(flat(ours), flat(theirs), rtol=tolerance, atol=tolerance)
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        assert all(p.dtype == dtype for p in jax.tree.leaves(ours[0][1]))


@BY_ROW
def test_a_batch_is_projected_by_vmap(row: Row) -> None:
    batch = random(TREE, 0, batch=(5,))
    together = jax.jit(jax.vmap(functools.partial(project, row)))(batch)
    one_by_one = [project(row, jax.tree.map(lambda x, i=i: x[i], batch)) for i in range(5)]
    check_close(together, jax.tree.map(lambda *xs: jnp.stack(xs), *one_by_one), 1e-6)


@BY_ROW
def test_the_result_is_in_the_set_and_stays(row: Row) -> None:
    for size in (1e-3, 1.0, 1e3):
        x = random(TREE, 3, size=size)
        p = project(row, x)
        assert violation(row, TREE, x, p) <= 3e-6 * max(1, size)
        np.testing.assert_allclose(flat(project(row, p)), flat(p), rtol=1e-6, atol=1e-6 * max(1, size))


@BY_ROW
@pytest.mark.parametrize("seed", range(3))
def test_no_point_of_the_set_is_closer(row: Row, seed: int) -> None:
    x = random(TREE, seed)
    args = [flat(arg) if not isinstance(arg, float) else arg for arg in row.args(TREE)]
    z = flat(x)
    constraints = [
        {"type": "eq", "fun": lambda y: np.atleast_1d(row.equal(y, z, *args))},
        {"type": "ineq", "fun": lambda y: np.atleast_1d(row.least(y, z, *args))},
    ]
    found = scipy.optimize.minimize(
        lambda y: np.sum((y - z) ** 2) / 2,
        z + 0.01,
        jac=lambda y: y - z,
        method="SLSQP",
        constraints=[c for c in constraints if c["fun"](z).size],
        options={"ftol": 1e-13, "maxiter": 200},
    )
    assert found.status in (0, 8), found.message  # 8: no step makes it better
    np.testing.assert_allclose(flat(project(row, x)), found.x, atol=2e-5)


@pytest.mark.parametrize("row", [r for r in ROWS if r.convex], ids=lambda r: r.name[11:])
def test_projections_onto_convex_sets_bring_points_closer(row: Row) -> None:
    x, y = random(TREE, 8), random(TREE, 9)
    after, before = flat(project(row, x)) - flat(project(row, y)), flat(x) - flat(y)
    assert np.linalg.norm(after) <= np.linalg.norm(before) * (1 + 1e-6)


@pytest.mark.parametrize("name", ["l1_ball", "l2_ball", "linf_ball", "hypercube", "non_negative"])
def test_points_inside_stay_to_the_bit(name: str) -> None:
    x = jax.tree.map(jnp.abs, random(TREE, 2, size=0.03))
    for inside in (x, jax.tree.map(jnp.zeros_like, x)):
        p = getattr(gp, f"projection_{name}")(inside)
        np.testing.assert_array_equal(flat(p), flat(inside))
    low = gp.projection_halfspace(x, x, 1e3)
    np.testing.assert_array_equal(flat(low), flat(x))


@BY_ROW
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_rounded_once(row: Row, dtype: Any) -> None:
    half = random(TREE, 4, dtype, size=10.0)
    wide = jax.tree.map(lambda x: x.astype("float32"), half)
    p, q = project(row, half), project(row, wide)
    assert all(x.dtype == dtype for x in jax.tree.leaves(p))
    np.testing.assert_array_equal(flat(p), flat(jax.tree.map(lambda x: x.astype(dtype), q)))


def test_half_precision_does_not_overflow() -> None:
    x = jnp.full(1000, 300, jnp.float16)
    np.testing.assert_allclose(gp.projection_l2_ball(x), np.full(1000, 1000**-0.5), rtol=1e-3)
    np.testing.assert_allclose(gp.projection_l1_ball(x), np.full(1000, 1e-3), rtol=1e-3)
    np.testing.assert_allclose(gp.projection_simplex(200 * x), np.full(1000, 1e-3), rtol=1e-3)


@pytest.mark.parametrize("middle", [0.0, 1e6])
@pytest.mark.parametrize("spread", [1.0, 1e6])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_the_simplex_holds_large_numbers_in_large_numbers(
    middle: float, spread: float, scale: float
) -> None:
    rng = np.random.default_rng(0)
    x = jnp.asarray(middle + spread * rng.uniform(size=10_000), jnp.float32)
    p = np.asarray(gp.projection_simplex(x, scale), np.float64)
    assert np.min(p) >= 0
    assert abs(np.sum(p) - scale) <= 1e-6 * scale
    exact = x64_simplex(np.asarray(x, np.float64), scale)
    np.testing.assert_allclose(p, exact, atol=2e-7 * scale)


def test_moving_along_the_normal_changes_nothing() -> None:
    x, a = random(TREE, 1), random(TREE, 7)
    apart = lambda d: jax.tree.map(lambda y, n: y + d * n, x, a)  # noqa: E731
    check_close(gp.projection_hyperplane(apart(3.0), a, 0.5), gp.projection_hyperplane(x, a, 0.5), 2e-6)
    ones = jax.tree.map(jnp.ones_like, x)
    shifted = jax.tree.map(lambda y, n: y + 3 * n, x, ones)
    check_close(gp.projection_simplex(shifted, 0.5), gp.projection_simplex(x, 0.5), 1e-5)
    check_close(gp.projection_vector(x, apart(0)), x, 1e-6)
    doubled = jax.tree.map(lambda y: 2 * y, x)
    for name in ("l1_sphere", "l2_sphere", "l1_ball", "l2_ball", "linf_ball"):
        twice = getattr(gp, f"projection_{name}")
        check_close(twice(doubled, 1.0), jax.tree.map(lambda y: 2 * y, twice(x, 0.5)), 1e-6)


def x64_simplex(x: np.ndarray, scale: float) -> np.ndarray:
    """The projection by sorting, in double precision (Held, Wolfe and Crowder, 1974)."""
    u = np.sort(x)[::-1]
    t = (np.cumsum(u) - scale) / np.arange(1, x.size + 1)
    return np.maximum(x - t[np.nonzero(u > t)[0][-1]], 0)


def test_newtons_steps_end_early_on_hard_inputs() -> None:
    # Entries whose distances to the threshold fall geometrically make each step drop only few.
    x = jnp.concatenate([-(2.0 ** -jnp.arange(0, 120.0)), jnp.zeros(1)])
    for scale in (1e-30, 1e-3, 1.0, 100.0):
        p = np.asarray(gp.projection_simplex(x, scale), np.float64)
        assert abs(np.sum(p) - scale) <= 1e-6 * scale


EDGES = [
    ("l2_sphere", (), 1 / np.sqrt(3)),
    ("l2_sphere", (0.0,), 0),
    ("l2_ball", (), 0),
    ("l2_ball", (0.0,), 0),
    ("l1_sphere", (), 1 / 3),
    ("l1_sphere", (0.0,), 0),
    ("l1_ball", (), 0),
    ("l1_ball", (0.0,), 0),
    ("simplex", (), 1 / 3),
    ("simplex", (0.0,), 0),
    ("linf_ball", (0.0,), 0),
    ("hypercube", (0.0,), 0),
    ("vector", (jnp.zeros(3),), 0),
    ("vector", (jnp.ones(3),), 0),
    ("hyperplane", (jnp.zeros(3), 0.0), 0),
    ("halfspace", (jnp.zeros(3), 1.0), 0),
]


@pytest.mark.parametrize(("name", "args", "expected"), EDGES, ids=lambda x: x if x is str else None)
def test_zeros_have_values_and_derivatives(name: str, args: Any, expected: float) -> None:
    onto = getattr(gp, f"projection_{name}")
    numbers = [i + 1 for i, arg in enumerate(args) if np.ndim(arg) == 0]
    both = jax.jit(lambda *args: (onto(*args), jax.jacobian(onto, (0, *numbers))(*args)))
    p, jacobians = both(jnp.zeros(3), *args)
    np.testing.assert_allclose(p, np.full(3, expected), rtol=1e-6)
    assert all(np.isfinite(d).all() for d in jacobians)


def test_zero_entries_take_their_share_of_the_l1_sphere() -> None:
    np.testing.assert_allclose(gp.projection_l1_sphere(jnp.array([0.1, 0.0])), [0.55, 0.45], rtol=1e-6)


def test_norms_neither_overflow_nor_vanish() -> None:
    half = np.full(2, 0.5**0.5)
    for size in (1e30, 1e-30):
        x = jnp.full(2, size)
        np.testing.assert_allclose(gp.projection_l2_sphere(x), half, rtol=1e-6)
        np.testing.assert_allclose(gp.projection_vector(x, x), x, rtol=1e-6)
        np.testing.assert_allclose(gp.projection_hyperplane(0 * x, x, size), [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(gp.projection_l2_ball(jnp.full(2, 1e30)), half, rtol=1e-6)


@BY_ROW
def test_numbers_that_are_not_finite_are_seen(row: Row) -> None:
    bounded = row.name.endswith(("box", "hypercube", "linf_ball"))
    for bad in (jnp.nan, jnp.inf):
        x = random(TREE, 0)
        p = flat(project(row, x | {"w": x["w"].at[0, 1].set(bad)}))
        # the closest point of a box to infinity is on its side
        assert np.isfinite(p).all() == (bounded and not np.isnan(bad))


def test_the_simplex_takes_minus_infinity_for_zero() -> None:
    np.testing.assert_array_equal(gp.projection_simplex(jnp.array([2.0, -jnp.inf, 0.0])), [1, 0, 0])


@pytest.mark.parametrize("row", SIZED, ids=lambda r: r.name[11:])
def test_a_bad_scale_is_told(row: Row) -> None:
    x, project = jnp.array([3.0, 4.0]), row.of(gp)
    with pytest.raises(ValueError, match=rf"^{row.name}: scale must be .*at least 0, received -1"):
        project(x, -1.0)
    with pytest.raises(ValueError, match=rf"^{row.name}: scale must be one number, received shape \(2,\)"):
        project(x, jnp.ones(2))
    assert np.isnan(jax.jit(project)(x, -1.0)).all()
    if row.name.endswith("ball"):
        np.testing.assert_array_equal(project(x, jnp.inf), x)
    else:
        with pytest.raises(ValueError, match="must be finite"):
            project(x, float("inf"))


def test_bounds_serve_all_leaves_or_each() -> None:
    x = random(TREE, 0)
    everywhere = jax.tree.map(lambda leaf: jnp.full_like(leaf, 0.2), x)
    check_close(gp.projection_box(x, -0.1, 0.2), gp.projection_box(x, jnp.float32(-0.1), everywhere), 0)
    check_close(gp.projection_box(x, None, 0.2), jax.tree.map(lambda y: jnp.minimum(y, 0.2), x), 0)
    check_close(gp.projection_hypercube(x, 0.2), gp.projection_hypercube(x, everywhere), 0)
    with pytest.raises(ValueError, match=r"^projection_box: lower must be at most upper, received 1 and 0"):
        gp.projection_box(x, 1, 0)
    with pytest.raises(ValueError, match=r"^projection_hypercube: scale must be at least 0, received -2"):
        gp.projection_hypercube(x, -2)
    with pytest.raises(
        ValueError, match=r"^projection_box: .*the tree has .*'deep'.* that the upper lacks"
    ):
        gp.projection_box(x, 0, {"w": 1})


def test_trees_of_another_structure_or_shape_are_told() -> None:
    x, other = {"a": jnp.ones(2), "b": jnp.ones(2)}, {"a": jnp.ones(2)}
    for name, b in (("vector", ()), ("hyperplane", (1.0,)), ("halfspace", (1.0,))):
        project = getattr(gp, f"projection_{name}")
        with pytest.raises(ValueError, match=rf"^projection_{name}: .*the vector x has \['b'\]"):
            project(x, other, *b)
        with pytest.raises(ValueError, match=r"\['b'\] has shape \(2,\) in x but \(1,\) in a"):
            project(x, other | {"b": jnp.ones(1)}, *b)
        if b:
            with pytest.raises(ValueError, match="b must be one number"):
                project(x, x, jnp.ones(2))


def test_a_plane_without_points_gives_nan() -> None:
    x, zero = jnp.ones(2), jnp.zeros(2)
    assert np.isnan(gp.projection_hyperplane(x, zero, 1.0)).all()
    assert np.isnan(gp.projection_halfspace(x, zero, -1.0)).all()


def test_complex_numbers_are_vectors_but_have_no_order() -> None:
    c = jnp.array([1 + 2j, 3j, 0], jnp.complex64)
    x = c * 1j + 1
    np.testing.assert_allclose(jnp.linalg.norm(gp.projection_l2_sphere(c, 2.0)), 2, rtol=1e-6)
    np.testing.assert_allclose(jnp.sum(jnp.abs(gp.projection_l1_sphere(c, 2.0))), 2, rtol=1e-6)
    np.testing.assert_allclose(gp.projection_vector(c * 1j, c), c * 1j, rtol=1e-6)
    np.testing.assert_allclose(jnp.vdot(c, gp.projection_hyperplane(x, c, 2 + 1j)), 2 + 1j, rtol=1e-5)
    for name, args in (
        ("non_negative", ()),
        ("box", (0, 1)),
        ("hypercube", ()),
        ("simplex", ()),
        ("linf_ball", ()),
        ("halfspace", (c, 1.0)),
    ):
        with pytest.raises(TypeError, match=rf"^projection_{name}: .* complex64; expected real"):
            getattr(gp, f"projection_{name}")({"c": c}, *({"c": a} if a is c else a for a in args))


def test_integers_are_computed_as_floating_point() -> None:
    x = jnp.arange(3)
    np.testing.assert_array_equal(gp.projection_simplex(x), [0.0, 0.0, 1.0])
    np.testing.assert_allclose(gp.projection_l2_ball(x), np.arange(3) / np.sqrt(5), rtol=1e-6)
    np.testing.assert_array_equal(gp.projection_linf_ball(x, 1.5), [0, 1, 1.5])
    assert gp.projection_box(x, 0, 1).dtype == x.dtype
    mixed = gp.projection_simplex({"w": jnp.array([2.5, 3.2]), "b": 0.5, "h": jnp.ones(2, jnp.bfloat16)})
    np.testing.assert_allclose(mixed["w"], [0.15, 0.85], rtol=1e-6)
    assert mixed["h"].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "empty", [{}, {"a": None}, {"a": jnp.zeros((0, 2))}], ids=["tree", "None", "array"]
)
@BY_ROW
def test_nothing_is_projected_onto_itself(row: Row, empty: Any) -> None:
    args = [arg if isinstance(arg, float) else empty for arg in row.args(())]
    check_close(row.of(gp)(empty, *args), empty, 0)


def test_one_vector_however_it_is_cut() -> None:
    x = random(TREE, 0)
    whole, unravel = ravel_pytree(x)
    for name in ("simplex", "l1_ball", "l1_sphere", "l2_ball", "l2_sphere"):
        project = getattr(gp, f"projection_{name}")
        check_close(project(x, 0.4), unravel(project(whole, 0.4)), 1e-6)
