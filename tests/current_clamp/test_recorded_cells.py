"""Current-clamp files: channels, commands with user lists, epochs; pyabf and the raw file judge."""

import random
import re
import resource
import struct
import time
import warnings

import numpy as np
import pytest
from abf_files import abf1, abf2, resting
from numpy.testing import assert_allclose, assert_array_equal
from places import EPHYS

import dendrosim as ds
from dendrosim.current_clamp import doubts
from dendrosim.current_clamp.epochs import chosen_epoch, command_epochs
from dendrosim.current_clamp.recorded import ClampRecording, read_abf
from dendrosim.errors import DendrosimError, DendrosimWarning

needs_data = pytest.mark.skipif(
    not EPHYS.is_dir(), reason="needs the recordings beside the checkout"
)
USER_LIST = EPHYS / "2020_03_02_0000.abf"
STEP = [(0, 0, 1, 0.0, 0.0, 200, 0), (0, 1, 1, 50.0, 25.0, 800, 0)]  # 0, then 50 pA and 25 more


def strings_of(path):
    """Return the last text of an ABF 2 file: its user list, read from the raw bytes."""
    raw = path.read_bytes()
    block, size = struct.unpack_from("<II", raw, 220)
    return raw[block * 512 : block * 512 + size].rstrip(b"\0").split(b"\0")[-1].decode()


