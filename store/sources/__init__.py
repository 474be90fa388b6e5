"""Source files: HDF5 and Parquet behind one protocol, checked by one set of rules."""
