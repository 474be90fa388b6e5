"""What the learning rate is and when to stop: time and a validation loss in, a number out, alike in both frameworks.

Everything here is a pure function of its arguments. A state is a small value that goes into a checkpoint as JSON.
"""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class ScheduleState:
    """Where a schedule stands after some epochs.

    Attributes
    ----------
    rate
        Learning rate of the next epoch, before `Constant.share` and `warm_up`.
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


@dataclass(frozen=True, kw_only=True)
class Constant:
    """One learning rate for all epochs; the other schedules change what they need to."""

    def start(self, rate: float) -> ScheduleState:
        """Return the state before the first epoch."""
        return ScheduleState(rate=rate)

    def after(self, state: ScheduleState, loss: float) -> ScheduleState:
        """Return the state after an epoch that ended with this validation loss."""
        return state

    def share(self, at: float, epochs: int) -> float:
        """Return the share of the rate that a step takes, `at` epochs after the start of a run of `epochs`."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine(Constant):
    """Half a cosine from the full rate to zero over all epochs."""

    def share(self, at: float, epochs: int) -> float:
        """See `Constant.share`."""
        return half_cosine(at / epochs)


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Constant):
    """Half cosines of 1, 2, 4, ... epochs (Loshchilov and Hutter, "SGDR", ICLR 2017); 15 epochs end with the fourth."""

    def share(self, at: float, epochs: int) -> float:
        """See `Constant.share`."""
        length = 2 ** math.floor(math.log2(at + 1))
        return half_cosine((at + 1 - length) / length)


def half_cosine(share: float) -> float:
    """Return 1 falling to 0 as `share` goes from 0 to 1."""
    return (1 + math.cos(math.pi * min(1.0, share))) / 2


def warm_up(at: float, length: float) -> float:
    """Return the share of the rate that a step takes, `at` epochs after the start: growing up to `length`, then 1."""
    return 1.0 if at >= length else at / length


@dataclass(frozen=True, kw_only=True)
class Plateau(Constant):
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


SCHEDULES: dict[str, Constant] = {
    "constant": Constant(),
    "plateau": Plateau(),
    "cosine": Cosine(),
    "cosine-restarts": CosineRestarts(),
}


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