class TestCommand:
    @needs_data
    def test_the_user_list_is_what_was_commanded(self):
        """Issue 15, item 3: sweep 5 is 25 pA; the channel I_Com, which pyabf reads, shows it."""
        import pyabf

        listed = [float(x) for x in strings_of(USER_LIST).split(",") if x.strip()]
        assert listed == [-200, -150, -100, -50, 0, 25, 50, 100, 150, 200, 250, 300, 350, 400,
                          500, 600]  # fmt: skip
        with pytest.warns(DendrosimWarning, match="the potential reaches 300 mV"):
            read = read_abf(USER_LIST)
        assert_allclose(read.command[3000] * 1e12, listed)
        abf = pyabf.ABF(str(USER_LIST))
        for sweep in range(16):
            abf.setSweep(sweep, channel=1)
            recorded = np.median(abf.sweepY[1400:6200]) - np.median(abf.sweepY[8000:])
            assert read.command[3000, sweep] * 1e12 == pytest.approx(recorded, abs=2.0)

    @needs_data
    @pytest.mark.parametrize("name", ["171116sh_0016", "171116sh_0018", "17o05028_ic_steps"])
    def test_without_a_list_it_is_that_of_pyabf(self, name):
        import pyabf

        abf, read = pyabf.ABF(str(EPHYS / f"{name}.abf")), read_abf(EPHYS / f"{name}.abf")
        assert read.dt == 1 / abf.dataRate
        for sweep in abf.sweepList:
            abf.setSweep(sweep)
            assert_allclose(read.command[:, sweep] * 1e12, abf.sweepC, atol=1e-5)
            assert_allclose(read.voltage[:, sweep] * 1e3, abf.sweepY, rtol=1e-6)

    @pytest.mark.parametrize(
        ("version", "parameter", "changes"),
        [
            ((2, 6), 22, {"levels": [10, -20, 30]}),  # 21 + epoch B
            ((2, 9), 62, {"levels": [10, -20, 30]}),  # 61 + epoch B: Clampex 11 counts 50 epochs
            ((2, 6), 32, {"durations": [10, 20, 30]}),
            ((2, 9), 112, {"durations": [10, 20, 30]}),
        ],
    )
    def test_levels_and_durations_of_a_list(self, tmp_path, version, parameter, changes):
        values = next(iter(changes.values()))
        text = ", ".join(map(str, values)) + ","
        path = abf2(tmp_path / "a.abf", resting(3), epochs=STEP, version=version,
                    lists=[(0, parameter, 0, text)])  # fmt: skip
        read = read_abf(path)
        start = 2048 // 64 + 200
        for k in range(3):
            expected = np.zeros(2048)
            level = changes.get("levels", [50, 75, 100])[k]
            expected[start : start + changes.get("durations", [800] * 3)[k]] = level
            assert_allclose(read.command[:, k] * 1e12, expected)

    @pytest.mark.parametrize(("repeats", "expected"), [(0, [5, 7, 7, 7, 7]), (1, [5, 7, 5, 7, 5])])
    def test_a_list_that_is_shorter_than_the_sweeps(self, tmp_path, repeats, expected):
        path = abf2(tmp_path / "a.abf", resting(5), epochs=STEP, lists=[(0, 22, repeats, "5,7")])
        assert_allclose(read_abf(path).command[600] * 1e12, expected)

    @pytest.mark.parametrize(("parameter", "field"), [(42, "period"), (52, "width")])
    def test_trains_of_a_list(self, tmp_path, parameter, field):
        epochs = [STEP[0], (0, 1, 3, 50.0, 0.0, 1000, 0, 100, 10)]
        path = abf2(tmp_path / "a.abf", resting(2), epochs=epochs,
                    lists=[(0, parameter, 0, "50, 25")])  # fmt: skip
        command = read_abf(path).command * 1e12
        for k, value in enumerate((50, 25)):
            period, width = (value, 10) if field == "period" else (100, value)
            phase = np.arange(1000) % period
            assert_allclose(command[232:1232, k], np.where(phase < width, 50.0, 0.0))

    @pytest.mark.parametrize(
        ("one", "told"),
        [
            ((0, 25, 0, "5,7"), "changes no epoch of output 'Cmd 0' .A, B."),
            ((0, 22, 0, "5,seven"), "'5,seven', which is not a list of numbers"),
            ((0, 22, 0, ""), "not a list of numbers"),
            ((1, 8, 0, "5,7"), "changes the holding level of the other output"),
            ((0, 255, 0, "5,7"), "changes no epoch"),
        ],
    )
    def test_a_list_that_cannot_be_applied_is_refused(self, tmp_path, one, told):
        path = abf2(tmp_path / "a.abf", resting(2), epochs=STEP, lists=[one])
        with pytest.raises(DendrosimError, match=told):
            read_abf(path)

    def test_a_list_of_pauses_or_digital_patterns_changes_no_command(self, tmp_path):
        lists = [(0, 7, 0, "1, 2"), (0, 12, 0, "0101")]
        path = abf2(tmp_path / "a.abf", resting(2), epochs=STEP, lists=lists)
        assert_allclose(read_abf(path).command[600] * 1e12, [50, 75])

    def test_all_shapes_are_those_of_pyabf(self, tmp_path):
        """Oracle: steps, ramps, pulses, triangles, cosines, two phases; held between the sweeps."""
        import pyabf

        kinds = [1, 2, 3, 4, 5, 7]
        epochs = [(0, k, kind, 10.0 * (k + 1), 3.0, 200, 10, 50, 20)
                  for k, kind in enumerate(kinds)]  # fmt: skip
        for last in (False, True):
            path = abf2(
                tmp_path / f"{last}.abf", resting(3), epochs=epochs, holding=-7.0, last=last
            )
            abf, read = pyabf.ABF(str(path)), read_abf(path)
            for sweep in range(3):
                abf.setSweep(sweep)
                expected = np.nan_to_num(abf.sweepC, nan=np.inf)
                known = np.isfinite(expected)  # pyabf leaves what follows a triangle open
                assert_allclose(read.command[known, sweep] * 1e12, expected[known], atol=1e-5)

    def test_in_a_gap_free_file_no_waveform_is_put_out(self, tmp_path):
        path = abf2(tmp_path / "a.abf", resting(1), epochs=STEP, mode=3, holding=5.0)
        with pytest.warns(DendrosimWarning, match="never changes: it is 5 pA throughout"):
            read = read_abf(path)
        assert_allclose(read.command, 5e-12)

    def test_an_epoch_that_does_not_fit_is_told(self, tmp_path):
        path = abf2(tmp_path / "a.abf", resting(2), epochs=[(0, 0, 1, 5.0, 0.0, 1000, 2**30)])
        with pytest.raises(DendrosimError, match="epoch A of sweep 1 would last"):
            read_abf(path)

    @pytest.mark.parametrize(("gain", "warns"), [(1.0, False), (0.95, False), (0.5, True)])
    def test_a_recorded_current_is_compared(self, tmp_path, gain, warns):
        data = resting(2, channels=2)
        data[:, :, 1] = 3.0 + np.random.default_rng(0).normal(0, 2, (2, 2048))  # offset and noise
        data[0, 232:1032, 1] += 50 * gain
        data[1, 232:1032, 1] += 75 * gain
        path = abf2(tmp_path / "a.abf", data, [("Vm", "mV"), ("I_Com", "pA")], epochs=STEP)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            read_abf(path)
        words = [str(w.message) for w in told]
        assert bool(words) == warns
        if warns:
            assert "'I_Com' differs from the command by 37" in words[0] and "sweep 1" in words[0]


