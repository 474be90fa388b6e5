"""How far a stream reads ahead of its consumer."""

from dataclasses import dataclass

from store.errors import PlanError
from store.files import parse_size


@dataclass(frozen=True, kw_only=True)
class ReadAhead:
    """How far a stream reads ahead of its consumer.

    Attributes
    ----------
    threads
        Number of decoding threads.
    batches
        Maximum number of batches read ahead, not counting the one that the consumer has.
    """

    threads: int
    batches: int

    @classmethod
    def within(cls, memory: int | str, threads: int, batch_bytes: int) -> "ReadAhead":
        """Return the read-ahead that a memory limit allows: at most two batches per thread.

        Parameters
        ----------
        memory
            Limit in bytes, or as text such as ``"512MiB"``, for all batches including the consumer's.
        threads
            Number of decoding threads.
        batch_bytes
            Size of the largest batch, in bytes.

        Raises
        ------
        PlanError
            If there are no threads, or the memory does not hold two batches.
        ConfigError
            If `memory` is not a size.
        """
        if threads < 1:
            raise PlanError(f"threads={threads} is below 1")
        allowed = parse_size("memory", memory) // batch_bytes
        if allowed < 2:
            raise PlanError(
                f"memory={memory!r} is less than two batches of {batch_bytes} bytes; "
                "lower the batch size or raise the memory"
            )
        return cls(threads=threads, batches=min(allowed - 1, 2 * threads))
