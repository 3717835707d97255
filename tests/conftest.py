"""For every test: hypothesis without a clock, and compiled code kept in a folder of the run."""

import os

import pytest
from hypothesis import settings

settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(scope="session", autouse=True)
def compiled_code(tmp_path_factory):
    """Keep what is compiled out of the home; the workers of one run share it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENDROSIM_CACHE", str(base / "programs"))
        patch.setenv("CYTHON_CACHE_DIR", str(base / "cython"))
        yield


#: Files that take minutes with few tests.  They begin first, so that no worker waits for the other.
LONG = ("test_kills.py", "test_docs_examples.py", "test_sweep.py", "test_fit_report.py",
        "test_posterior.py", "test_verification.py", "test_continuous_torch.py")  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONG)
