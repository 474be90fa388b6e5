"""All functions that numba compiles, and the folder that keeps their machine code."""
