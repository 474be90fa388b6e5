"""Training towards what finished runs say about the training images, with backends and models without a framework."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import store
from store.errors import ConfigError, RunError
from store.predictions import Predictions
from store.run_folder import SCORERS, RunFolder
from tests.train.conftest import LineBackend
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.metrics import compute_metrics, probability
from train.presets import preset
from train.run import open_stream, run_training
from train.teacher_scores import TeacherScores
from train.teachers import ask_teachers, read_teachers, visible_gpus


def line_backend(specification: Any, config: TrainConfig, weights: Any) -> LineBackend:
    return LineBackend(specification, config)


def broken_from(step: int) -> Callable[..., LineBackend]:
    def make(*arguments: Any) -> LineBackend:
        backend = line_backend(*arguments)
        backend.broken_from = step
        return backend

    return make


@pytest.fixture(scope="module")
def settings(showers: Path) -> dict[str, Any]:
    return preset("challenge") | {"epochs": 2, "batch_size": 50, "learning_rate": 0.5, "store": showers}


@pytest.fixture(scope="module")
def teachers(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two finished runs."""
    folder = tmp_path_factory.mktemp("teachers")
    for seed in (1, 2):
        own = TrainConfig(run=folder / f"teacher-{seed}", **(settings | {"seed": seed, "epochs": 1}))
        run_training(own, "torch", line_backend)
    return folder


