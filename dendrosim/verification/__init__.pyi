from .verification import Verification as Verification
from .verification import verify as verify
