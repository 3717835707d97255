from .result import Verification as Verification
from .verification import compare_runs as compare_runs
from .verification import verify as verify
