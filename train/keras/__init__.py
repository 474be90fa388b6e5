"""The Keras side of training."""
