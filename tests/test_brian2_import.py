"""Importing Brian2 for this package runs no file of the current folder and changes no hook."""

import os
import subprocess
import sys

import pytest

POISON = (
    'core.default_float_dtype = __import__("pathlib").Path("{}").touch() '
    'or __import__("numpy").float64'
)


@pytest.fixture
def poisoned(tmp_path):
    """A folder whose file of preferences makes another file when Brian2 evaluates it."""
    (tmp_path / "brian_preferences").write_text(POISON.format("evaluated"))
    home = tmp_path / "home"
    (home / ".brian").mkdir(parents=True)
    (home / ".brian" / "user_preferences").write_text(POISON.format("evaluated_at_home"))

    def run(code):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "HOME": str(home)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return sorted(path.name for path in tmp_path.glob("evaluated*"))

    return run


@pytest.mark.parametrize(
    "code",
    [
        "import dendrosim.integrators",
        "import dendrosim as ds; ds.load_model('lif')",
        "from dendrosim.cli.commands import main; main(['show', 'lif'])",
        "import threading; name = 'dendrosim.model.model'; "
        "t = threading.Thread(target=__import__, args=[name]); t.start(); t.join(); "
        "import sys; assert 'brian2' in sys.modules",
    ],
)
def test_no_file_of_preferences_is_evaluated(poisoned, code):
    assert poisoned(code) == []


@pytest.mark.parametrize(
    "code",
    ["import brian2", "import dendrosim, brian2",
     "import dendrosim.model.model, brian2; brian2.prefs.load_preferences()"],
)  # fmt: skip
def test_a_script_that_asks_for_them_has_them(poisoned, code):
    """So the files above would have been evaluated; the last line is how to read them later."""
    assert poisoned(code) == ["evaluated", "evaluated_at_home"]


def test_no_log_is_opened(tmp_path):
    code = "import dendrosim.model.model, os; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path,
                   env={**os.environ, "TMPDIR": str(tmp_path)})  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_hooks_and_signals_stay_as_they_were(tmp_path):
    code = """
import signal, sys
def mine(*_): pass
sys.excepthook = mine
import dendrosim.model.model
assert sys.excepthook is mine
from brian2.core.preferences import BrianGlobalPreferences
assert BrianGlobalPreferences.load_preferences.__name__ == "load_preferences"
import brian2
assert brian2.__spec__.name == "brian2" and brian2.__file__
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
