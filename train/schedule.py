"""When to lower the learning rate and when to stop: a validation loss in, a decision out, the same in both frameworks.

Everything here is a pure function of its arguments. A state is a small value that goes into a checkpoint as JSON.
"""

from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class ScheduleState:
    """Where a schedule stands after some epochs.

    Attributes
    ----------
    rate
        Learning rate of the next epoch.
    best
        Lowest validation loss that counted as an improvement, or None before the first epoch.
    wait
        Epochs without improvement that count towards the next reduction.
    cooldown
        Epochs that do not count yet.
    """

    rate: float
    best: float | None = None
    wait: int = 0
    cooldown: int = 0


class Schedule(Protocol):
    """A rule for the learning rate."""

    def start(self, rate: float) -> ScheduleState:
        """Return the state before the first epoch."""
        ...

    def after(self, state: ScheduleState, loss: float) -> ScheduleState:
        """Return the state after an epoch that ended with this validation loss."""
        ...


@dataclass(frozen=True, kw_only=True)
class Constant:
    """One learning rate for all epochs."""

    def start(self, rate: float) -> ScheduleState:
        """Return the state before the first epoch."""
        return ScheduleState(rate=rate)

    def after(self, state: ScheduleState, loss: float) -> ScheduleState:
        """Return the state unchanged."""
        return state


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """Lower the learning rate when the validation loss has stopped falling; ``keras.callbacks.ReduceLROnPlateau``.

    Attributes
    ----------
    factor
        What the rate is multiplied by.
    patience
        Epochs without improvement that it takes.
    min_delta
        Fall of the loss that counts as an improvement.
    cooldown
        Epochs after a reduction that do not count.
    minimum
        Lowest rate.
    """

    factor: float = 0.5
    patience: int = 2
    min_delta: float = 1e-4
    cooldown: int = 1
    minimum: float = 1e-10

    def start(self, rate: float) -> ScheduleState:
        """Return the state before the first epoch."""
        return ScheduleState(rate=rate)

    def after(self, state: ScheduleState, loss: float) -> ScheduleState:
        """Return the state after an epoch that ended with this validation loss."""
        if state.cooldown > 0:
            state = replace(state, cooldown=state.cooldown - 1, wait=0)
        if state.best is None or loss + self.min_delta < state.best:
            return replace(state, best=loss, wait=0)
        if state.cooldown > 0:
            return state
        if state.wait + 1 < self.patience or state.rate <= self.minimum:
            return replace(state, wait=state.wait + 1)
        rate = max(state.rate * self.factor, self.minimum)
        return replace(state, rate=rate, wait=0, cooldown=self.cooldown)


SCHEDULES: dict[str, Schedule] = {"plateau": Plateau(), "constant": Constant()}


@dataclass(frozen=True, kw_only=True)
class StoppingState:
    """What early stopping remembers.

    Attributes
    ----------
    best
        Lowest validation loss so far, or None before the first epoch.
    best_epoch
        The epoch that had it, counted from 1.
    wait
        Epochs since.
    """

    best: float | None = None
    best_epoch: int = 0
    wait: int = 0


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Stop when the validation loss has not fallen for `patience` epochs; ``keras.callbacks.EarlyStopping``."""

    patience: int = 4

    def after(self, state: StoppingState, epoch: int, loss: float) -> StoppingState:
        """Return the state after an epoch, counted from 1, that ended with this validation loss."""
        if state.best is None or loss < state.best:
            return StoppingState(best=loss, best_epoch=epoch)
        return replace(state, wait=state.wait + 1)

    def stops(self, state: StoppingState) -> bool:
        """Return whether training ends here."""
        return state.wait >= self.patience
