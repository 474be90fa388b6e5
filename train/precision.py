"""The precision that ``auto`` stands for, the same in both frameworks."""

from pathlib import Path

from train.config import AUTO

GPU_CAPABILITY = (8, 0)
"""Compute capability from which an NVIDIA GPU multiplies in bfloat16 and TF32."""
CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}


def resolve_precision(precision: str, *, native: bool) -> str:
    """Return the precision; ``auto`` is bfloat16 where the devices multiply in it natively, otherwise float32."""
    if precision != AUTO:
        return precision
    return "bfloat16" if native else "float32"


def processor_has_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether the processor has instructions that multiply in bfloat16, and that both frameworks use.

    These are AVX512_BF16 and AMX of x86. On an Arm processor, the backward pass in bfloat16 has not been measured.

    Parameters
    ----------
    cpuinfo
        What Linux says about the processor. Without this file, the answer is no.
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    return any(INSTRUCTIONS & set(line.split()) for line in lines if line.startswith("flags"))
