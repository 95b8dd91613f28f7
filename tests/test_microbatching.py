"""Microbatching: Optax's results, in less memory, under jit, grad, vmap and shardings."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from devices import eight, mesh_of
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from gradchain import microbatching as gm

OPTAX = optax.microbatching
KINDS = ["SUM", "MEAN", "RUNNING_MEAN", "CONCAT"]
BATCH = 12


def check_same(ours: Any, theirs: Any, rtol: float = 1e-5) -> None:
    """The same leaves; the containers may be of different classes."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(
            np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=rtol, atol=rtol / 10
        )


def numbers(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def both(name: str, build: Callable[[Any], Any], *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """One call in each library: `build` gets the module and returns the keyword arguments."""
    found = []
    for module in (gm, OPTAX):
        with jax.numpy_dtype_promotion("standard" if module is OPTAX else "strict"):
            function, options = build(module)
            found.append(jax.jit(getattr(module, name)(function, **options))(*args, **kwargs))
    return found[0], found[1]


def sums(x: Any, scale: Any = 1.0) -> Any:
    """Results of several shapes: a number, a vector, and one that depends on which rows are together."""
    return {
        "sum": scale * jnp.sum(x["a"], axis=0),
        "most": jnp.max(x["b"]),
        "rows": x["a"][:, 0] * jnp.mean(x["b"]),
    }


def tree(rows: int = BATCH) -> Any:
    return {"a": numbers(rows, 3), "b": numbers(rows, seed=1), "none": None}


class TestMicrobatch:
    @pytest.mark.parametrize("size", [1, 3, 12])
    @pytest.mark.parametrize("kind", KINDS)
    def test_equals_optax(self, kind, size):
        def build(m):
            return sums, {"argnums": 0, "microbatch_size": size, "accumulator": m.AccumulationType[kind]}

        ours, theirs = both("microbatch", build, tree(), scale=2.0)
        check_same(ours, theirs)

    @pytest.mark.parametrize("real", [0, 1, 3, 4])
    @pytest.mark.parametrize("traced", [False, True])
    def test_fewer_microbatches(self, real, traced):
        def build(m):
            def run(x, n):
                accumulators = {"sum": "RUNNING_MEAN", "most": "MEAN", "rows": "CONCAT"}
                return m.microbatch(
                    sums,
                    argnums=0,
                    microbatch_size=3,
                    accumulator={k: m.AccumulationType[kind] for k, kind in accumulators.items()},
                    num_real_microbatches=n if traced else real,
                )(x)

            return run, {"argnums": 0, "microbatch_size": None}

        ours, theirs = both("microbatch", build, tree(), jnp.asarray(real))
        check_same(ours, theirs)
        assert np.count_nonzero(ours["rows"]) == 3 * real

    def test_a_traced_number_is_held_at_the_microbatches_there_are(self):
        def run(n):
            total = gm.microbatch(jnp.sum, 0, 2, num_real_microbatches=n)(jnp.arange(6.0))
            mean = gm.microbatch(jnp.sum, 0, 2, gm.AccumulationType.RUNNING_MEAN, num_real_microbatches=n)(
                jnp.arange(6.0)
            )
            return total, mean

        np.testing.assert_allclose(jax.jit(run)(99), [15, 5])

    def test_arguments_by_position_and_name_along_any_axis(self):
        def fun(w, x, *, mask, scale):
            return {"total": jnp.einsum("i,ij,j->", w, x["x"], mask) * scale, "rows": mask}

        args = numbers(3), {"x": numbers(3, BATCH)}
        kwargs = {"mask": numbers(BATCH, seed=2), "scale": 2.0}

        def build(m):
            kinds = m.AccumulationType
            return fun, {
                "argnums": (1,),
                "argnames": "mask",
                "in_axes": (1, 0),
                "microbatch_size": 4,
                "accumulator": {"total": kinds.SUM, "rows": kinds.CONCAT},
            }

        ours, theirs = both("microbatch", build, *args, **kwargs)
        check_same(ours, theirs)
        check_same(ours, fun(*args, **kwargs))
        kinds = {"total": gm.AccumulationType.SUM, "rows": gm.AccumulationType.CONCAT}
        negative = gm.microbatch(fun, -1, 4, kinds, argnames=["mask"], in_axes=(-1, -1))
        check_same(negative(*args, **kwargs), ours)

    def test_accumulators_of_ones_own(self):
        def build(m):
            largest = m.Accumulator(
                init=lambda like: jnp.full(like.shape, -jnp.inf, like.dtype),
                update=lambda carry, value, index: jnp.maximum(carry, value + index),
                finalize=lambda carry: 10 * carry,
                aggregate=lambda values: jnp.max(values, axis=0),
            )
            pair = m.Accumulator(
                init=lambda like: (jnp.zeros(like.shape), jnp.zeros((), jnp.int32)),
                update=lambda carry, value, index: (carry[0] * carry[0] + value, carry[1] + 1),
                finalize=lambda carry: {"value": carry[0], "count": carry[1]},
                aggregate=lambda values: values[0],
            )
            tree = {"sum": largest, "most": pair, "rows": m.AccumulationType.CONCAT}
            return sums, {"argnums": 0, "microbatch_size": 4, "accumulator": tree}

        ours, theirs = both("microbatch", build, tree())
        check_same(ours, theirs)
        assert ours["most"]["count"] == 3

    def test_no_size_is_no_change(self):
        assert gm.microbatch(jnp.sum, 0, None) is jnp.sum

    def test_keeps_the_name_and_traces_once(self):
        calls = []

        def total(x):
            """Sums."""
            calls.append(x.shape)
            return jnp.sum(x)

        small = gm.microbatch(total, 0, 2)
        assert (small.__name__, small.__doc__) == ("total", "Sums.")
        jax.jit(small).lower(jnp.ones(8))
        assert calls == [(2,)]

    @pytest.mark.parametrize("value", [np.arange(6), np.arange(6.0, dtype=np.float32), np.ones(6, bool)])
    def test_integers_booleans_and_numpy(self, value):
        def build(m):
            def fun(x):
                return jnp.sum(x), x, jnp.any(x)

            kinds = m.AccumulationType
            return fun, {
                "argnums": 0,
                "microbatch_size": 2,
                "accumulator": (kinds.SUM, kinds.CONCAT, kinds.SUM),
            }

        check_same(*both("microbatch", build, value))

    def test_random_keys_are_a_batch(self):
        keys = jax.random.split(jax.random.key(0), 6)
        found = gm.micro_vmap(jax.random.normal, microbatch_size=2)(keys)
        np.testing.assert_allclose(found, jax.vmap(jax.random.normal)(keys), rtol=1e-6)


class TestPrecision:
    @pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
    def test_half_precision_is_accumulated_in_float32(self, dtype):
        x = jnp.ones(4096, dtype)
        for kind, expected in (("SUM", 4096), ("MEAN", 1), ("RUNNING_MEAN", 1)):
            found = gm.microbatch(jnp.sum, 0, 1, gm.AccumulationType[kind])(x)
            assert found.dtype == dtype
            assert found == expected
        theirs = OPTAX.microbatch(jnp.sum, 0, 1)(x)
        assert theirs == (2048 if dtype == jnp.float16 else 256)

    def test_means_do_not_overflow(self):
        x = jnp.full(1024, 300, jnp.float16)
        assert gm.microbatch(jnp.mean, 0, 2, gm.AccumulationType.MEAN)(x) == 300
        with jax.numpy_dtype_promotion("standard"):
            assert jnp.isinf(OPTAX.microbatch(jnp.mean, 0, 2, OPTAX.AccumulationType.MEAN)(x))

    def test_float64_and_complex(self):
        with jax.enable_x64(True):
            x = jnp.arange(6.0)
            for kind in ("MEAN", "RUNNING_MEAN"):
                found = gm.microbatch(jnp.sum, 0, 2, gm.AccumulationType[kind])(x)
                assert (found.dtype, found) == (jnp.float64, 5)
                rows = jax.lax.complex(jnp.zeros(6, jnp.float32), x.astype(jnp.float32))
                z = gm.microbatch(jnp.sum, 0, 2, gm.AccumulationType[kind])(rows)
                assert (z.dtype, z) == (jnp.complex64, 5j)


class TestTransformations:
    @staticmethod
    def loss(w, x):
        return jnp.sum(jnp.tanh(x @ w) ** 2)

    def test_derivatives(self):
        w, x = numbers(3, 2), numbers(BATCH, 3)
        small = gm.microbatch(self.loss, 1, 3)
        check_same(jax.jit(jax.grad(small, (0, 1)))(w, x), jax.grad(self.loss, (0, 1))(w, x))
        check_same(jax.jvp(small, (w, x), (w, x)), jax.jvp(self.loss, (w, x), (w, x)))
        direction = jax.grad(lambda w: jnp.vdot(jax.grad(small)(w, x), w))(w)
        check_same(direction, jax.grad(lambda w: jnp.vdot(jax.grad(self.loss)(w, x), w))(w), 1e-4)
        early = gm.microbatch(self.loss, 1, 3, num_real_microbatches=2)
        rows = jnp.concatenate([x[0::4], x[1::4]])
        check_same(jax.grad(early)(w, x), jax.grad(self.loss)(w, rows))

    def test_vmap(self):
        w, x = numbers(2, 3, 2), numbers(BATCH, 3)
        for axes in ((0, None), (None, 1)):
            args = (w, x) if axes[0] == 0 else (w[0], numbers(BATCH, 2, 3))
            found = jax.jit(jax.vmap(gm.microbatch(jax.grad(self.loss), 1, 3), axes))(*args)
            check_same(found, jax.vmap(jax.grad(self.loss), axes)(*args))

    def test_inside_scan(self):
        def body(w, x):
            return w - 0.1 * gm.microbatch(jax.grad(self.loss), 1, 3)(w, x), None

        def plain(w, x):
            return w - 0.1 * jax.grad(self.loss)(w, x), None

        w, xs = numbers(3, 2), numbers(2, BATCH, 3)
        check_same(jax.lax.scan(body, w, xs)[0], jax.lax.scan(plain, w, xs)[0])


class TestMicroVmap:
    @pytest.mark.parametrize("size", [None, 1, 4])
    @pytest.mark.parametrize("kind", KINDS)
    def test_equals_optax(self, kind, size):
        def fun(w, x, *, y):
            return {"value": jnp.vdot(w, x) + y, "vector": x * y}

        def build(m):
            options = {"in_axes": (None, 1), "microbatch_size": size}
            return fun, options | {"accumulator": m.AccumulationType[kind]}

        args = numbers(3), numbers(3, BATCH)
        ours, theirs = both("micro_vmap", build, *args, y=numbers(BATCH))
        check_same(ours, theirs)
        if kind == "CONCAT":
            check_same(ours, jax.vmap(lambda x, y: fun(args[0], x, y=y), (1, 0))(args[1], numbers(BATCH)))

    def test_a_vmap_of_ones_own_and_accumulators_by_part(self):
        def build(m):
            def vmap(fun, in_axes, out_axes):
                return jax.vmap(fun, in_axes, out_axes, axis_name="examples")

            largest = m.Accumulator(
                init=lambda like: jnp.zeros(like.shape, like.dtype),
                update=lambda carry, value, index: jnp.maximum(carry, value),
                finalize=lambda carry: carry,
                aggregate=lambda values: jnp.max(values, axis=0),
            )
            return lambda x: (x, (x**2, jax.lax.psum(x, "examples"))), {
                "microbatch_size": 3,
                "vmap_fn": vmap,
                "accumulator": (largest, m.AccumulationType.CONCAT),
                "num_real_microbatches": 2,
            }

        check_same(*both("micro_vmap", build, numbers(BATCH)))

    def test_one_axis_is_for_all_arguments(self):
        x, y = numbers(BATCH, 2), numbers(BATCH)
        found = gm.micro_vmap(lambda x, y: x * y, microbatch_size=4)(x, y)
        np.testing.assert_allclose(found, x * y[:, None], rtol=1e-6)

    def test_means_of_integers(self):
        def build(m):
            return lambda x: x, {"microbatch_size": 2, "accumulator": m.AccumulationType.MEAN}

        check_same(*both("micro_vmap", build, jnp.arange(8)))

    def test_errors(self):
        with pytest.raises(NotImplementedError, match="micro_vmap: out_axes must be 0, received 1"):
            gm.micro_vmap(jnp.sum, 0, 1)
        with pytest.raises(
            ValueError, match="micro_vmap: a batch of 6 does not split into microbatches of 4"
        ):
            gm.micro_vmap(jnp.sum, microbatch_size=4)(jnp.ones(6))


class TestMicroGrad:
    @staticmethod
    def loss(params, x, y):
        errors = x @ params["w"] + params["b"] - y
        return 0.5 * jnp.mean(errors**2)

    ARGS = ({"w": numbers(3), "b": numbers()}, numbers(BATCH, 3), numbers(BATCH))

    @pytest.mark.parametrize("size", [None, 1, 4])
    @pytest.mark.parametrize("kind", KINDS)
    def test_equals_optax(self, kind, size):
        def build(m):
            return self.loss, {
                "batch_argnums": (1, 2),
                "microbatch_size": size,
                "accumulator": m.AccumulationType[kind],
                "transform_fn": lambda g: (g, jax.tree.map(jnp.square, g)),
                "metrics_fn": lambda g: jnp.sum(g["w"]),
            }

        ours, theirs = both("micro_grad", build, *self.ARGS)
        check_same(ours, theirs)
        assert ours[1]._fields == theirs[1]._fields == ("values", "metrics", "aux")
        assert ours[1].values.shape == (BATCH,)
        if kind == "MEAN":
            check_same(ours[0][0], jax.grad(self.loss)(*self.ARGS), 1e-4)

    def test_all_arguments(self):
        def fun(params, x, *, y):
            return jnp.sum((params["w"] * x) ** 2 * y), {"x": x, "y": y}

        def build(m):
            return fun, {
                "has_aux": True,
                "argnums": (0, 1),
                "batch_argnums": 1,
                "keep_batch_dim": False,
                "microbatch_size": 4,
                "accumulator": (m.AccumulationType.CONCAT, m.AccumulationType.SUM),
                "num_real_microbatches": 2,
            }

        args = {"w": numbers(3)}, numbers(BATCH, 3)
        check_same(*both("micro_grad", build, *args, y=numbers(BATCH)))

    def test_arguments_after_the_batch(self):
        params, x, _ = self.ARGS
        found, outputs = gm.micro_grad(lambda p, x, scale: scale * self.loss(p, x, 0.0))(params, x, 2.0)
        check_same(found, jax.grad(lambda p: 2 * BATCH * self.loss(p, x, 0.0))(params), 1e-4)
        assert outputs.metrics is outputs.aux is None

    def test_clipping_per_example_equals_a_loop(self):
        def clip(g):
            norm = optax.tree.norm(g)
            return jax.tree.map(lambda leaf: leaf * jnp.minimum(1, 0.1 / norm), g)

        params, x, y = self.ARGS
        options = {"batch_argnums": (1, 2), "microbatch_size": 3, "metrics_fn": optax.tree.norm}
        clipped = gm.micro_grad(self.loss, transform_fn=clip, **options)
        found, outputs = jax.jit(clipped)(params, x, y)
        each = [jax.grad(self.loss)(params, x[i : i + 1], y[i : i + 1]) for i in range(BATCH)]
        check_same(found, jax.tree.map(lambda *gs: sum(gs), *map(clip, each)), 1e-4)
        np.testing.assert_allclose(outputs.metrics, [optax.tree.norm(g) for g in each], rtol=1e-4)


class TestReshape:
    @pytest.mark.parametrize("axis", [0, 1])
    def test_equals_optax(self, axis):
        x = {"a": numbers(6, 4), "b": numbers(6, 8, 2)} if axis else {"a": numbers(6), "b": numbers(6, 2)}
        check_same(gm.reshape_batch_axis(x, 2, axis), OPTAX.reshape_batch_axis(x, 2, axis))

    def test_negative_axes_and_errors(self):
        x = numbers(2, 6)
        np.testing.assert_array_equal(gm.reshape_batch_axis(x, 2, -1), gm.reshape_batch_axis(x, 2, 1))
        with pytest.raises(ValueError, match="a batch of 6 does not split into microbatches of 4"):
            gm.reshape_batch_axis(x, 4, 1)
        with pytest.raises(ValueError, match=r"\['a'\] has shape \(2, 6\) and no batch axis 2"):
            gm.reshape_batch_axis({"a": x}, 2, 2)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"argnums": 0, "microbatch_size": 5}, "a batch of 12 does not split into microbatches of 5"),
            ({"argnums": 0, "microbatch_size": 0}, "does not split into microbatches of 0; .* Pad"),
            ({"argnums": (0, 1), "microbatch_size": 3}, r"argument 0\['x'\] has 12, argument 1 has 4\."),
            ({"argnums": 2, "microbatch_size": 3}, "argnums has 2 but the call has 2 positional"),
            ({"argnums": -3, "microbatch_size": 3}, "argnums has -3"),
            ({"argnums": (), "microbatch_size": 3}, "there are no arrays"),
            (
                {"argnums": (), "argnames": "masks", "microbatch_size": 3},
                "argnames has 'masks' but the call's keyword arguments are: mask. Did you mean 'mask'",
            ),
            ({"argnums": 0, "in_axes": 1, "microbatch_size": 3}, r"0\['x'\] has shape \(12,\) and no"),
            (
                {"argnums": 0, "microbatch_size": 3, "accumulator": "sum"},
                "an AccumulationType, an Accumulator or a tree of them, received 'sum'",
            ),
            (
                {"argnums": 0, "microbatch_size": 3, "accumulator": [gm.AccumulationType.SUM] * 2},
                "do not fit the function's result .* give one for all",
            ),
            (
                {"argnums": 0, "microbatch_size": 3, "accumulator": gm.AccumulationType.MEAN},
                r"MEAN needs floating point results, .* result\['n'\] has dtype int32; use SUM",
            ),
            (
                {"argnums": 0, "microbatch_size": 3, "num_real_microbatches": 5},
                r"must be in \[0, 4\], since there are 4 microbatches, received 5",
            ),
        ],
    )
    def test_calls(self, options, message):
        def fun(x, y, mask):
            return {"n": jnp.ones((), jnp.int32), "x": x}

        small = gm.microbatch(fun, **options)
        with pytest.raises(ValueError, match=f"^microbatch: .*{message}"):
            small({"x": jnp.ones(12)}, jnp.ones(4), mask=jnp.ones(12))

    def test_axes(self):
        with pytest.raises(ValueError, match=r"one for each .* 2 in all, received \(0,\)"):
            gm.microbatch(jnp.sum, 0, 2, argnames="x", in_axes=(0,))