class TestVersion1:
    def test_potentials_are_those_of_pyabf(self, tmp_path):
        import pyabf

        data = np.random.default_rng(1).normal(-60, 5, (3, 640, 1))
        path = abf1(tmp_path / "a.abf", data, epochs=[*STEP[:1], (0, 1, 1, 50.0, 25.0, 300, 0)])
        abf, read = pyabf.ABF(str(path)), read_abf(path)
        assert read.dt == pytest.approx(1 / abf.dataRate) == 50e-6
        for sweep in range(3):
            abf.setSweep(sweep)
            assert_allclose(read.voltage[:, sweep] * 1e3, abf.sweepY, rtol=1e-5)
            assert_allclose(read.voltage[:, sweep] * 1e3, data[sweep, :, 0], atol=0.06)

    def test_it_is_held_at_the_level_of_the_output(self, tmp_path):
        """pyabf 2.3 takes the level of the first epoch, here 50 pA, for the holding level."""
        path = abf1(tmp_path / "a.abf", resting(2, 640), holding=-30.0,
                    epochs=[(0, 0, 1, 50.0, 25.0, 300, 0)])  # fmt: skip
        command = read_abf(path).command * 1e12
        for k, level in enumerate((50.0, 75.0)):
            expected = np.full(640, -30.0)
            expected[10:310] = level
            assert_allclose(command[:, k], expected)

    @pytest.mark.parametrize(
        ("parameter", "levels", "last"), [(21, [7, -7], 310), (31, [50, 75], 110)]
    )
    def test_user_lists(self, tmp_path, parameter, levels, last):
        text = "7, -7" if parameter == 21 else "100,100"
        path = abf1(tmp_path / "a.abf", resting(2, 640), listed=(parameter, 0, text),
                    epochs=[(0, 0, 1, 50.0, 25.0, 300, 0)])  # fmt: skip
        command = read_abf(path).command * 1e12
        assert_allclose(command[10:last], np.tile(levels, (last - 10, 1)))
        assert_allclose(command[last:], 0)

    def test_pulses(self, tmp_path):
        path = abf1(tmp_path / "a.abf", resting(1, 640), epochs=[(0, 0, 3, 50.0, 0, 300, 0, 30, 5)])
        phase = np.arange(300) % 30
        assert_allclose(read_abf(path).command[10:310, 0] * 1e12, np.where(phase < 5, 50.0, 0.0))

    def test_a_short_old_header_is_refused(self, tmp_path):
        path = abf1(tmp_path / "a.abf", resting(1, 640), version=1.3)
        raw = bytearray(path.read_bytes())
        struct.pack_into("<i", raw, 40, 4)
        path.write_bytes(raw)
        with pytest.raises(DendrosimError, match=r"version 1\.3 has a short header"):
            read_abf(path)