@pytest.fixture
def config(settings: dict[str, Any], teachers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Settings of a student of two finished runs."""
    monkeypatch.setitem(SCORERS, "torch", "tests.train.line_score")
    shutil.copytree(teachers, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return TrainConfig(run=Path("run"), teach="teacher-1,teacher-2", **settings)


def random_scores(classes: int, samples: int, seed: int = 0) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return random.random(samples) if classes == 2 else random.dirichlet(np.ones(classes), samples)


@given(st.integers(2, 5), st.floats(0, 1), st.sets(st.integers(0, 19), min_size=1), st.integers(0))
def test_targets_mix_label_and_score(classes: int, share: float, chosen: set[int], seed: int) -> None:
    label = np.random.default_rng(seed).integers(0, classes, 20).astype(np.uint8)
    sample, score = np.array(sorted(chosen)), random_scores(classes, len(chosen), seed)
    targets = TeacherScores(sample=sample, score=score, store="", teachers=[]).targets(label, share)
    assert targets.dtype == np.float32
    assert np.flatnonzero(~np.isnan(targets.reshape(20, -1)).any(1)).tolist() == sample.tolist()
    for row, index in enumerate(sample):
        for k in range(targets[0].size):
            truth = label[index] if classes == 2 else label[index] == k
            expected = (1 - share) * truth + share * score.reshape(len(sample), -1)[row, k]
            assert targets.reshape(20, -1)[index, k] == pytest.approx(expected, abs=1e-7)
    if classes > 2:
        np.testing.assert_allclose(targets[sample].sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_loss_mixes_those_of_labels_and_scores(classes: int) -> None:
    random = np.random.default_rng(0)
    label, weight = random.integers(0, classes, 30).astype(np.uint8), random.random(30)
    logit = 5 * random.normal(size=30 if classes == 2 else (30, classes))
    score, truth = random_scores(classes, 30), label * 1.0 if classes == 2 else np.eye(classes)[label]
    by_label, by_truth, by_score, by_mix = (
        compute_metrics(label, logit, weight, target) for target in (None, truth, score, 0.3 * truth + 0.7 * score)
    )
    assert by_truth.loss == pytest.approx(by_label.loss, rel=1e-12)
    assert by_mix.loss == pytest.approx(0.3 * by_label.loss + 0.7 * by_score.loss, rel=1e-12)
    assert by_score.loss != pytest.approx(by_label.loss, rel=0.1)
    assert (by_mix.auc, by_mix.accuracy) == (by_label.auc, by_label.accuracy)
    lowest = np.log(score / (1 - score)) if classes == 2 else np.log(score)
    assert compute_metrics(label, lowest, None, score).loss < compute_metrics(label, lowest + logit, None, score).loss


def test_a_student_learns_from_the_mean_of_its_teachers(config: TrainConfig) -> None:
    config = replace(config, epochs=1, learning_rate=1e-12, teach_share=0.6)  # the same weights at start and end
    run_training(config, "torch", line_backend)
    label = store.open_store(config.store).column("label")
    given_by = [Predictions.load(Path(run, "predictions", "train.npz")) for run in config.teach]
    with np.load(RunFolder(path=config.run).teachers) as kept:
        np.testing.assert_array_equal(kept["sample"], given_by[0].sample)
        np.testing.assert_allclose(kept["score"], (given_by[0].score + given_by[1].score) / 2, rtol=1e-9)
        identity = json.loads(str(kept["identity"]))
    assert [teacher["run"] for teacher in identity["teachers"]] == ["teacher-1", "teacher-2"]
    (epoch,) = (json.loads(line) for line in (config.run / "history.jsonl").read_text().splitlines())
    own = Predictions.load(config.run / "predictions" / "train.npz")
    logit, truth = np.log(own.score / (1 - own.score)), label[own.sample]
    mixed = 0.4 * truth + 0.6 * (given_by[0].score + given_by[1].score) / 2
    expected = compute_metrics(truth, logit, None, mixed)
    assert epoch["train_loss"] == pytest.approx(expected.loss, rel=1e-6)
    assert epoch["train_auc"] == pytest.approx(expected.auc)
    assert epoch["train_loss"] != pytest.approx(compute_metrics(truth, logit).loss, rel=1e-6)
    validation = Predictions.load(config.run / "predictions" / "validation.npz")
    by_label = compute_metrics(validation.label, np.log(validation.score / (1 - validation.score)))
    assert epoch["validation_loss"] == pytest.approx(by_label.loss, rel=1e-6)
    recorded = json.loads((config.run / "config.json").read_text())
    assert (recorded["teach"], recorded["teach_share"]) == (["teacher-1", "teacher-2"], 0.6)


def test_a_student_is_resumed_within_an_epoch_without_its_teachers(config: TrainConfig) -> None:
    run_training(config, "torch", line_backend)
    other = replace(config, run=Path("other"), save_every=0.0)
    with pytest.raises(RunError, match="the loss is NaN"):
        run_training(other, "torch", broken_from(4))
    for run in config.teach:
        shutil.rmtree(run)
    kept = RunFolder(path=other.run).teachers.rename("kept.npz")
    with pytest.raises(RunError, match=r"teachers\.npz: no such file, but the run has teachers; --overwrite starts it"):
        run_training(other, "torch", line_backend, resume=True)
    kept.rename(RunFolder(path=other.run).teachers)
    assert Checkpoint.load(other.run / "checkpoints" / "last.npz").stream["batch"] == 3
    run_training(other, "torch", line_backend, resume=True)
    one, two = (Checkpoint.load(run / "checkpoints" / "last.npz") for run in (config.run, other.run))
    np.testing.assert_array_equal(one.arrays["weights"], two.arrays["weights"])
    losses = [
        [json.loads(line)["train_loss"] for line in (run / "history.jsonl").read_text().splitlines()]
        for run in (config.run, other.run)
    ]
    assert losses[0] == losses[1]


def test_ranks_ask_the_teachers_for_their_parts(config: TrainConfig) -> None:
    opened = store.open_store(config.store)
    chosen = replace(config, where="label < 1", teach=config.teach[:1])
    teachers = read_teachers(chosen, opened)
    whole, *parts = (
        ask_teachers(chosen, opened, teachers, open_stream(chosen, "train", "none", ranks))
        for ranks in ((0, 1), (0, 2), (1, 2))
    )
    assert 0 < len(parts[0].sample) < len(whole.sample)

    class FirstOfTwo(LineBackend):
        def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            name = next(name for name in ("sample", "score") if getattr(parts[0], name) is values)
            return np.concatenate([getattr(part, name) for part in parts])

    joined = parts[0].of_all_ranks(FirstOfTwo.__new__(FirstOfTwo))
    np.testing.assert_array_equal(joined.sample, whole.sample)
    np.testing.assert_array_equal(joined.score, whole.score)
    assert (opened.column("label")[whole.sample] == 0).all()


@pytest.mark.parametrize(
    ("given", "launched", "device", "expected"),
    [
        (None, None, "auto", {}),
        (None, None, "cpu", {"CUDA_VISIBLE_DEVICES": ""}),
        (None, 1, "auto", {"CUDA_VISIBLE_DEVICES": "1"}),
        ("4,6", 1, "cuda", {"CUDA_VISIBLE_DEVICES": "6"}),
        ("", 1, "auto", {}),
    ],
)
def test_a_teacher_uses_the_gpu_of_its_rank(
    given: str | None, launched: int | None, device: str, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": given, **dict.fromkeys(("RANK", "LOCAL_RANK"), launched)}
    environment["WORLD_SIZE"] = None if launched is None else 2
    for name, value in environment.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(value))
    assert visible_gpus(device) == expected


def change(name: str, path: str, key: str, value: Any) -> None:
    """Set one value in a JSON file of a run."""
    file = Path(path, name)
    content = json.loads(file.read_text())
    inner = content if key in content else content["store"]
    inner[key] = value
    file.write_text(json.dumps(content))


def another_store(run: str) -> None:
    change("environment.json", run, "digest", "0" * 64)


def other_images(run: str) -> None:
    file = Path(run, "environment.json")
    content = json.loads(file.read_text())
    content["store"]["description"]["image"]["shape"] = [33, 33, 2]
    file.write_text(json.dumps(content))


def missing(name: str) -> Callable[[str], None]:
    return lambda run: Path(run, name).unlink()


def of_shape(*shape: int) -> Callable[[str], None]:
    def spoil(run: str) -> None:
        np.save("weights.npy", np.ones(shape))
        Path("weights.npy").replace(Path(run, "model.safetensors"))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (another_store, r"was trained on another store, .* \(digest 000000000000\), than .*it may have seen test"),
        (other_images, r"was trained on images of \(33, 33, 2\), .* has images of \(32, 32, 2\); choose another"),
        (missing("predictions/test.npz"), "the run is not finished, .*test.npz is missing"),
        (missing("model.safetensors"), "the run is not finished, .*model.safetensors is missing"),
        (lambda run: change("config.json", run, "framework", "jax"), "unknown framework 'jax'; known: "),
        (shutil.rmtree, "no such run directory"),
        (of_shape(7), "its model gave no scores: ValueError: "),
        (of_shape(3, 3), "its model gives scores of 3 classes, but its data set has 2"),
    ],
)
def test_a_teacher_that_cannot_be_used_leaves_no_run(
    config: TrainConfig, spoil: Callable[[str], Any], message: str
) -> None:
    spoil("teacher-2")
    with pytest.raises(RunError, match=f"^teacher-2: {message}") as error:
        run_training(config, "torch", line_backend)
    assert "\n" not in str(error.value)
    assert not config.run.exists()


def test_a_teacher_of_other_classes_is_refused(config: TrainConfig, three_classes: Path) -> None:
    student = replace(config, store=three_classes, model="resnet15", normalisation="log")
    with pytest.raises(
        RunError, match=r"^teacher-1: was trained on images of \(32, 32, 2\), .*; choose another teacher"
    ):
        run_training(student, "torch", line_backend)
    assert not config.run.exists()


def test_a_run_does_not_teach_itself(config: TrainConfig) -> None:
    with pytest.raises(RunError, match=r"^teacher-1: a run cannot teach itself; choose another --run"):
        run_training(replace(config, run=Path("teacher-1")), "torch", line_backend, overwrite=True)
    assert Path("teacher-1", "model.safetensors").exists()
    with pytest.raises(RunError, match="a run is given more than once"):
        run_training(replace(config, teach="teacher-1,./teacher-1"), "torch", line_backend)


def test_scores_that_are_not_those_of_the_run_are_refused(config: TrainConfig) -> None:
    opened, path = store.open_store(config.store), Path("teachers.npz")
    sample, teachers = np.arange(240), [{"run": run} for run in config.teach]
    whole = TeacherScores(sample=sample, score=np.full(240, 0.5), store=opened.digest, teachers=teachers)
    whole.save(path)
    np.testing.assert_array_equal(TeacherScores.load(path, config, opened).score, whole.score)
    for changes, message in (
        ({"sample": sample + 1}, "its samples are not the training samples of the run"),
        ({"sample": sample[:5], "score": whole.score[:5]}, "its samples are not the training samples of the run"),
        ({"score": np.full(240, 1.5)}, "a score is not a probability"),
        ({"score": np.full(240, np.nan)}, "a score is not a probability"),
        ({"score": np.ones((240, 3))}, r"score has type float64 and shape \(240, 3\), expected float64 \(240,\)"),
        ({"store": "0" * 64}, "of a store with the digest 000000000000, "),
        ({"teachers": teachers[:1]}, "of the teachers teacher-1"),
        ({"teachers": [{"name": "teacher-1"}]}, "identity: KeyError"),
    ):
        replace(whole, **changes).save(path)
        with pytest.raises(RunError, match=rf"^teachers\.npz: not the scores of this run's teachers \({message}"):
            TeacherScores.load(path, config, opened)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(RunError, match=r"^teachers\.npz: not the scores of this run's teachers \("):
        TeacherScores.load(path, config, opened)


def test_three_classes_have_teachers_too(config: TrainConfig, three_classes: Path) -> None:
    own = replace(config, store=three_classes, model="resnet15", batch_size=25, learning_rate=1e-3, epochs=1)
    run_training(replace(own, run=Path("a"), teach="none", seed=3), "torch", line_backend)
    run_training(replace(own, teach="a", learning_rate=1e-12), "torch", line_backend)
    teacher, student = (Predictions.load(Path(run, "predictions", "train.npz")) for run in ("a", "run"))
    targets = 0.3 * np.eye(3)[student.label] + 0.7 * teacher.score
    loss = compute_metrics(student.label, np.log(student.score), student.weight, targets).loss
    assert json.loads(Path("run", "history.jsonl").read_text())["train_loss"] == pytest.approx(loss, rel=1e-6)
    assert np.abs(probability(np.log(student.score)) - teacher.score).max() > 0.01


def test_the_settings_of_teachers(config: TrainConfig) -> None:
    assert config.teach == ("teacher-1", "teacher-2")
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert not {"teach", "teach_share"} & replace(config, teach="none").to_dict().keys()
    for wrong in ("a,a", "a,,b", 3):
        with pytest.raises(ConfigError, match="is neither none nor distinct run directories such as runs/a,runs/b"):
            replace(config, teach=wrong)
    with pytest.raises(ConfigError, match=r"teach_share=0\.5 needs runs that teach; give --teach RUN,RUN"):
        replace(config, teach="none", teach_share=0.5)
