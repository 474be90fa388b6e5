"""An environment for Keras on a GPU has no PyTorch; what needs it is not collected there."""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["test_lightning.py", "test_torchdata.py"]
