"""Flax's `TrainState` and `nnx.Optimizer`, with steps that are taken whole.

Flax's own classes take gradchain's transformations too, by `update` and an addition. These call
`gradchain.step`, so that what a transformation does better with the parameters at hand it does here too.
Everything else is Flax's: they are subclasses.
"""

from collections.abc import Mapping
from typing import Any, Self

from ..core import step

try:
    from flax import nnx
    from flax.linen.fp8_ops import OVERWRITE_WITH_GRADIENT
    from flax.training import train_state
except ImportError as error:
    raise ImportError(
        'gradchain.integrations.flax needs Flax: install it with pip install "gradchain[flax]".'
    ) from error

if not hasattr(nnx, "data"):
    raise ImportError(
        "gradchain.integrations.flax needs Flax 0.11 or newer, where update takes the model: "
        'install it with pip install -U "gradchain[flax]".'
    )


class TrainState(train_state.TrainState):
    """Flax's `TrainState`, whose `apply_gradients` takes the whole step of the transformation.

        from gradchain.integrations.flax import TrainState

        state = TrainState.create(apply_fn=model.apply, params=params, tx=gc.adamw(1e-3))
        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        state = state.apply_gradients(grads=grads)

    Any transformation works, of any library. Fields are added in subclasses, as in Flax.

    Fields: step, params, tx, opt_state, apply_fn, as in Flax.
    """

    def apply_gradients(
        self, *, grads: Any, extra_args: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Self:
        """The state after one step.

        Args:
            grads: gradients like `params`. Under Flax's `OVERWRITE_WITH_GRADIENT` (the scales of fp8)
                they take the place of what they are gradients of.
            extra_args: what the transformation reads beside gradients and parameters, e.g.
                `{"value": loss}` for `reduce_on_plateau`, `polyak_sgd` and `momo`. One that takes none
                gets none.
            **kwargs: fields to replace, e.g. `batch_stats`.

        Returns: the new state; `step` is one more.
        """
        tx: Any = self.tx  # of any library
        extra = dict(extra_args or {})
        if isinstance(grads, Mapping) and OVERWRITE_WITH_GRADIENT in grads:
            trained, opt_state = step(tx, grads["params"], self.opt_state, self.params["params"], **extra)
            replaced = grads[OVERWRITE_WITH_GRADIENT]
            params: Any = {"params": trained, OVERWRITE_WITH_GRADIENT: replaced}
        else:
            params, opt_state = step(tx, grads, self.opt_state, self.params, **extra)
        return self.replace(step=self.step + 1, params=params, opt_state=opt_state, **kwargs)


class Optimizer(nnx.Optimizer):
    """Flax's `nnx.Optimizer`, whose `update` takes the whole step of the transformation.

        from gradchain.integrations.flax import Optimizer

        optimizer = Optimizer(model, gc.adamw(1e-3), wrt=nnx.Param)
        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)

    Any transformation works, of any library.

    Args: model; tx, the transformation; wrt, which variables of the model are trained.
    Attributes: step, tx, opt_state, wrt, as in Flax.
    """

    def update(self, model: Any, grads: Any, /, **extra_args: Any) -> None:
        """Takes one step: the model's variables, `opt_state` and `step` change in place.

        Unlike Flax's it returns nothing: there need not be updates.

        Args:
            model: the module that is trained.
            grads: what `nnx.grad` gave for it.
            **extra_args: what the transformation reads beside them, e.g. `value=loss`. One that takes
                none gets none.
        """
        tx: Any = self.tx  # of any library
        how = {"graph": self.graph} if hasattr(self, "graph") else {}  # since Flax 0.12
        new_params, new_state = step(
            tx,
            _arrays(nnx.state(grads, self.wrt, **how)),
            _arrays(self.opt_state),
            _arrays(nnx.state(model, self.wrt, **how)),
            **_arrays(extra_args),
        )
        nnx.update(model, new_params)
        nnx.update(self.opt_state, nnx.state(new_state, **how))
        self.step[...] += 1


def _arrays(tree: Any) -> Any:
    """A tree with the values of its variables in their places."""
    if hasattr(nnx, "as_pure"):
        return nnx.as_pure(tree)
    older: Any = nnx
    return older.to_arrays(older.pure(tree))
