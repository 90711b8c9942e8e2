"""Speech super-resolution in plain numpy: NovaSR turns 16 kHz into 48 kHz.

`upsample` takes an array, `Stream` chunks; `load_weights`, `forward` and `stages` are the bare
network.
"""

from .api import forward, resample, stages, upsample
from .errors import AudioError, WeightsError
from .samples import count_saturated
from .stream import Stream
from .version import __version__
from .weights import load_weights, save_weights

__all__ = [
    "AudioError",
    "Stream",
    "WeightsError",
    "__version__",
    "count_saturated",
    "forward",
    "load_weights",
    "resample",
    "save_weights",
    "stages",
    "upsample",
]