COLLECTIVES = ["all-gather", "all-to-all", "collective-permute"]


class TestSharding:
    """Sixteen rows on each of eight devices."""

    @staticmethod
    def mesh(kind: str) -> Any:
        if kind == "automatic":
            return Mesh(np.array(eight()), ("data",))
        return mesh_of((8,), "data", explicit=True)

    @pytest.mark.parametrize("kind", ["automatic", "explicit"])
    @pytest.mark.parametrize("accumulator", ["SUM", "CONCAT", "MEAN"])
    def test_equals_one_device_without_moving_rows(self, kind, accumulator):
        if kind == "explicit" and not hasattr(jax, "set_mesh"):
            pytest.skip("explicit sharding is newer than this JAX")
        mesh = self.mesh(kind)
        w, x = numbers(4, 2), numbers(128, 4)

        def fun(w, x):
            return jnp.tanh(x @ w)

        of_batch = fun if accumulator == "CONCAT" else jax.grad(lambda w, x: jnp.mean(fun(w, x) ** 2))
        small = gm.microbatch(of_batch, 1, 32, gm.AccumulationType[accumulator])
        expected = small(w, x)
        split = NamedSharding(mesh, P("data"))
        args = jax.device_put(w, NamedSharding(mesh, P())), jax.device_put(x, split)

        def check():
            compiled = jax.jit(small).lower(*args).compile()
            program = compiled.as_text()
            assert not [name for name in COLLECTIVES if f"{name}(" in program]
            assert ("all-reduce(" in program) == (accumulator != "CONCAT")
            found = compiled(*args)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            if accumulator == "CONCAT":
                assert found.sharding.is_equivalent_to(split, 2)

        if kind == "automatic":
            check()
        else:
            with jax.set_mesh(mesh):
                check()

    def test_per_example_gradients(self):
        mesh = self.mesh("automatic")
        w, x = numbers(4), numbers(128, 4)
        small = gm.micro_grad(lambda w, x: jnp.sum(jnp.tanh(x @ w)), microbatch_size=32)
        args = w, jax.device_put(x, NamedSharding(mesh, P("data")))
        compiled = jax.jit(small).lower(*args).compile()
        assert not [name for name in COLLECTIVES if f"{name}(" in compiled.as_text()]
        check_same(compiled(*args), small(w, x))

    @pytest.mark.skipif(not hasattr(jax, "set_mesh"), reason="explicit sharding is newer than this JAX")
    def test_shards_must_divide_microbatches(self):
        mesh = self.mesh("explicit")
        with jax.set_mesh(mesh):
            x = jax.device_put(numbers(128, 4), NamedSharding(mesh, P("data")))
            assert gm.reshape_batch_axis(x, 16).sharding.spec == P(None, "data", None)
            with pytest.raises(ValueError, match="must be a multiple of the 8 shards of the batch axis"):
                gm.microbatch(jnp.sum, 0, 4)(x)


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(3):
            x = nn.relu(nn.Dense(64)(x))
        return nn.Dense(1)(x)[..., 0]


