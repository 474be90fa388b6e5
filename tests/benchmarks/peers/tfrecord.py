"""TFRecord files through tf.data: files in random order, a shuffle buffer, parsed batch by batch, read ahead."""

from collections.abc import Callable, Iterator

import tensorflow as tf

from tests.benchmarks.reader import Place, Reader

MOST = 25_000
BUFFER = 8192


def write(place: Place) -> None:
    for number, block in enumerate(place.images.blocks()):
        with tf.io.TFRecordWriter(str(place.folder / f"{number:04}.tfrecord")) as writer:
            for image in block:
                value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()]))
                writer.write(tf.train.Example(features=tf.train.Features(feature={"image": value})).SerializeToString())


def open_files(place: Place) -> Callable[[int], Iterator[tf.Tensor]]:
    def parse(records: tf.Tensor) -> tf.Tensor:
        parsed = tf.io.parse_example(records, {"image": tf.io.FixedLenFeature([], tf.string)})
        return tf.reshape(tf.io.decode_raw(parsed["image"], tf.float32), (-1, *place.images.shape))

    files = tf.data.Dataset.list_files(str(place.folder / "*.tfrecord"), shuffle=True)
    images = (
        files.interleave(tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE, deterministic=False)
        .shuffle(BUFFER)
        .batch(place.batch, num_parallel_calls=tf.data.AUTOTUNE)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
    return lambda epoch: iter(images)


READERS = {
    "TFRecord, tf.data": Reader(open=open_files, shuffling=f"files in random order, a buffer of {BUFFER:,} images")
}
