"""All contenders trained one after another, in a thread of their own.

The thread that waits for them can answer a Ctrl-C at once, while XLA compiles or runs in the other.
"""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

from .contenders import Contender
from .results import Result, summarize
from .runner import Trainer

THREAD = "gradchain training"


class Progress(NamedTuple):
    """What happens now."""

    name: str  # of the contender
    what: str
    epochs: int  # that have just been finished


class Failure(NamedTuple):
    """A contender that raised an error."""

    name: str
    error: Exception


class Outcome(NamedTuple):
    """What came of the contenders. Those in neither list were interrupted."""

    results: list[Result]
    failures: list[Failure]


class Training:
    """The training of some contenders, in their order."""

    def __init__(self, trainer: Trainer, contenders: Sequence[Contender]):
        self.trainer, self.contenders = trainer, contenders
        self.news: SimpleQueue[Any] = SimpleQueue()  # Progress, Result, Failure; None: there is no more
        self.stopped = False

    def stop(self) -> None:
        """Ends the waiting in `outcome`. A signal handler may call it."""
        self.stopped = True
        self.news.put(None)

    def outcome(self, on_progress: Callable[[Progress], None]) -> Outcome:
        """Trains until all contenders are done, or until `stop`."""
        # A daemon: the process may end while XLA is at work in it.
        threading.Thread(target=self._train, name=THREAD, daemon=True).start()
        outcome = Outcome([], [])
        while (item := self.news.get()) is not None:
            match item:
                case Progress():
                    on_progress(item)
                case Result():
                    outcome.results.append(item)
                case Failure():
                    outcome.failures.append(item)
        return outcome

    def _train(self) -> None:
        try:
            for contender in self.contenders:
                self._train_one(contender)
        except _Stopped:
            pass
        finally:
            self.news.put(None)

    def _train_one(self, contender: Contender) -> None:
        def moved(what: str, epochs: int) -> None:
            if self.stopped:
                raise _Stopped
            self.news.put(Progress(contender.name, what, epochs))

        try:
            history = self.trainer.run(contender, moved)
            self.news.put(summarize(self.trainer.task, self.trainer.data, history))
        except Exception as error:  # the others' results are not lost over it
            self.news.put(Failure(contender.name, error))


class _Stopped(BaseException):
    """Ends the training thread. It is no Exception, so that it is not taken for a failure."""