class TestChannels:
    TWO = (("stim", "V"), ("Vm", "mV"))
    OUTPUTS = (("Cmd 0", "mV"), ("Inj", "nA"))

    def with_trigger(self, path, **more):
        data = resting(2, channels=2)[:, :, ::-1].copy()
        data[:, 500:520, 0] = 4.2
        return abf2(path, data, self.TWO, self.OUTPUTS, waveform=[False, True],
                    epochs=[(1, 0, 1, 0.1, 0.1, 800, 0)], **more)  # fmt: skip

    def test_a_trigger_in_volt_is_not_the_potential(self, tmp_path):
        """Issue 15, item 5: channel 0 in V was a cell at 4,200 mV; the pair is on channel 1."""
        read = read_abf(self.with_trigger(tmp_path / "a.abf"))
        assert_allclose(read.voltage, -0.065, rtol=1e-6)
        assert_allclose(read.command[500], [100e-12, 200e-12], rtol=1e-6)  # nA
        assert read.source == "potential 'Vm', command 'Inj'"

    @pytest.mark.parametrize("channel", [1, "Vm", "1"])
    @pytest.mark.parametrize("command", [1, "Inj"])
    def test_both_can_be_named(self, tmp_path, channel, command):
        path = self.with_trigger(tmp_path / "a.abf")
        protocol = ds.load_protocol("recorded").with_(
            file=path, channel=channel, command_channel=command
        )
        assert protocol.stimuli[0].recording.source == "potential 'Vm', command 'Inj'"

    @pytest.mark.parametrize(
        ("keys", "told"),
        [
            ({"channel": 0}, "reaches 4.2 V, so it is not the potential of a cell"),
            ({"channel": 2}, "channel = 2 is neither the name nor the number of one"),
            ({"channel": "V m"}, "channel = 'V m' is neither"),
            ({"command_channel": 0}, "command_channel = 0 is no current"),
            ({"command_channel": "x"}, "command_channel = 'x' is neither"),
        ],
    )
    def test_a_refusal_lists_the_channels_with_their_units(self, tmp_path, keys, told):
        with pytest.raises(DendrosimError, match=re.escape(told)) as error:
            read_abf(self.with_trigger(tmp_path / "a.abf"), **keys)
        if "4.2" not in told:
            assert "channels: 0 'stim' in V, 1 'Vm' in mV" in str(error.value)
            assert "outputs: 0 'Cmd 0' in mV, 1 'Inj' in nA" in str(error.value)

    @pytest.mark.parametrize(
        ("channels", "outputs", "told"),
        [
            ([("I", "pA")], [("Cmd 0", "mV")], "not a current clamp: it has no potential"),
            ([("TTL", "V")], [("Cmd 0", "pA")], "not a current clamp: it has no channel in mV"),
            ([("Vm", "mV")], [("Cmd 0", "mV")], "it has no output in ampere"),
        ],
    )
    def test_no_current_clamp(self, tmp_path, channels, outputs, told):
        path = abf2(tmp_path / "a.abf", resting(2), channels, outputs, epochs=STEP)
        with pytest.raises(DendrosimError, match=told):
            read_abf(path)

    def test_two_cells_have_to_be_told_apart(self, tmp_path):
        data = resting(2, channels=2)
        data[:, :, 1] = -50
        path = abf2(tmp_path / "a.abf", data, [("Vm", "mV"), ("Vm2", "mV")],
                    [("Inj", "pA"), ("Inj2", "pA")], waveform=[True, True],
                    epochs=[*STEP, (1, 0, 1, 7.0, 0.0, 800, 0)])  # fmt: skip
        with pytest.raises(DendrosimError, match="several channels may be the potential"):
            read_abf(path)
        second = read_abf(path, channel="Vm2")
        assert second.command[100, 0] == pytest.approx(7e-12)
        assert second.voltage[0, 0] == pytest.approx(-0.05)

    def test_a_pair_has_the_number_of_the_input_not_its_place(self, tmp_path):
        """An amplifier on input 1 alone: its command is output 1."""
        path = abf2(tmp_path / "a.abf", resting(2), [("Vm", "mV")], [("a", "pA"), ("b", "pA")],
                    waveform=[True, True], physical=[1],
                    epochs=[*STEP, (1, 0, 1, 7.0, 0.0, 800, 0)])  # fmt: skip
        assert read_abf(path).command[100, 0] == pytest.approx(7e-12)

    def test_the_command_line_sets_them(self, tmp_path):
        from dendrosim.cli.settings import prepare

        path = str(self.with_trigger(tmp_path / "a.abf"))
        settings = ["channel=Vm", "command_channel=1", "spike_slope=10 mV/ms",
                    "measure.start=10 ms", "measure.stop=20 ms"]  # fmt: skip
        _, how = prepare(["lif"], "recorded", path, settings)
        assert how.stimuli[0].recording.rule.slope == pytest.approx(10)
        assert how.window == pytest.approx((0.01, 0.02))


