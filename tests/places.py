"""Where tests find what is not Python: the checkout, its tests, and the data beside it."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
EPHYS = ROOT.parent / "shared" / "data" / "ephys"
SPEECH = ROOT.parent / "shared" / "data" / "speech"
