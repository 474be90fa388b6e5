"""The states of PyTorch's random number generators."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch


def random_states(device: torch.device) -> dict[str, npt.NDArray[Any]]:
    """Return the state of each generator that a rank on the device uses, uint8 (1, bytes), by name."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return {name: state.numpy()[None] for name, state in states.items()}


def restore_random_states(states: Mapping[str, npt.NDArray[Any]], rank: int, device: torch.device) -> None:
    """Restore the states of a rank; a rank that the run did not have before gets new ones.

    Parameters
    ----------
    states
        uint8 (rank, bytes), the states of all ranks by the name of the generator.
    rank
        The rank.
    device
        Its device.
    """
    if rank >= len(states["cpu"]):
        digest = hashlib.sha256(states["cpu"].tobytes() + bytes([rank % 256, rank // 256]))
        torch.manual_seed(int.from_bytes(digest.digest()[:7]))
        return
    torch.set_rng_state(torch.tensor(states["cpu"][rank]))
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(torch.tensor(states["cuda"][rank]), device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(torch.tensor(states["mps"][rank]))
