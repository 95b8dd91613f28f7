"""The data: divided alike for all, and IDX files read or refused with reasons."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

import gradchain as gc
from gradchain.compare import corpus, data, idx, tasks
from gradchain.compare.contenders import Contender
from gradchain.compare.errors import CompareError
from gradchain.compare.runner import Trainer

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">I{array.ndim}I", 0x800 | array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name, array in {
        IMAGES: random.integers(0, 256, (48, 4, 4)),
        LABELS: random.integers(0, 10, 48),
        TEST_IMAGES: random.integers(0, 256, (12, 4, 4)),
        TEST_LABELS: random.integers(0, 10, 12),
    }.items():
        (tmp_path / name).write_bytes(idx_bytes(array))
    return tmp_path


def test_mnist_reads_plain_and_gzipped_alike(folder):
    plain = idx.mnist(folder)
    for path in list(folder.iterdir()):
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    zipped = idx.mnist(folder)
    for one, other in zip(plain, zipped, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.targets, other.targets)
    assert [len(s) for s in plain] == [44, 4, 12]
    assert plain.train.inputs.shape == (44, 16)
    assert plain.train.inputs.dtype == np.float32
    assert 0 <= plain.train.inputs.min() < plain.train.inputs.max() == 1


def test_mnist_is_measured_within_its_one_epoch(folder):
    task = tasks.find("mnist")
    trainer = Trainer(task, tasks.load(task, folder), batch_size=5, epochs=task.epochs, seeds=task.seeds)
    history = trainer.run(Contender("sgd", gc.sgd(0.1), (0.1, 0.2)))
    assert history.step_loss.shape == (8, 2, 3)
    assert history.test_score.shape == (5, 2, 3)
    assert history.steps_per_round == 2


def change(name, make):
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(make((folder / name).read_bytes()))

    return damage


def longer_labels(folder: Path) -> None:
    (folder / LABELS).write_bytes(idx_bytes(np.zeros(50)))


def other_size(folder: Path) -> None:
    (folder / TEST_IMAGES).write_bytes(idx_bytes(np.zeros((12, 5, 5))))


def no_test_labels(folder: Path) -> None:
    (folder / TEST_LABELS).unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change(IMAGES, lambda b: b[:-5]), [IMAGES, "768 bytes", "found 763", "truncated"]),
        (change(IMAGES, lambda b: b + b"x"), [IMAGES, "768 bytes", "found 769", "too long"]),
        (change(IMAGES, lambda b: b[:9]), [IMAGES, "header of 16 bytes", "only 9"]),
        (change(LABELS, lambda b: b""), [LABELS, "header of 8 bytes", "only 0"]),
        (change(LABELS, lambda b: b"\0\0\x0d\1" + b[4:]), [LABELS, "0x00000801", "0x00000d01"]),
        (change(LABELS, lambda b: gzip.compress(b)[:-9]), [LABELS, "whole gzip file"]),
        (change(LABELS, lambda b: b[:-1] + b"\x0b"), [LABELS, "labels from 0 to 9", "found 11"]),
        (longer_labels, [LABELS, "expected 48 labels", IMAGES, "found 50"]),
        (other_size, [TEST_IMAGES, "4 x 4", "5 x 5"]),
        (no_test_labels, [TEST_LABELS, "found", IMAGES]),
        (lambda folder: [p.unlink() for p in folder.iterdir()], [IMAGES, "it is empty"]),
    ],
)
def test_mnist_says_which_file_what_was_expected_and_what_was_found(folder, damage, words):
    damage(folder)
    with pytest.raises(CompareError) as error:
        idx.mnist(folder)
    for word in words:
        assert word in str(error.value)


def test_mnist_without_a_folder(tmp_path):
    with pytest.raises(CompareError, match="needs --data DIR"):
        idx.mnist(None)
    with pytest.raises(CompareError, match="no such folder"):
        idx.mnist(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(CompareError, match="expected a folder, found a file"):
        idx.mnist(tmp_path / "file")


def test_a_folder_for_another_task_is_refused(tmp_path):
    with pytest.raises(CompareError, match="belongs to the task mnist"):
        tasks.load(tasks.find("digits"), tmp_path)


@pytest.mark.parametrize("load", [data.digits, data.diabetes], ids=["digits", "diabetes"])
def test_divisions_are_fixed_and_disjoint(load):
    first, again = load(None), load(None)
    rows = [tuple(map(tuple, part.inputs)) for part in first]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
    everyone = sum(map(len, first))
    assert len(first.test) == round(0.2 * everyone)
    assert len(first.validation) == pytest.approx(0.15 * everyone, abs=1)
    assert sum(len(set(r)) for r in rows) == len(set().union(*rows))  # no row in two parts


def test_diabetes_is_standardized_on_the_training_part():
    train = data.diabetes(None).train
    np.testing.assert_allclose(train.inputs.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(train.inputs.std(0), 1, atol=1e-5)
    assert train.targets.std() == pytest.approx(1, abs=1e-5)


def test_the_library_is_sparse_words_of_known_packages(monkeypatch):
    monkeypatch.setattr(corpus, "PACKAGES", ("ipaddress", "tarfile", "typing"))
    found = corpus.library(None)
    assert set(np.unique(found.train.targets)) == {0, 1, 2}
    assert set(np.unique(found.train.inputs)) == {0.0, 1.0}
    assert found.train.inputs.mean() < 0.05  # sparse: few of the words occur in a docstring
    assert (found.train.inputs.sum(0) >= 1).all()  # known from the training part alone
    np.testing.assert_array_equal(found.train.inputs, corpus.library(None).train.inputs)


def test_docstrings_are_read_without_importing():
    import sys

    assert "turtle" not in sys.modules
    assert len(corpus.docstrings("turtle")) > 100
    assert "turtle" not in sys.modules


def test_characters_are_lines_of_text_and_the_same_one_on(monkeypatch):
    monkeypatch.setattr(corpus, "PACKAGES", ("ipaddress", "tarfile", "typing"))
    monkeypatch.setattr(corpus, "LINES", (200, 20, 30))
    found = corpus.characters(None)
    assert [len(part) for part in found] == [200, 20, 30]

    def read(numbers: np.ndarray) -> str:
        return "".join(corpus.ALPHABET[i] for i in numbers.ravel())

    for part in found:
        assert part.inputs.shape == part.targets.shape == (len(part), corpus.CONTEXT)
        assert part.inputs.dtype == part.targets.dtype == np.int32
        assert read(part.inputs)[1:] == read(part.targets)[:-1]
    text = read(found.train.inputs)
    assert " the " in text
    assert "  " not in text
    plain = [corpus._plain(t) for name in corpus.PACKAGES for t in corpus.texts(name)]
    inside = [t for t in plain if len(t) > 60 and t in text]
    assert inside
    for part in (found.validation, found.test):  # no docstring is in two parts
        assert not any(t in read(part.inputs) for t in inside)
    np.testing.assert_array_equal(found.train.inputs, corpus.characters(None).train.inputs)


@pytest.mark.parametrize("load", [corpus.library, corpus.characters])
def test_no_sources_of_the_standard_library(monkeypatch, tmp_path, load):
    monkeypatch.setattr(corpus.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    task = {corpus.library: "text", corpus.characters: "characters"}[load]
    with pytest.raises(CompareError, match=f"the task {task} needs.*does not have"):
        load(None)
