"""One comparison, from its settings to its files."""

import dataclasses
import os
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeElapsedColumn

from . import files, tasks
from .contenders import Contender, choose
from .errors import CompareError
from .fit import check, failed
from .interruption import Interruption
from .notes import notes
from .ranking import rank
from .rates import GRID
from .runner import Trainer
from .schedules import find_schedule
from .settings import Settings
from .table import rich_table
from .training import Outcome, Progress, Training
from .writing import write


def run(settings: Settings, console: Console) -> int:
    """Trains, prints the table and writes the files; returns the exit code.

    A Ctrl-C while training stops it. What is finished by then is still printed and written.

    Raises:
      CompareError: before anyone trains, for settings that cannot be met and for optimizers that do not
        fit the model; after the results are written, for optimizers that failed while training.
    """
    trainer, contenders = _prepared(settings)
    out = files.folder(settings.out)
    facts = _facts(settings, trainer, contenders)
    console.print(f"[bold]{trainer.task.name}[/]: {trainer.task.what}")
    console.print(_summary(facts), style="dim", highlight=False)
    flags = escape(os.environ.get("XLA_FLAGS", "").strip() or "none")
    console.print(f"XLA_FLAGS: {flags}", style="dim", highlight=False, soft_wrap=True)

    training = Training(trainer, contenders)
    with Interruption(training.stop) as interruption:
        results, failures = _train(training, console)
        results = rank(trainer.task, results)
        unfinished = [c.name for c in contenders if c.name not in {r.name for r in results}]
        while_training = interruption.number is not None
        if while_training:
            done = f"{len(results)} of {len(contenders)} optimizers finished"
            rest = f"; not finished: {', '.join(unfinished)}" if unfinished else ""
            console.print(f"[yellow]{interruption.word.capitalize()}: {done}{escape(rest)}.[/]")
        if results:
            console.print(rich_table(trainer.task, results))
            for line in notes(trainer.task, results, trainer.seeds, len(trainer.data.test)):
                console.print(f"· {line}", style="dim", highlight=False)
            written = write(out, trainer.task, results, facts, unfinished)
            console.print(f"Written to {out}: {', '.join(written)}", highlight=False, soft_wrap=True)
    if interruption.number and not while_training:
        console.print(f"[yellow]{interruption.word.capitalize()} after the last step: all is written.[/]")
    if failures and not interruption.number:
        raise failed(failures)
    return interruption.code


def _prepared(settings: Settings) -> tuple[Trainer, list[Contender]]:
    """The trainer with its data, and the contenders, all of which fit the model."""
    task = tasks.find(settings.task)
    _choose(settings, 1)  # complains of the options before the data are read
    data = tasks.load(task, settings.data)
    batch = _batch_size(settings.batch_size or task.batch_size, len(data.train))
    epochs, seeds = settings.epochs or task.epochs, settings.seeds or task.seeds
    trainer = Trainer(task, data, batch_size=batch, epochs=epochs, seeds=seeds)
    contenders = _choose(settings, trainer.steps)
    for contender in contenders:
        check(trainer, contender)
    return trainer, contenders


def _choose(settings: Settings, steps: int) -> list[Contender]:
    schedule = find_schedule(settings.schedule, steps) if settings.schedule else None
    return choose(
        settings.optimizers,
        settings.preset,
        rates=settings.tuning,
        rate=settings.learning_rate,
        schedule=schedule,
        clip=settings.clip,
    )


def _batch_size(asked: int | str, examples: int) -> int:
    size = examples if asked == "full" else int(asked)
    if size > examples:
        raise CompareError(
            f"--batch-size {size} is larger than the {examples} training examples; "
            "give at most that, or full."
        )
    return size


def _train(training: Training, console: Console) -> Outcome:
    """What comes of the contenders, with a bar that moves meanwhile."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("", total=len(training.contenders) * training.trainer.steps)

        def moved(progress: Progress) -> None:
            text = escape(f"{progress.name}: {progress.what}")
            bars.update(bar, description=text, advance=progress.steps)

        return training.outcome(moved)


def _facts(settings: Settings, trainer: Trainer, contenders: list[Contender]) -> dict[str, Any]:
    """The settings with all defaults filled in, for the files."""
    options = dataclasses.asdict(settings) | {
        "epochs": trainer.epochs,
        "batch_size": trainer.batch_size,
        "seeds": trainer.seeds,
        "rates": settings.tuning if settings.learning_rate is None else "given",
        "data": settings.data and str(settings.data),
        "out": str(settings.out),
        "optimizers": [c.name for c in contenders],
    }
    del options["sweep"]  # another word for rates
    swept = any(c.rates == GRID for c in contenders)
    return options | {
        "learning_rates_tried": list(GRID) if swept else None,
        "steps": trainer.steps,
        "training_examples": len(trainer.data.train),
        "validation_examples": len(trainer.data.validation),
        "test_examples": len(trainer.data.test),
        "parameters": trainer.parameters,
    }


def _summary(facts: dict[str, Any]) -> str:
    return (
        f"{facts['parameters']:,} parameters · {facts['training_examples']:,} training examples · "
        f"{facts['epochs']} epochs of batches of {facts['batch_size']} · {facts['seeds']} seeds · "
        f"preset {facts['preset']}"
        + (
            f" · {len(facts['learning_rates_tried'])} learning rates"
            if facts["learning_rates_tried"]
            else ""
        )
    )