class TestMemory:
    X, Y = jax.ShapeDtypeStruct((4096, 64), "float32"), jax.ShapeDtypeStruct((4096,), "float32")

    def bytes(self, fun: Any, params: Any) -> float:
        compiled = jax.jit(fun).lower(params, self.X, self.Y).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    @pytest.mark.parametrize("library", ["linen", "nnx"])
    def test_of_a_flax_mlp(self, library):
        if library == "linen":
            network = MLP()
            params = jax.eval_shape(network.init, jax.random.key(0), self.X)

            def loss(params, x, y):
                return jnp.mean((network.apply(params, x) - y) ** 2)
        else:
            sizes = [(64, 64)] * 3 + [(64, 1)]
            rngs = nnx.Rngs(0)
            layers = nnx.List([nnx.Linear(*size, rngs=rngs) for size in sizes])
            graph, params = nnx.split(layers)

            def loss(params, x, y):
                for i, layer in enumerate(nnx.merge(graph, params)):
                    x = layer(nnx.relu(x) if i else x)
                return jnp.mean((x[:, 0] - y) ** 2)

        mean = gm.AccumulationType.MEAN
        full = self.bytes(jax.value_and_grad(loss), params)
        for n in (2, 4, 8):
            inside = gm.microbatch(jax.value_and_grad(loss), (1, 2), 4096 // n, mean)
            outside = jax.value_and_grad(gm.microbatch(loss, (1, 2), 4096 // n, mean))
            for fun in (inside, outside):
                assert self.bytes(fun, params) <= (1 / n + 0.15) * full

    def test_of_the_derivative_of_optax_microbatch(self):
        """What the second half of the test above would catch."""
        network = MLP()
        params = jax.eval_shape(network.init, jax.random.key(0), self.X)

        def loss(params, x, y):
            return jnp.mean((network.apply(params, x) - y) ** 2)

        full = self.bytes(jax.grad(loss), params)
        with jax.numpy_dtype_promotion("standard"):
            theirs = OPTAX.microbatch(loss, (1, 2), 1024, OPTAX.AccumulationType.MEAN)
            assert self.bytes(jax.grad(theirs), params) > full

    def test_of_the_batch_itself(self):
        """The batch is not copied."""
        x = jax.ShapeDtypeStruct((4096, 1024), "float32")
        compiled = jax.jit(gm.microbatch(lambda x: jnp.sum(x, 0), 0, 256)).lower(x).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < 4096 * 1024 * 4 / 8
