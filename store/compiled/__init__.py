"""Compiled functions: everything numba compiles, in one folder that shares one cache."""