def recording(command, dt=1e-3, voltage=None):
    command = np.asarray(command, dtype=float) * 1e-12
    rest = np.full(command.shape, -0.065)
    return ClampRecording("cell.abf", dt, command, rest if voltage is None else voltage)


def steps(*parts, sweeps=3, points=1000):
    """Return a command in pA of (first sample, last sample, levels)."""
    command = np.zeros((points, sweeps))
    for first, last, levels in parts:
        command[first:last] = levels
    return command


class TestEpochs:
    def test_the_first_of_two_equal_steps_is_measured_and_the_other_told(self):
        """Issue 15, item 6: both were counted in one window."""
        made = recording(steps((100, 300, [-50, 0, 50]), (500, 600, -50), (600, 800, [-50, 0, 50])))
        assert [(e.start, e.stop) for e in made.epochs] == [(0.1, 0.3), (0.5, 0.6), (0.6, 0.8)]
        assert made.driven == (0.1, 0.3)
        (told,) = doubts.of_measuring(made, *made.driven, given=False)
        assert "3 epochs (100 to 300 ms: -50 to 50 pA; 500 to 600 ms: -50 pA; 600 to 800" in told
        assert doubts.of_measuring(made, *made.driven, given=True) == []
        (told,) = doubts.of_measuring(made, 0.1, 0.8, given=True)
        assert "holds 3 epochs" in told

    def test_the_epoch_that_sets_the_sweeps_apart_most_wins(self):
        made = recording(steps((100, 300, -500), (500, 800, [-50, 0, 50])))
        assert made.driven == (0.5, 0.8)

    def test_identical_sweeps_keep_their_command(self):
        """32 sweeps of 2 nA were printed as 0 pA."""
        made = recording(steps((200, 300, 2000.0), sweeps=32))
        assert made.driven == (0.2, 0.3)
        assert_array_equal(made.epochs[0].levels, np.full(32, 2000e-12))
        assert "32 sweeps of 1000 ms, all with the same command" in doubts.found(made)

    def test_steps_of_different_lengths_are_one_epoch(self):
        command = np.zeros((1000, 3))
        for k, last in enumerate((200, 400, 600)):
            command[100:last, k] = 50
        assert [(e.start, e.stop) for e in recording(command).epochs] == [(0.1, 0.6)]

    def test_a_train_of_pulses_a_ramp_and_noise_are_one_epoch_each(self):
        pulses = steps(*[(k, k + 5, 70.0) for k in range(100, 500, 20)])
        assert [(e.start, e.stop) for e in recording(pulses).epochs] == [(0.1, 0.485)]
        ramp = steps((100, 900, np.linspace(0.1, 80, 800)[:, None] * [1, 2, 3]))
        (epoch,) = recording(ramp).epochs
        assert_allclose(epoch.levels * 1e12, [80, 160, 240])
        noise = steps((100, 900, np.random.default_rng(1).normal(0, 9, (800, 3))))
        assert [(e.start, e.stop) for e in recording(noise).epochs] == [(0.1, 0.9)]

    def test_a_command_that_never_changes_is_said(self):
        made = recording(np.full((1000, 2), -35.0))
        assert (made.epochs, made.driven) == ([], (0.0, 1.0))
        assert "never changes: it is -35 pA" in doubts.of_reading(made)[0]

    def test_a_step_back_to_zero_from_a_holding_current_is_a_step(self):
        command = np.full((1000, 2), -50.0)
        command[300:600] = [0.0, -50.0]
        made = recording(command)
        assert made.driven == (0.3, 0.6)
        assert_allclose(made.epochs[0].levels * 1e12, [0, -50])

    def test_time_and_amplitude_scale(self):
        """Law: epochs scale with the step and the current."""
        command = steps((100, 300, [-50, 0, 50]), (500, 800, [1, 2, 3]))
        one, two = command_epochs(command, 1e-3), command_epochs(3 * command, 2e-3)
        assert [2 * e.start for e in one] == pytest.approx([e.start for e in two])
        assert_allclose([3 * e.levels for e in one], [e.levels for e in two])
        assert chosen_epoch(one, 3) is one[0] and chosen_epoch([], 3) is None


