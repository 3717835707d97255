from .passive import CellProperties as CellProperties
from .passive import cell_properties as cell_properties
from .recorded import ClampRecording as ClampRecording
from .recorded import read_abf as read_abf
