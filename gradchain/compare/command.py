"""The command line: options in, a comparison out, and errors that help."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..core import nearest
from ..tools.xla_flags import use_xla_flags
from .errors import CompareError
from .options import BatchSize, Count, Positive
from .presets import PRESETS
from .schedules import SCHEDULES
from .session import run
from .settings import Settings
from .tasks import TASKS


class Helpful(click.Command):
    """A command that answers an unknown option with the options there are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = [o for p in self.params if isinstance(p, click.Option) for o in p.opts]
            raise Refused(
                f"unknown option {error.option_name!r}.{nearest(error.option_name, known)} "
                f"The options are: {', '.join(known)}."
            ) from None
        except click.BadParameter as error:
            name = error.param.opts[0] if error.param else "option"
            raise Refused(f"{name}: {error.message}") from None
        except click.UsageError as error:
            raise Refused(error.message) from None


class Commands(click.Group):
    """A group that answers an unknown command with the commands there are."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None:
            known = self.list_commands(ctx)
            raise Refused(
                f"unknown command {name!r}.{nearest(name, known)} The commands are: {', '.join(known)}."
            )
        return super().resolve_command(ctx, args)


class Refused(click.ClickException):
    """Bad input: the message alone, and exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"gradchain: {self.message}", file=file, err=True)


@click.group(cls=Commands)
def gradchain() -> None:
    """Gradient transformations for JAX."""


@gradchain.command(cls=Helpful)
@click.argument("task", default="digits")
@click.option("--optimizers", metavar="A,B,...", help="Names or chains [all of the preset's].")
@click.option("--epochs", type=Count(), help="Passes over the data [the task's own number].")
@click.option("--batch-size", type=BatchSize(), help="Examples of a step [the task's own, mostly 32].")
@click.option("--seeds", type=Count(), help="Runs per optimizer [the task's own, 5 or 3].")
@click.option(
    "--rates", metavar="best|default",
    help="best: each optimizer at the best learning rate of a grid, chosen on validation data; what its "
    "default rate gives is shown beside. default: only the rates of the library or the preset [best; "
    "default with --preset keras or torch].",
)  # fmt: skip
@click.option("--sweep", is_flag=True, help="Another word for --rates best.")
@click.option("--learning-rate", type=Positive(), help="One learning rate for all, in place of --rates.")
@click.option(
    "--preset", metavar="|".join(PRESETS), default="defaults", show_default=True,
    help="Whose constants and default rates. Those of keras and torch are taken as they are; with "
    "--rates best the rates are chosen, and only the constants are theirs.",
)  # fmt: skip
@click.option("--schedule", metavar="|".join(SCHEDULES), help="What the learning rate follows.")
@click.option("--clip", type=Positive(), help="Clip gradients to this global norm.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="mnist's IDX files.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", default="gradchain-out",
    show_default=True, help="Where results, pictures and report go.",
)  # fmt: skip
@click.pass_context
def compare(ctx: click.Context, **options: Any) -> None:
    """Train one model with many optimizers under equal conditions and show who wins."""
    try:
        use_xla_flags()
    except RuntimeError:  # called from a Python that has computed already
        pass
    except ValueError as error:
        raise Refused(str(error)) from None
    try:
        ctx.exit(run(Settings(**options), Console()))
    except CompareError as error:
        raise Refused(str(error)) from None


compare.epilog = "The tasks: " + "; ".join(f"{t.name}: {t.what}" for t in TASKS.values()) + "."
