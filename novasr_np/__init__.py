"""NovaSR in plain numpy: speech at 16 kHz in, 48 kHz out."""

from .api import count_saturated, upsample
from .errors import AudioError, WeightsError
from .model import forward, stages
from .resample import resample
from .stream import Stream
from .weights import load_weights, save_weights

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "Stream",
    "WeightsError",
    "count_saturated",
    "forward",
    "load_weights",
    "resample",
    "save_weights",
    "stages",
    "upsample",
]
