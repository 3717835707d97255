from .axes import Axis as Axis
from .design import Design as Design
from .measures import MEASURES as MEASURES
from .measures import Measure as Measure
from .pack_run import PointRun as PointRun
from .result import Sweep as Sweep
from .result import load_sweep as load_sweep
from .run import sweep as sweep
