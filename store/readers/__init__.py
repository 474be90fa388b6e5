"""Reading images by position: from mapped shards, with ``pread``, or with zarr-python; and reading ahead."""
