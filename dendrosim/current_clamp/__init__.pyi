from .recorded import ClampRecording as ClampRecording
from .recorded import read_abf as read_abf
