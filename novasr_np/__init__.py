"""Speech super-resolution in plain numpy: airband and NovaSR turn 16 kHz into 48 kHz.

`upsample` takes an array, `Stream` chunks, and `say` text; `load_weights`, `forward` and `stages`
are the bare network.
"""

from typing import TYPE_CHECKING

from .lazy import on_first_use
from .version import __version__

if TYPE_CHECKING:
    from .api import Stream, forward, resample, stages, upsample
    from .errors import AudioError, WeightsError
    from .fastsr import FastSR
    from .samples import count_saturated
    from .speech import say
    from .weights import load_weights, save_weights

__all__ = [
    "AudioError",
    "FastSR",
    "Stream",
    "WeightsError",
    "__version__",
    "count_saturated",
    "forward",
    "load_weights",
    "resample",
    "save_weights",
    "say",
    "stages",
    "upsample",
]

# Imported on first use, so that the command starts before numpy is loaded.
_ROOMS = {
    "api": ("Stream", "forward", "resample", "stages", "upsample"),
    "errors": ("AudioError", "WeightsError"),
    "fastsr": ("FastSR",),
    "samples": ("count_saturated",),
    "speech": ("say",),
    "weights": ("load_weights", "save_weights"),
}

__getattr__, __dir__ = on_first_use(__name__, _ROOMS)
