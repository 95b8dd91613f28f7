"""Whatever goes wrong with a run is told before it trains, or loses nothing that is saved."""

import errno
import gc as garbage
import json
import os
import shutil
import signal
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_runs import TX, assert_same, data, fit, flip, loss, params, six, steps_in, truncate

import gradchain as gc
from gradchain import train
from gradchain.train.checkpoints import Checkpoints
from gradchain.train.contents import Saved
from gradchain.train.placing import placed_state


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """A run of which steps 2 and 4 are saved."""
    fit(4, tmp_path / "four")
    return tmp_path / "four"


def newest(directory: Path) -> Saved:
    """What would be gone on from."""
    run = Saved(0, *placed_state(TX, params(), None), jax.random.key(0), [])
    checkpoints = Checkpoints(directory, TX, run, 3)
    try:
        found = checkpoints.newest()
    finally:
        checkpoints.close()
    assert found is not None
    return found


@pytest.mark.filterwarnings(
    "ignore:fit. the checkpoint of step 4:UserWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",  # Orbax's threads, when a read has failed
)
@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink], ids=["flip", "truncate", "unlink"])
def test_no_damage_to_any_file_goes_unseen(damage: Any, four: Path, tmp_path: Path) -> None:
    """Whichever file it is, what is read is right: this checkpoint, or the one before."""
    whole, fallen = tmp_path / "copy", set()
    right = newest(four).params
    shutil.copytree(four, whole)
    files = [p.relative_to(four) for p in (four / "4").rglob("*") if p.is_file() and p.stat().st_size]
    if damage is not flip:  # those without which nothing can be read
        files = [f for f in files if f.name in ("metadata", "manifest.ocdbt") or f.match("4/arrays/d/*")]
    for file in files:
        directory = tmp_path / "damaged"
        shutil.copytree(whole, directory)
        damage(directory / file)
        found = newest(directory)
        if found.step == 2:
            fallen.add("/".join(file.parts[1:3]))
            assert (directory / "bad" / "4").is_dir()
            assert steps_in(directory) == [2]
        else:
            jax.tree.map(np.testing.assert_array_equal, found.params, right)
        shutil.rmtree(directory)
    assert fallen >= {"about/metadata", "arrays/d", "arrays/manifest.ocdbt"}
    garbage.collect()  # what Orbax's threads have dropped is told here, not in a later test


def change_checksum(directory: Path) -> None:
    """Changes the checksum of one array, and makes the description right again."""
    file = directory / "about" / "metadata"
    content = json.loads(json.loads(file.read_text())["content"])
    content["checksums"]["adam/mu/w"] ^= 1
    text = json.dumps(content)
    file.write_text(json.dumps({"crc32": zlib.crc32(text.encode()), "content": text}))


def test_a_bad_checkpoint_is_told_kept_and_written_anew(four: Path) -> None:
    change_checksum(four / "4")
    told = "checkpoint of step 4 in .* is not whole .*checksum of adam/mu/w differs.* from step 2"
    with pytest.warns(UserWarning, match=told):
        assert_same(fit(6, four), six())
    assert steps_in(four) == [2, 4, 6]
    assert (four / "bad" / "4" / "arrays").is_dir()
    for step in (2, 4, 6):
        change_checksum(four / str(step))
    with pytest.raises(train.CheckpointError, match=r"no checkpoint in .* is whole \(step 6: .*step 2: "):
        fit(6, four)
    assert steps_in(four) == [2, 4, 6]


def test_a_changed_description_is_noticed(four: Path) -> None:
    file = four / "4" / "about" / "metadata"
    file.write_text(file.read_text().replace("learning_rate=0.01", "learning_rate=0.02"))
    with pytest.warns(UserWarning, match="the checksum of its description differs"):
        assert newest(four).step == 2


def test_what_is_not_finished_is_removed(four: Path) -> None:
    unfinished = four / "3.orbax-checkpoint-tmp"
    unfinished.mkdir()
    fit(6, four)
    assert not unfinished.exists()


def test_a_directory_that_is_lost_while_training(tmp_path: Path) -> None:
    directory = tmp_path / "run"

    def batch(step: int) -> Any:
        if step == 3:
            while steps_in(directory) != [2]:  # which is written in the background
                time.sleep(0.01)
            directory.rename(tmp_path / "elsewhere")
            directory.write_text("no folder any more")
        return data(step)

    with pytest.raises(train.SaveError, match=r"step 4 could not be saved in .*There is no other one"):
        fit(6, directory, data=batch)
    assert steps_in(tmp_path / "elsewhere") == [2]


