"""Training with Keras on any backend: ``KERAS_BACKEND=jax python keras_fit.py STORE MODEL.keras``."""

import sys

import keras

import calostream as cs
from calostream.keras import Dataset

store, path = sys.argv[1:]
training = Dataset(cs.BatchStream(store, split="train", batch_size=64, seed=1))
validation, test = (
    Dataset(cs.BatchStream(store, split=split, batch_size=256, shuffle="none")) for split in ("validation", "test")
)
model = keras.Sequential(
    [
        keras.Input(training.stream.image_shape),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.GlobalMaxPooling2D(),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
auc = keras.metrics.AUC(name="auc")
model.compile(optimizer=keras.optimizers.AdamW(1e-3), loss="binary_crossentropy", metrics=[auc])
model.fit(training, validation_data=validation, epochs=2, verbose=2)  # Keras does not shuffle: the stream has
model.save(path)

score = model.predict(test, verbose=0)[:, 0]  # in the order of the store, since it is not shuffled
label = cs.open_dataset(store, split="test").label.values
print(f"test AUC {cs.auc(label, score).value:.4f}")
