"""What the shuffling of batches is worth, in words."""

from dataclasses import dataclass

from ingest.info import shuffle_qualities
from store.opening import Store
from store.plans.shuffle_quality import ShuffleQuality

MOST_SAMPLES = 5_000_000
"""Samples of a training split whose orders are computed; it takes seconds, and longer splits hardly differ."""

MEANINGS = {
    "full": "all samples of the split in a new random order in each epoch",
    "window": "chunks in random order, and their samples mixed within windows of several chunks",
    "chunks": "chunks in random order; the samples of a chunk stay together",
    "none": "the order of the store, the same in each epoch",
}
CLOSE = 1.25
"""Ratio to chance up to which a number counts as equal to chance."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A kind of shuffling, with what it does and what was found, in words."""

    kind: str
    meaning: str
    together: str
    balance: str


def explain_shuffling(store: Store) -> tuple[int, list[Explanation]]:
    """Return the batch size, and an explanation of each kind of shuffling of the training split.

    There is none if the split has too few samples for two batches, or more than `MOST_SAMPLES`.
    """
    start, stop = store.split_range("train")
    if stop - start > MOST_SAMPLES:
        return 0, []
    batch_size, qualities = shuffle_qualities(store)
    return batch_size, [explain(kind, quality) for kind, quality in qualities.items()]


def explain(kind: str, quality: ShuffleQuality) -> Explanation:
    """Return what the two ratios of a kind of shuffling say."""
    companions, balance = quality.companions, quality.balance
    if companions <= CLOSE:
        together = f"Two images of a batch meet again in the next epoch as often as by chance ({companions:.3g})"
    else:
        together = f"Two images of a batch meet again in the next epoch {companions:,.3g} times as often as by chance"
    if balance > CLOSE:
        mixed = "the classes are mixed less evenly over the batches than by chance"
    elif balance < 1 / CLOSE:
        mixed = "the classes are mixed more evenly over the batches than by chance"
    else:
        mixed = "the classes are mixed over the batches as evenly as by chance"
    return Explanation(
        kind=kind,
        meaning=MEANINGS[kind],
        together=f"{together}.",
        balance=f"{mixed[:1].upper()}{mixed[1:]} ({balance:.3g}).",
    )