def test_what_does_not_fit_is_told_by_name(four: Path) -> None:
    with pytest.raises(train.CheckpointError, match=r"params/w has \(8, 4\), expected \(8, 3\)"):
        fit(6, four, params={"b": jnp.zeros(4), "w": jnp.zeros((8, 3))})
    with pytest.raises(
        train.CheckpointError, match=r"missing: lion/count, lion/mu/b.*extra: adam/count.*with adam"
    ):
        fit(6, four, tx=gc.lion(1e-3))
    assert steps_in(four) == [2, 4]
    assert json.loads((four / "gradchain.json").read_text())["transformation"] == repr(TX)
    assert_same(fit(6, four), six())


def test_directories_that_are_not_ours(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(NotADirectoryError, match="is a file"):
        fit(1, file)
    with pytest.raises(ValueError, match=r"holds something else \(file\) and no gradchain.json"):
        fit(1, tmp_path)
    with pytest.raises(OSError, match=r"nothing can be saved in .*Not a directory.*may write to"):
        fit(1, file / "below")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "gradchain.json").write_text(json.dumps({"schema": 2}))
    with pytest.raises(ValueError, match=r"is of schema 2.*up to 1"):
        fit(1, newer)


def test_a_directory_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError, match=r"nothing can be saved in .*Permission denied"):
        fit(1, tmp_path)


def test_numbers_that_make_no_sense() -> None:
    for wrong in ({"save_every": 0}, {"keep": 0}, {"log_every": 1.5}, {"nan": "ignore"}):
        with pytest.raises(ValueError, match=f"fit: {next(iter(wrong))} must be"):
            fit(1, **wrong)
    with pytest.raises(ValueError, match="steps must be a whole number, at least 0, received -1"):
        fit(-1)
    with pytest.raises(TypeError, match="key must be a seed or a random key"):
        fit(1, key=1.5)


def test_nan_ends_the_run_before_anything_is_saved(tmp_path: Path) -> None:
    def with_nan(step: int) -> Any:
        return data(step) * np.float32(np.nan if step == 3 else 1)

    with pytest.raises(FloatingPointError, match=r"loss of step 4 is nan.*apply_if_finite"):
        fit(9, tmp_path, data=with_nan)
    assert steps_in(tmp_path) == [2]
    found = fit(6, data=with_nan, tx=gc.apply_if_finite(TX, 5), nan="go_on")
    assert np.isfinite(found.params["w"]).all()

    def lost(p: Any, batch: Any, key: Any) -> Any:  # finite itself, with a derivative that is not
        return loss(p, batch, key) + jnp.sqrt(jnp.sum(p["b"] * 0))

    with pytest.raises(FloatingPointError, match="parameters after step 1 hold NaN"):
        fit(1, tmp_path / "b", loss=lost)
    assert steps_in(tmp_path / "b") == []


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """A shell's background jobs ignore it, and so would these tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_heard_after_the_step(number: int, tmp_path: Path) -> None:
    def batch(step: int) -> Any:
        if step == 2:
            signal.raise_signal(number)
        return data(step)

    before = signal.getsignal(number)
    kind = KeyboardInterrupt if number == signal.SIGINT else train.Preempted
    with pytest.raises(kind) as raised:
        fit(6, tmp_path, data=batch)
    assert f"step 3 is saved in {tmp_path}" in str(raised.value)
    assert number == signal.SIGINT or raised.value.code == 143
    assert signal.getsignal(number) is before
    assert steps_in(tmp_path) == [2, 3]
    assert_same(fit(6, tmp_path), six())


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_a_second_signal_acts_at_once(tmp_path: Path) -> None:
    def batch(step: int) -> Any:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")

    with pytest.raises(KeyboardInterrupt):
        fit(6, tmp_path, data=batch)
    assert steps_in(tmp_path) == []


def test_an_error_of_the_user_keeps_what_is_saved(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fit(6, tmp_path, data=lambda step: data(step) if step < 3 else 1 // 0)
    assert steps_in(tmp_path) == [2]


def test_without_orbax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(ImportError, match=r"gradchain\[train\]"):
        fit(1, tmp_path)
    fit(1)
