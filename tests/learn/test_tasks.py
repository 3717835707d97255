"""Laws of the tasks: random draws, targets, batches; features compared with a reference."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from places import TESTS
from reference import tasks as oracle

from dendrosim.cli.tasks import tasks as command
from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks import TASKS, load_task
from dendrosim.learn.tasks.binnings import BINNINGS
from dendrosim.learn.tasks.log_mel import LogMel, hertz, mel
from dendrosim.learn.tasks.mnist import permutation
from dendrosim.learn.tasks.stream import Stream
from dendrosim.learn.tasks.task import Later, Part, Stored, set_apart

GENERATED = ("binary_adding", "copy_task", "noisy_copy")
AT_HAND = (*GENERATED, "digits")  # tasks without files
GOLDEN = TESTS / "reference" / "golden" / "log_mel_librosa.json"
SPEECH = {16_000: LogMel(16_000, 480, 160), 8_000: LogMel(8_000, 240, 80)}

seeds = st.integers(0, 2**63 - 1)


def all_of(split):
    """Return every sample of a split."""
    return split.batch(np.arange(len(split)))


# --- the stream of random numbers -----------------------------------------------------------


def test_the_oracle_makes_the_published_numbers():
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert oracle.splitmix64(1234567, 3) == published


@given(start=st.integers(0, 2**64 - 1), n=st.integers(1, 7), rows=st.lists(st.integers(0, 50)))
def test_a_row_of_words_is_its_part_of_the_sequence(start, n, rows):
    words = Stream(start=start).words(np.array(rows, np.int64), n)
    sequence = oracle.splitmix64(start, 51 * n)
    assert words.shape == (len(rows), n)
    assert words.tolist() == [sequence[row * n : (row + 1) * n] for row in rows]


def test_streams_of_other_names_are_others():
    rows = np.arange(100)
    names = [("a", "b"), ("b", "a"), ("a", "b", 0), ("a", "b", 1), ("a/b", "c")]
    drawn = [Stream(*name).words(rows, 4) for name in names]
    assert len({words.tobytes() for words in drawn}) == len(names)
    assert Counter(np.concatenate(drawn).ravel().tolist()).most_common(1)[0][1] == 1


@given(bound=st.integers(1, 1000), seed=seeds)
def test_numbers_below_a_bound_are_the_words_scaled(bound, seed):
    numbers = Stream("n", seed).below(np.arange(20), 5, bound)
    words = Stream("n", seed).words(np.arange(20), 5)
    assert numbers.dtype == np.int64
    assert numbers.ravel().tolist() == [(int(w) >> 32) * bound >> 32 for w in words.ravel()]


def test_numbers_below_ten_are_equally_likely():
    counts = np.bincount(Stream("ten").below(np.arange(10_000), 10, 10).ravel(), minlength=10)
    assert np.sum((counts - 10_000) ** 2 / 10_000) < 27.9  # chi-square, 9 degrees, p = 0.001


# --- Binary Adding --------------------------------------------------------------------------


@settings(max_examples=30)
@given(seed=seeds, steps=st.integers(9, 60), tens=st.integers(1, 5))
def test_adding_counts_the_marked_ones_and_is_balanced(seed, steps, tens):
    task = load_task(
        "binary_adding", seed=seed, steps=steps, n_train=10 * tens, n_validation=10, n_test=20
    )
    for split in (task.train, task.validation, task.test):
        x, y = all_of(split)
        assert x.shape == (len(split), steps, 2)
        assert set(np.unique(x)) <= {0.0, 1.0}
        for (values, markers), label in zip(x.transpose(0, 2, 1), y, strict=True):
            marked = [value for value, marker in zip(values, markers, strict=True) if marker]
            assert len(marked) == 9
            assert sum(marked) == label
        assert np.bincount(y, minlength=10).tolist() == [len(split) // 10] * 10


def test_adding_has_the_law_of_the_published_generator():
    """Given the label, positions and the ones among them are uniform; other bits are random."""
    steps, n = 30, 20_000
    x, y = all_of(load_task("binary_adding", steps=steps, n_train=n).train)
    values, markers = x[..., 0].astype(bool), x[..., 1].astype(bool)
    assert abs(values[~markers].mean() - 0.5) < 5 * 0.5 / np.sqrt(n * (steps - 9))
    due = n * 9 / steps
    assert np.abs(markers.sum(axis=0) - due).max() < 5 * np.sqrt(due * (1 - 9 / steps))
    for label in range(1, 9):
        among = values[y == label][markers[y == label]].reshape(-1, 9)  # in the order of time
        share, size = label / 9, n // 10
        assert np.abs(among.mean(axis=0) - share).max() < 5 * np.sqrt(share * (1 - share) / size)
    # successive values, or successive markers, are independent
    both = (markers[:, 1:] & markers[:, :-1]).mean()
    assert abs(both - 9 * 8 / (steps * (steps - 1))) < 0.002


def test_adding_repeats_no_sequence_between_its_parts():
    task = load_task("binary_adding", n_train=5_000)
    values = [all_of(s)[0][..., 0] for s in (task.train, task.validation, task.test)]
    rows = np.concatenate(values).astype(np.uint8)
    assert len({row.tobytes() for row in rows}) == len(rows)


# --- tasks of recall ------------------------------------------------------------------------


@settings(max_examples=30)
@given(seed=seeds, length=st.integers(1, 12), alphabet=st.integers(2, 12), delay=st.integers(0, 25))
def test_copy_asks_for_the_tokens_in_their_order(seed, length, alphabet, delay):
    options = {"length": length, "alphabet": alphabet, "delay": delay, "n_test": 30}
    task = load_task("copy_task", seed=seed, **options)
    x, y = all_of(task.test)
    phases = [length, 1, delay, length]
    assert x.shape == (30, sum(phases), alphabet + 3) == (30, task.steps, task.n_in)
    assert np.array_equal(x.sum(axis=2), np.ones(y.shape))  # one channel at a time
    shown = x[:, :length, :alphabet].argmax(axis=2)
    assert np.array_equal(y[:, -length:], shown)
    assert (y[:, :-length] == -1).all()
    channel = x[:, length:].argmax(axis=2) - alphabet
    assert (channel == np.repeat([0, 1, 2], phases[1:])).all()


def test_copy_shows_every_token_equally_often():
    x, _ = all_of(load_task("copy_task", n_test=4_000).test)
    counts = x[:, :10, :10].sum(axis=0)
    assert np.abs(counts - 400).max() < 5 * np.sqrt(400 * 0.9)


@settings(max_examples=30)
@given(
    seed=seeds,
    alphabet=st.integers(2, 9),
    segment=st.integers(1, 6),
    repeats=st.integers(1, 4),
)
def test_noisy_copy_asks_for_what_was_to_be_remembered(seed, alphabet, segment, repeats):
    task = load_task(
        "noisy_copy", seed=seed, alphabet=alphabet, segment=segment, repeats=repeats, n_test=20
    )
    x, y = all_of(task.test)
    shown, asked = 2 * segment * repeats, segment * repeats
    assert x.shape == (20, shown + asked, alphabet + 3)
    for sample, target in zip(x, y, strict=True):
        remembered = []
        for step in sample[:shown]:
            (token,) = np.flatnonzero(step[:alphabet])
            remember, ignore, cue = step[alphabet:]
            assert (remember + ignore, cue) == (1, 0)
            if remember:
                remembered.append(token)
        assert target[-asked:].tolist() == remembered
        assert set(target[:-asked]) == {-1}
        assert np.array_equal(sample[shown:].T, np.eye(alphabet + 3)[[-1] * asked].T)
    remember = x[0, :shown, alphabet]
    assert remember.tolist() == ([1] * segment + [0] * segment) * repeats


def test_fig_5_has_20_steps_before_the_recall():
    task = load_task("noisy_copy")
    assert (task.steps, task.n_out) == (30, 10)
    x, _ = task.test.batch(np.arange(1))
    assert x[0, :20, 10].tolist() == [1] * 5 + [0] * 5 + [1] * 5 + [0] * 5


@pytest.mark.parametrize("name", ["copy_task", "noisy_copy"])
def test_an_epoch_of_recall_is_fresh_and_the_test_has_an_end(name):
    task = load_task(name, n_train=100)
    assert task.train.endless and not task.test.endless and not task.validation.endless
    epochs = [task.train.batch(np.arange(100) + 100 * k)[1] for k in range(3)]
    targets = np.concatenate(epochs)
    assert len({row.tobytes() for row in targets}) == 300
    with pytest.raises(IndexError):
        task.test.batch(np.array([len(task.test)]))
    with pytest.raises(IndexError):
        task.train.batch(np.array([-1]))


# --- every task -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", AT_HAND)
def test_a_task_is_what_its_builder_announces(name):
    task, builder = load_task(name), TASKS[name]
    assert (task.name, task.title, task.reference) == (name, builder.title, builder.reference)
    assert (task.steps, task.n_in, task.n_out) == builder.shape
    assert tuple(map(len, (task.train, task.validation, task.test))) == builder.samples
    facts = json.loads(json.dumps(task.facts))
    sizes = zip(("train", "validation", "test"), builder.samples, strict=True)
    assert facts.items() >= {"task": name, "seed": 0, **dict(sizes)}.items()
    assert facts["options"] == builder.options


@pytest.mark.parametrize("name", AT_HAND)
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_batch_is_float32_and_int64_and_its_samples_stand_alone(name, part):
    task = load_task(name)
    split = getattr(task, part)
    indices = np.array([7, 0, 7, 101, 3])
    x, y = split.batch(indices)
    assert x.shape == (5, task.steps, task.n_in) and x.dtype == np.float32
    assert y.shape in [(5,), (5, task.steps)] and y.dtype == np.int64
    assert y.min() >= -1 and y.max() < task.n_out
    for k, index in enumerate(indices):
        alone = split.batch(np.array([index]))
        assert np.array_equal(alone[0][0], x[k]) and np.array_equal(alone[1][0], y[k])
    x[:] = np.nan  # a batch belongs to the caller
    assert not np.isnan(split.batch(indices)[0]).any()
    assert split.batch(np.array([], int))[0].shape == (0, task.steps, task.n_in)


@pytest.mark.parametrize("name", AT_HAND)
def test_a_seed_tells_the_data(name):
    first, again, other = (load_task(name, seed=seed) for seed in (3, 3, 4))
    for part in ("train", "validation", "test"):
        one, two, three = (all_of(getattr(task, part)) for task in (first, again, other))
        assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
        same_test = name == "digits" and part == "test"  # the test part does not depend on the seed
        assert np.array_equal(one[0], three[0]) == same_test


@pytest.mark.parametrize(("layout", "shape"), [("rows", (8, 8)), ("pixels", (64, 1))])
def test_digits_are_the_1797_images_each_in_one_part(layout, shape):
    from sklearn.datasets import load_digits

    task = load_task("digits", layout=layout)
    assert (task.steps, task.n_in) == shape
    parts = [all_of(split) for split in (task.train, task.validation, task.test)]
    found = np.concatenate([x.reshape(len(x), 64) for x, _ in parts])
    real = load_digits()
    assert Counter(map(bytes, (found * 16).astype(np.uint8))) == Counter(
        map(bytes, real.data.astype(np.uint8))
    )
    images = map(bytes, real.data.astype(np.uint8))
    label = dict(zip(images, real.target.tolist(), strict=True))
    for x, y in parts:
        shown = (16 * x).reshape(len(x), 64).astype(np.uint8)
        assert [label[bytes(image)] for image in shown] == y.tolist()
        share = np.bincount(y, minlength=10) / len(y)
        assert np.abs(share - np.bincount(real.target) / 1797).max() < 1 / len(y)


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=80), seed=seeds, part=st.floats(0, 1)
)
def test_samples_are_set_apart_in_fair_shares(labels, seed, part):
    n = round(part * len(labels))
    rest, drawn = set_apart(np.array(labels), n, Stream("v", seed))
    assert sorted([*rest, *drawn]) == list(range(len(labels)))
    assert len(drawn) == n
    for label, size in Counter(labels).items():
        got = sum(labels[k] == label for k in drawn)
        assert abs(got - n * size / len(labels)) <= 1


def test_nothing_of_a_later_split_is_read_before_its_first_batch():
    read = []

    def made():
        read.append(1)
        return Stored(np.arange(6).reshape(3, 2, 1), np.arange(3))

    split = Later(3, made)
    assert len(split) == 3 and read == []
    x, y = Part(split, np.array([2, 0])).batch(np.array([1, 0]))
    split.batch(np.array([0]))
    assert read == [1]
    assert x[..., 0].tolist() == [[0, 1], [4, 5]] and y.tolist() == [0, 2]


BAD = [
    (("binary_adding",), {"steps": 8}, "steps = 8 should be a whole number from 9"),
    (("binary_adding",), {"steps": 10.0}, "steps = 10.0 should be a whole number"),
    (("binary_adding",), {"n_train": True}, "n_train = True should be a whole number"),
    (("binary_adding",), {"n_test": 1001}, "n_test = 1001 should be a multiple of 10"),
    (("binary_adding",), {"step": 100}, "no option 'step'; did you mean 'steps'?"),
    (("binary_adding",), {"seed": -1}, "seed = -1 should be a whole number from 0"),
    (("binary_adding",), {"data": "here"}, "needs no data, but was given data = here"),
    (("binary_ading",), {}, "'binary_ading' is not a task; did you mean 'binary_adding'?"),
    ((None,), {}, "None is not a task; valid: binary_adding"),
    (("copy_task",), {"alphabet": 1}, "alphabet = 1 should be a whole number from 2"),
    (("noisy_copy",), {"segment": 0}, "segment = 0 should be a whole number from 1"),
    (("noisy_copy",), {"n_test": "x"}, "n_test = 'x' should be a whole number from 0"),
    (("digits",), {"layout": "row"}, "layout = 'row' is unknown; did you mean 'rows'?"),
    (("digits",), {"n_validation": 1438}, "n_validation = 1438 should be a whole number from 0 to"),
]


@pytest.mark.parametrize(("arguments", "options", "told"), BAD)
def test_what_is_asked_wrongly_is_told(arguments, options, told):
    with pytest.raises(DendrosimError) as refused:
        load_task(*arguments, **options)
    assert told in str(refused.value)


def test_the_permutation_is_the_one_that_was_published_with_these_tasks():
    order = permutation()
    assert sorted(order) == list(range(784))
    assert hashlib.sha256(order.astype("<u2").tobytes()).hexdigest() == (
        "3b0a45c1ae60998bde5c7f1a8e978b1791ccd48e05eeac2e5e28af0b287abf27"
    )


# --- log-mel --------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", SPEECH)
@pytest.mark.parametrize("share", [1, 0.63])  # a short sound ends in silence
def test_log_mel_is_the_sum_that_defines_it(rate, share):
    sound = oracle.chirp(rate)[: int(share * rate)]
    features = SPEECH[rate]
    due = oracle.log_mel(sound, rate, features.window, features.hop)
    assert features(sound).shape == (101, 40)
    assert np.abs(features(sound) - due).max() < 1e-6


@pytest.mark.parametrize("rate", SPEECH)
def test_log_mel_is_what_librosa_made(rate):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    made = SPEECH[rate](oracle.chirp(rate))[::10, ::4]
    assert np.abs(made - golden[str(rate)]).max() < 1e-5


@pytest.mark.parametrize("rate", SPEECH)
def test_a_pure_tone_is_loudest_in_its_band(rate):
    features = SPEECH[rate]
    for band, tone in enumerate(features.edges[1:-1]):
        sound = (8_000 * np.sin(2 * np.pi * tone * np.arange(rate) / rate)).astype(np.int16)
        whole = features(sound)[10:90]  # without the frames at the ends of the tone
        assert (whole.argmax(axis=1) == band).all()


@given(hz=st.floats(0, 20_000))
def test_the_mel_scale_turns_back(hz):
    assert hertz(mel(hz)) == pytest.approx(hz, abs=1e-9)
    assert mel(hz) == pytest.approx(oracle.mel_of(hz))


def test_log_mel_is_a_z_score_and_silence_is_zero():
    features = SPEECH[8_000]
    made = features(oracle.chirp(8_000)).astype(float)
    assert abs(made.mean()) < 1e-6 and abs(made.std() - 1) < 1e-6
    for silence in (np.zeros(8_000, np.int16), np.zeros(0, np.int16), np.zeros(9_000, np.int16)):
        assert np.array_equal(features(silence), np.zeros((101, 40), np.float32))


@given(length=st.integers(0, 9_000))
def test_a_blank_end_is_zero_and_counts_for_nothing(length):
    features, sound = SPEECH[8_000], oracle.chirp(8_000)[:length]
    made = replace(features, blank_end=True)(sound)
    heard = min(len(sound) // 80 + 1, 101)
    due = features(sound)[:heard].astype(float)
    assert not made[heard:].any()
    assert np.allclose(made[:heard], (due - due.mean()) / (due.std() or 1), atol=1e-4)


def test_log_mel_hears_neither_loudness_nor_what_comes_later():
    features, quiet = SPEECH[8_000], oracle.chirp(8_000) // 2
    made = features(quiet)
    assert np.allclose(features(2 * quiet), made, atol=1e-5)
    assert np.array_equal(features(np.append(quiet, quiet)), made)


# --- spikes to steps ------------------------------------------------------------------------

spikes = st.lists(
    st.tuples(st.floats(0, 1.5, width=16), st.integers(0, 699) | st.sampled_from([0, 699])),
    max_size=40,
)


@pytest.mark.parametrize("binning", BINNINGS)
@settings(max_examples=40)
@given(spikes=spikes)
def test_bins_hold_what_a_loop_over_spikes_puts_there(binning, spikes):
    times = np.array([t for t, _ in spikes], np.float16).astype(float)
    channels = np.array([u for _, u in spikes], np.int64)
    how = BINNINGS[binning]
    x = np.zeros((how.steps, 700), np.float32)
    how.add(x, times, channels)
    assert np.array_equal(x, oracle.binned(times, channels, binning))


# --- the command ----------------------------------------------------------------------------


def test_the_command_lists_every_task():
    shown = CliRunner().invoke(command)
    assert shown.exit_code == 0
    assert all(name in shown.output and b.title in shown.output for name, b in TASKS.items())
    assert max(map(len, shown.output.splitlines())) <= 100
    rows = json.loads(CliRunner().invoke(command, ["--json"]).output)
    assert [row["name"] for row in rows] == list(TASKS)
    assert rows[0]["options"] == TASKS["binary_adding"].options
    assert (rows[0]["steps"], rows[0]["n_in"], rows[0]["train"]) == (100, 2, 50_000)
