from .result import Comparison as Comparison
from .result import compare as compare
from .result import comparison as comparison
