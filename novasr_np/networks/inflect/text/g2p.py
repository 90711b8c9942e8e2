"""Guess pronunciations from letters by g2p_en's network, a GRU encoder and a GRU decoder.

Its 834,890 weights are a file of the package g2p_en 2.1.0 (Apache-2.0). Neither that package nor
its dependencies are imported.
"""

import hashlib
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ....errors import WeightsError
from ....layers import gru
from .tables import CONSONANTS, VOWELS

FILE = "checkpoint20.npz"
SHA256 = "b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6"

_HIDDEN = 256
_LETTERS = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz", 3)}
_UNKNOWN_LETTER, _END_OF_LETTERS = 1, 2

_STRESSED = [f"{vowel}{stress}" for vowel in VOWELS for stress in "012"]
_PHONES = ["<pad>", "<unk>", "<s>", "</s>", *sorted([*CONSONANTS, *_STRESSED, "UW"])]
_START, _END = _PHONES.index("<s>"), _PHONES.index("</s>")
_MOST_PHONES = 20  # of a word, which is cut off there

TENSORS: dict[str, tuple[int, ...]] = {
    "enc_emb": (3 + len(_LETTERS), _HIDDEN),
    "dec_emb": (len(_PHONES), _HIDDEN),
    "fc_w": (len(_PHONES), _HIDDEN),
    "fc_b": (len(_PHONES),),
}
for _part in ("enc", "dec"):
    TENSORS |= {f"{_part}_w_{gate}": (3 * _HIDDEN, _HIDDEN) for gate in ("ih", "hh")}
    TENSORS |= {f"{_part}_b_{gate}": (3 * _HIDDEN,) for gate in ("ih", "hh")}


class Network:
    """Guess the pronunciation of a word of a to z: ``Network(params)("blorf")``."""

    def __init__(self, params: Mapping[str, np.ndarray]) -> None:
        """Take params, the arrays of TENSORS, float32. Raises WeightsError for other arrays."""
        shapes = {name: array.shape for name, array in params.items()}
        if shapes != TENSORS:
            wrong = sorted(shapes.items() ^ TENSORS.items())
            raise WeightsError(
                f"not g2p_en's weights: {len(wrong)} names or shapes differ: {wrong[:2]}"
            )
        self._params = params

    def __call__(self, word: str) -> tuple[str, ...]:
        """Guess a word's phones in ARPAbet, at most 20."""
        params = self._params
        letters = [*(_LETTERS.get(c, _UNKNOWN_LETTER) for c in word.lower()), _END_OF_LETTERS]
        state = self._states("enc", letters)[-1]
        phones: list[str] = []
        phone = _START
        for _ in range(_MOST_PHONES):
            (state,) = self._states("dec", [phone], state)
            phone = int(np.argmax(params["fc_w"] @ state + params["fc_b"]))
            if phone == _END:
                break
            phones.append(_PHONES[phone])
        return tuple(phones)

    def _states(self, part: str, symbols: list[int], state: np.ndarray | None = None) -> np.ndarray:
        """Run one of the two GRUs from a state, None for zeros: states [len(symbols), 256]."""
        p = self._params
        weights = p[f"{part}_w_ih"], p[f"{part}_w_hh"], p[f"{part}_b_ih"], p[f"{part}_b_hh"]
        return gru(p[f"{part}_emb"][symbols], *weights, state)


def load(path: str | Path) -> Network:
    """Load the network with the published weights, `checkpoint20.npz` of g2p_en 2.1.0.

    Raises WeightsError for another file, OSError if it cannot be read.
    """
    data = Path(path).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise WeightsError(f"{path}: not {FILE} of g2p_en 2.1.0: sha256 {found}, expected {SHA256}")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Network(dict(arrays))


def installed() -> Path | None:
    """Find the weights' file of an installed g2p_en, or None; the package is not imported."""
    package = importlib.util.find_spec("g2p_en")
    folders = (package and package.submodule_search_locations) or ()
    paths = (Path(folder) / FILE for folder in folders)
    return next((path for path in paths if path.is_file()), None)
