"""Learning-rate schedules and early stopping, the same in both frameworks.

All functions are pure. A state is a small value that is stored in checkpoints as JSON.
"""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class ScheduleState:
    """State of a schedule after some epochs.

    Attributes
    ----------
    rate
        Learning rate of the next epoch, before it is multiplied by `Constant.factor` and `warm_up_factor`.
    best
        Lowest validation loss that counted as an improvement; None before the first epoch.
    wait
        Number of epochs without improvement that count towards the next reduction.
    cooldown
        Number of coming epochs that will not be added to `wait`, because the rate was reduced shortly before.
    """

    rate: float
    best: float | None = None
    wait: int = 0
    cooldown: int = 0


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A constant learning rate, and the base class of the other schedules."""

    def start(self, rate: float) -> ScheduleState:
        """Return the state before the first epoch."""
        return ScheduleState(rate=rate)

    def after(self, state: ScheduleState, loss: float) -> ScheduleState:
        """Return the state after an epoch with this validation loss."""
        return state

    def factor(self, time: float, epochs: int) -> float:
        """Return the factor on the learning rate at a point of the training.

        Parameters
        ----------
        time
            Time since the start of training, in epochs; in the middle of the first epoch it is 0.5.
        epochs
            Number of epochs of the whole training.
        """
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine(Constant):
    """The learning rate falls to zero over all epochs, along half a period of a cosine."""

    def factor(self, time: float, epochs: int) -> float:
        """See `Constant.factor`."""
        return half_cosine(time / epochs)


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Constant):
    """Cosine annealing with restarts after 1, 2, 4, ... epochs (SGDR, https://arxiv.org/abs/1608.03983).

    With 15 epochs, training ends at the end of the fourth cycle.
    """

    def factor(self, time: float, epochs: int) -> float:
        """See `Constant.factor`."""
        length = 2 ** math.floor(math.log2(time + 1))
        return half_cosine((time + 1 - length) / length)


def half_cosine(progress: float) -> float:
    """Return a factor that falls from 1 to 0 while `progress` rises from 0 to 1."""
    return (1 + math.cos(math.pi * min(1.0, progress))) / 2


def warm_up_factor(time: float, length: float) -> float:
    """Return a factor that rises linearly from 0 to 1 during the first `length` epochs; `time` is in epochs, too."""
    return 1.0 if time >= length else time / length


@dataclass(frozen=True, kw_only=True)
class Plateau(Constant):
    """Lowers the learning rate when the validation loss stops falling, as ``keras.callbacks.ReduceLROnPlateau`` does.

    Attributes
    ----------
    reduction
        Factor by which the learning rate is reduced.
    patience
        Number of epochs without improvement before a reduction.
    min_delta
        Smallest decrease of the loss that counts as an improvement.
    cooldown
        Number of epochs after a reduction that do not count as epochs without improvement.
    minimum
        Lowest learning rate.
    """

    reduction: float = 0.5
    patience: int = 2
    min_delta: float = 1e-4
    cooldown: int = 1
    minimum: float = 1e-10

    def after(self, state: ScheduleState, loss: float) -> ScheduleState:
        """See `Constant.after`."""
        if state.cooldown > 0:
            state = replace(state, cooldown=state.cooldown - 1, wait=0)
        if state.best is None or loss + self.min_delta < state.best:
            return replace(state, best=loss, wait=0)
        if state.cooldown > 0:
            return state
        if state.wait + 1 < self.patience or state.rate <= self.minimum:
            return replace(state, wait=state.wait + 1)
        rate = max(state.rate * self.reduction, self.minimum)
        return replace(state, rate=rate, wait=0, cooldown=self.cooldown)


SCHEDULES: dict[str, Constant] = {
    "constant": Constant(),
    "plateau": Plateau(),
    "cosine": Cosine(),
    "cosine-restarts": CosineRestarts(),
}


@dataclass(frozen=True, kw_only=True)
class StoppingState:
    """State of early stopping after some epochs.

    Attributes
    ----------
    best
        Lowest validation loss so far; None before the first epoch.
    best_epoch
        Epoch with the lowest validation loss, counted from 1.
    wait
        Number of epochs since then.
    """

    best: float | None = None
    best_epoch: int = 0
    wait: int = 0


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Ends training after `patience` epochs without a lower validation loss; see ``keras.callbacks.EarlyStopping``."""

    patience: int = 4

    def after(self, state: StoppingState, epoch: int, loss: float) -> StoppingState:
        """Return the state after an epoch, counted from 1, with this validation loss."""
        if state.best is None or loss < state.best:
            return StoppingState(best=loss, best_epoch=epoch)
        return replace(state, wait=state.wait + 1)

    def stops(self, state: StoppingState) -> bool:
        """Return whether training should end."""
        return state.wait >= self.patience
