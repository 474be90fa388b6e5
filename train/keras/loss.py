"""The loss of a step."""

from collections.abc import Sequence

import tensorflow as tf


class Loss:
    """Binary cross-entropy of one logit per sample, softmax cross-entropy of more, as the mean over the samples.

    Parameters
    ----------
    class_weights
        The weight of each class; None if all count the same.
    """

    def __init__(self, class_weights: Sequence[float] | None) -> None:
        self._class_weights = None if class_weights is None else tf.constant(class_weights, tf.float32)

    def __call__(
        self,
        samples: tf.Tensor,
        logit: tf.Tensor,
        label: tf.Tensor,
        weight: tf.Tensor | None = None,
        target: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return one device's part of the loss; their sum is the mean over all samples of the batch.

        Parameters
        ----------
        samples
            Number of samples of the batch.
        logit
            (n,) or (n, K).
        label
            (n,), classes.
        weight
            (n,), weights of the samples.
        target
            (n,) or (n, K), the probabilities that the logits are compared with, in place of the classes. The weights of
            the classes are those of `label`.
        """
        if logit.shape.rank == 1:
            expected = tf.cast(label, tf.float32) if target is None else target
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=expected, logits=logit)
        elif target is not None:
            losses = tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=logit)
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.cast(label, tf.int32), logits=logit)
        if weight is not None:
            losses *= weight
        if self._class_weights is not None:
            losses *= tf.gather(self._class_weights, tf.cast(label, tf.int32))
        return tf.reduce_sum(losses) / tf.cast(samples, tf.float32)
