"""The PyTorch side of training."""