class TestDamage:
    """Issue 15, item 21: a small mutated file took 3.8 GB and 14 s; others a struct.error."""

    @pytest.fixture
    def file(self, tmp_path):
        return abf2(tmp_path / "a.abf", resting(3, 640), epochs=STEP[:1], lists=[(0, 21, 0, "1,2")])

    @pytest.fixture
    def old(self, tmp_path):
        return abf1(tmp_path / "b.abf", resting(3, 640), epochs=STEP[:1], listed=(21, 0, "1,2"))

    def told(self, path):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DendrosimWarning)
                read_abf(path)
        except DendrosimError as error:
            assert str(path) in str(error)

    def test_a_file_that_was_cut_short_is_told_at_any_length(self, file):
        whole = file.read_bytes()
        for length in [*range(1, 700, 7), *range(700, len(whole) - 600, 511)]:
            file.write_bytes(whole[:length])
            with pytest.raises(DendrosimError, match="not a readable ABF file"):
                read_abf(file)

    @pytest.mark.parametrize("version", [1, 2])
    def test_every_mutation_ends_in_a_sentence_or_a_recording(self, file, old, version):
        file = file if version == 2 else old
        whole = file.read_bytes()
        rng = random.Random(15)
        began = time.process_time()
        for _ in range(1000):
            damaged = bytearray(whole)
            for _ in range(rng.choice((1, 1, 2, 4))):
                at = rng.choice((rng.randrange(512), rng.randrange(6000)))
                value = rng.choice((0, 1, -1, 2**31 - 1, -(2**31), 2**30, rng.randrange(2**16)))
                struct.pack_into("<i", damaged, at, value)
            file.write_bytes(damaged)
            self.told(file)
        assert time.process_time() - began < 120  # some 2 s; one of 14 s would show

    def test_a_count_is_compared_with_the_file_before_memory_is_taken(self, file):
        whole = bytearray(file.read_bytes())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for place in (12, 84, 100, 116, 164, 180, 228, 244, 324):  # sweeps, and each section
            damaged = bytearray(whole)
            struct.pack_into("<i", damaged, place, 2**31 - 1)
            file.write_bytes(damaged)
            with pytest.raises(DendrosimError, match="not a readable ABF file"):
                read_abf(file)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB

    @needs_data
    @pytest.mark.parametrize("length", [10, 100, 3000, 100_000, 1_000_000])
    def test_real_files_cut_short(self, tmp_path, length):
        path = tmp_path / "a.abf"
        path.write_bytes((EPHYS / "171116sh_0018.abf").read_bytes()[:length])
        with pytest.raises(DendrosimError, match="it was cut short or is damaged"):
            read_abf(path)
