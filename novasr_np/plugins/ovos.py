"""A text-to-speech transformer for Open Voice OS, which brings the voice to 48 kHz.

In mycroft.conf::

    "tts_transformers": {"novasr-np": {"weights": "airband-2"}}
"""

import logging
import os
from pathlib import Path
from typing import Any

from ovos_plugin_manager.templates.transformers import TTSTransformer

from ..errors import message, printable
from ..files.convert import Options, convert
from ..files.find import target_suffix
from ..files.reading import reading
from ..pipeline.backend import Backend
from ..weights import load_weights

_log = logging.getLogger(__name__)
_OPTIONS = Options(keep_lowband="auto", if_exists="overwrite")


class NovaSRTransformer(TTSTransformer):
    """Bring a WAV file to 48 kHz before it is played.

    config: weights, a name or a path as `load_weights` takes it; threads, their number.
    """

    def __init__(
        self, name: str = "novasr-np", priority: int = 50, config: dict[str, Any] | None = None
    ) -> None:
        super().__init__(name, priority, config)
        loaded = load_weights(self.config.get("weights"))
        threads = self.config.get("threads")
        self._runner = Backend(threads).open(loaded)

    def transform(
        self, wav_file: str, context: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any] | None]:
        """Upsample `wav_file` to a file beside it; return that path, and the context.

        Returns `wav_file` itself if its rate is already the network's or higher, or after any
        error, with a warning in the log: a muffled voice is better than none.
        """
        rate_out = self._runner.network.rate_out
        try:
            with reading(Path(wav_file)) as source:
                if source.sample_rate >= rate_out:
                    return wav_file, context
            stem, _ = os.path.splitext(wav_file)
            target = f"{stem}{target_suffix(rate_out)}.wav"
            result = convert(str(wav_file), target, _OPTIONS, self._runner, lambda _: None)
            if result.status == "done":
                return target, context
            problem = result.error
        except Exception as error:  # whatever the error, the voice has to speak
            problem = message(error)
        _log.warning("%s", printable(f"{wav_file} stays as it is: {problem}"))
        return wav_file, context

    def default_shutdown(self) -> None:
        """End the threads."""
        self._runner.close()
