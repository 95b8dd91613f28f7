"""The checkpoints of a run: written in the background, whole or not at all; read with every check."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import jax

from ..core import GradientTransformation
from ..core._errors import warn_user
from ..tools.saving.document import CheckpointError
from ..tools.saving.entries import parameter_entries
from . import contents
from .contents import Saved
from .directories import BAD, locked, move_aside, prepare, steps_in
from .placing import like
from .together import all_agree, first_alone, gathered


class SaveError(RuntimeError):
    """A checkpoint could not be written. The last good one stays in its place."""


class Unsaved:
    """The checkpoints of a run that has no directory."""

    steps: tuple[int, ...] = ()

    def newest(self) -> Saved:
        """There is none."""
        raise LookupError("nothing is saved")

    def save(self, saved: Saved) -> None:
        """Saves nothing."""

    def check(self, *, wait: bool = False) -> None:
        """Nothing can fail."""

    def close(self) -> None:
        """Nothing is open."""


class Checkpoints:
    """The checkpoints in a directory, of which the newest `keep` stay.

    Args:
        directory: it is made, or checked.
        tx, run: what will be saved, of which only shapes and places are read.
    Raises: ImportError without Orbax; what `prepare` raises.
    """

    def __init__(self, directory: Path, tx: GradientTransformation, run: Saved, keep: int):
        self.directory, self.tx = directory, tx
        self.like = like((run.params, run.opt_state))
        self.pending: int | None = None  # the step that is being written
        specs = {e.name: [str(e.leaf.dtype), list(e.leaf.shape)] for e in parameter_entries(self.like[0])}
        described = {"transformation": repr(tx), "parameters": specs}
        self.lock: IO[str] | None = None  # of process 0

        def begin() -> None:
            prepare(directory, described)
            self.lock = locked(directory)

        make_manager = _manager_of(directory, keep)
        first_alone(begin)
        self.manager = make_manager()
        self.steps: list[int] = gathered(steps_in(directory))[0]  # that are there at first

    def newest(self) -> Saved:
        """The newest checkpoint that is whole. Newer ones, which are not, are moved aside.

        Raises: CheckpointError if one does not fit, or none is whole.
        """
        bad: list[tuple[int, str]] = []
        for step in reversed(self.steps):
            found, reason = self._read(step)
            if found is not None:
                self._set_aside(bad, step)
                return found
            bad.append((step, reason))
        told = "; ".join(f"step {step}: {reason}" for step, reason in bad)
        raise CheckpointError(
            f"fit: no checkpoint in {self.directory} is whole ({told}). All are still there. Give "
            "another directory to begin anew."
        )

    def save(self, saved: Saved) -> None:
        """Begins to write a checkpoint, when the one before is written. What is given may be donated then.

        Raises: SaveError.
        """
        self.check(wait=True)
        if saved.step in self.manager.all_steps():
            return
        found = contents.named(self.tx, saved.params, saved.opt_state)
        about = contents.description(self.tx, saved, found)
        import orbax.checkpoint as ocp

        self.pending = saved.step
        both = ocp.args.Composite(
            arrays=ocp.args.StandardSave(contents.arrays_of(found)), about=ocp.args.JsonSave(about)
        )
        try:
            self.manager.save(saved.step, args=both, force=True)
        except Exception as error:
            raise self._failed(error) from error

    def check(self, *, wait: bool = False) -> None:
        """Raises: SaveError, if what was written in the background could not be."""
        if self.pending is None:
            return
        try:
            self.manager.wait_until_finished() if wait else self.manager.check_for_errors()
        except Exception as error:
            raise self._failed(error) from error
        if wait:
            self.pending = None

    def close(self) -> None:
        """Ends the background work. An error of it was told by `check`, or another one is on its way."""
        with contextlib.suppress(Exception):
            self.manager.close()
        if self.lock is not None:
            self.lock.close()

    def _failed(self, error: Exception) -> SaveError:
        step, self.pending = self.pending, None
        good = [s for s in steps_in(self.directory) if s != step]
        last = f"The last good one is that of step {good[-1]}" if good else "There is no other one"
        return SaveError(
            f"fit: step {step} could not be saved in {self.directory} ({type(error).__name__}: {error}). "
            f"{last}. Make room, or whatever else the error asks for, and run the same command again: it "
            "goes on from there."
        )

    def _read(self, step: int) -> tuple[Saved | None, str]:
        """A checkpoint, or why there is none: the same answer in all processes."""
        import orbax.checkpoint as ocp

        where = f"the checkpoint of step {step} in {self.directory}"
        found, reason = None, ""
        entries = contents.named(self.tx, *self.like)
        try:
            about = self.manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))
            content = contents.content_of(_item(about, "about"))
            contents.check_fits(self.tx, entries, content, where)
            how = ocp.args.StandardRestore(contents.wanted(entries))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Orbax, on shardings that it did not write
                read = self.manager.restore(step, args=ocp.args.Composite(arrays=how))
            arrays: Mapping[str, jax.Array] = _item(read, "arrays")
            contents.check_whole(arrays, content)
            found = contents.rebuilt(self.like, entries, arrays, content)
        except (CheckpointError, ImportError, MemoryError):
            raise
        except Exception as error:  # Orbax and its libraries have classes of their own
            reason = f"{type(error).__name__}: {error}"
        return (
            (found, reason) if all_agree(found is not None) else (None, reason or "another process failed")
        )

    def _set_aside(self, bad: list[tuple[int, str]], good: int) -> None:
        """Moves checkpoints that are not whole to where they do not count, and warns."""
        for step, reason in bad:
            first_alone(lambda step=step: move_aside(self.directory, step))
            warn_user(
                f"fit: the checkpoint of step {step} in {self.directory / str(step)} is not whole "
                f"({reason}). It was moved to {self.directory / BAD}; training goes on from step {good}.",
                UserWarning,
            )
        if bad:
            self.manager.reload()


def _manager_of(directory: Path, keep: int) -> Callable[[], Any]:
    """What makes Orbax's manager. Raises: ImportError at once."""
    try:
        import orbax.checkpoint as ocp
    except ImportError as error:
        raise ImportError(
            'fit: checkpoints need orbax-checkpoint: install it with pip install "gradchain[train]", or '
            "leave out directory."
        ) from error

    class Manager(ocp.CheckpointManager):
        """Orbax asks for preemptions too, from another thread and with an older step: only `fit` may."""

        def reached_preemption(self, step: int) -> bool:
            return False

    # Where a folder cannot be made in the background, other threads of Orbax wait for it for ten minutes.
    writing = ocp.AsyncOptions(create_directories_asynchronously=False)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, cleanup_tmp_directories=True, async_options=writing
    )
    return lambda: Manager(directory.absolute(), options=options, item_names=("arrays", "about"))


def _item(restored: Any, name: str) -> Any:
    """An item of what Orbax read. Raises: Damaged, if it is not there."""
    if restored is None or restored.get(name) is None:
        raise contents.Damaged(f"{name} is missing")
    return restored[name]
