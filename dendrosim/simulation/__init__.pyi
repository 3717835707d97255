from .protocol import Protocol as Protocol
from .protocol_files import as_protocol as as_protocol
from .protocol_files import load_protocol as load_protocol
from .recording import Recording as Recording
from .recording import load_recording as load_recording
from .run import make_job as make_job
from .run import simulate as simulate
from .stimuli import Stimulus as Stimulus
