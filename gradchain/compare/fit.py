"""Whether each optimizer can train the model: asked of all before anything is trained."""

from collections.abc import Sequence

import jax

from .contenders import Contender
from .errors import CompareError
from .runner import Trainer
from .training import Failure

LONGEST_REASON = 300  # characters
MOST_PARAMETERS = 8


def check(trainer: Trainer, contender: Contender) -> None:
    """Tries a contender without computing anything.

    Raises:
      CompareError: which one cannot train this model, why, and what to do.
    """
    try:
        trainer.check(contender)
    except Exception as error:  # an optimizer may refuse a model with any class of error
        raise CompareError(
            f"--optimizers: {contender.name} does not fit the model of {trainer.task.name}: "
            f"{reason(error)} Change it or leave it out; the model's parameters are {_parameters(trainer)}."
        ) from None


def failed(failures: Sequence[Failure]) -> CompareError:
    """The error for contenders that failed while others trained on."""
    told = " ".join(f"{f.name} failed while training: {reason(f.error)}" for f in failures)
    return CompareError(f"--optimizers: {told} Leave out what failed; the others' results stand.")


def reason(error: Exception) -> str:
    """The first paragraph of an error as one line, with a full stop."""
    paragraph = str(error).strip().partition("\n\n")[0]
    line = " ".join(paragraph.split()) or type(error).__name__
    if len(line) > LONGEST_REASON:
        line = line[:LONGEST_REASON].rsplit(" ", 1)[0] + " ..."
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _parameters(trainer: Trainer) -> str:
    """The paths of the model's parameters, as a mask must have them."""
    leaves = jax.tree_util.tree_flatten_with_path(trainer.params)[0]
    shown = [jax.tree_util.keystr(path) for path, _ in leaves[:MOST_PARAMETERS]]
    return ", ".join(shown) + " ..." * (len(leaves) > MOST_PARAMETERS)
