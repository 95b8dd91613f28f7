"""All contenders trained in threads of their own, some at a time.

The thread that waits for them can answer a Ctrl-C at once, while XLA compiles or runs in the others.
"""

import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

from .contenders import Contender
from .results import Result, summarize
from .runner import Trainer

THREAD = "gradchain training"
MOST_AT_ONCE = 4


class Progress(NamedTuple):
    """What happens now."""

    name: str  # of the contender
    what: str
    steps: int  # that have just been taken


class Failure(NamedTuple):
    """A contender that raised an error."""

    name: str
    error: Exception


class Outcome(NamedTuple):
    """What came of the contenders. Those in neither list were interrupted."""

    results: list[Result]
    failures: list[Failure]


class Training:
    """The training of some contenders. As many train at a time as there are cores, at most four.

    XLA has work for one core in most steps of models this small.
    """

    def __init__(self, trainer: Trainer, contenders: Sequence[Contender], at_once: int | None = None):
        self.trainer, self.contenders = trainer, contenders
        self.at_once = min(at_once or min(os.cpu_count() or 1, MOST_AT_ONCE), len(contenders))
        self.waiting = iter(contenders)  # shared by the threads
        self.taking = threading.Lock()
        self.news: SimpleQueue[Any] = SimpleQueue()  # Progress, Result, Failure; None: a thread has ended
        self.stopped = False

    def stop(self) -> None:
        """Ends the waiting in `outcome`. A signal handler may call it."""
        self.stopped = True
        self.news.put(None)

    def outcome(self, on_progress: Callable[[Progress], None]) -> Outcome:
        """Trains until all contenders are done, or until `stop`."""
        for _ in range(self.at_once):  # daemons: the process may end while XLA is at work in them
            threading.Thread(target=self._train, name=THREAD, daemon=True).start()
        outcome, at_work = Outcome([], []), self.at_once
        while at_work:
            match item := self.news.get():
                case None if self.stopped:
                    break
                case None:
                    at_work -= 1
                case Progress():
                    on_progress(item)
                case Result():
                    outcome.results.append(item)
                case Failure():
                    outcome.failures.append(item)
        return outcome

    def _train(self) -> None:
        try:
            while (contender := self._next()) is not None:
                self._train_one(contender)
        except _Stopped:
            pass
        finally:
            self.news.put(None)

    def _next(self) -> Contender | None:
        with self.taking:
            return next(self.waiting, None)

    def _train_one(self, contender: Contender) -> None:
        def moved(what: str, steps: int) -> None:
            if self.stopped:
                raise _Stopped
            self.news.put(Progress(contender.name, what, steps))

        try:
            history = self.trainer.run(contender, moved)
            self.news.put(summarize(self.trainer.task, self.trainer.data, history))
        except Exception as error:  # the others' results are not lost over it
            self.news.put(Failure(contender.name, error))


class _Stopped(BaseException):
    """Ends the training thread. It is no Exception, so that it is not taken for a failure."""
