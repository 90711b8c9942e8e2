"""The alias-free activation with its linear parts multiplied out.

Away from the ends of a signal, with U and D the 12-tap filters, ``a = exp(alpha)``,
``c = 1 / (2 exp(beta) + epsilon)``, ``L = D U``, s the sum of D's taps and the input times ``2 a``
as h, ``u = U h / (2 a)``, `upsample2`, `snake_beta` and `downsample2` give

``D(u + c (1 - cos(2 a u))) = c (r L h - D cos(U h) + s)``,  ``r = 1 / (2 a c)``.

`snake` computes the bracket without s, minus a constant m, the bracket's middle in silence: as m is
subtracted here and added back after the next convolution, it changes only the rounding. The factors
and constants are multiplied into the convolutions on either side.
"""

from typing import Any, NamedTuple

import numpy as np

from .banded import ROWS, band, fir, tall


class Snake(NamedTuple):
    """Folded activation for `snake`. Made by `fold_snake`."""

    up: np.ndarray  # U as a band
    down: np.ndarray  # D
    through: np.ndarray  # L
    behind: int  # steps by which L begins after U
    slope: np.ndarray  # r of each channel, repeated ROWS times
    middle: np.ndarray  # m, likewise


def fold_snake(
    silent: np.ndarray,
    upsample: dict[str, Any],
    snakebeta: dict[str, Any],
    downsample: dict[str, Any],
    *,
    epsilon: float,
    swapped: bool = False,
) -> tuple[Snake, np.ndarray, np.ndarray, np.ndarray]:
    """Fold an activation to (Snake, 2 a, c, c (m + s)), the last three [C], in float64.

    silent: the input in silence, [C]; the trees as the layers take them; swapped: the doubling of
    the rate is `upsample2_swapped`.
    """
    w, f = 2 * upsample["filter"][:: 1 if swapped else -1], downsample["filter"]
    a, b = np.exp(snakebeta["alpha"]), np.exp(snakebeta["beta"])
    depth = 1 / (2 * b + epsilon)
    # In silence the cosine is that of 2 a u; in a loud signal it is 0 on average.
    middle = silent / depth - np.cos(2 * a * silent) / 2
    # D takes the samples m = 2 n + k - 5 of U for step n. Swapped, U makes sample m of the steps
    # m // 2 - 1 .. m // 2 + 4, with the taps of m's parity p, so that L begins at n - 4; else of
    # m // 2 - 3 + p .. m // 2 + 2 + p, and L begins at n - 5. U's two filters stand in one band, so
    # the second begins with a tap of 0 where it sees a step more.
    later = 0 if swapped else 1
    through = np.zeros(12 - later)
    for k, tap in enumerate(f):
        half, parity = divmod(k - 5, 2)
        first = half + parity * later + 3 - later
        through[first : first + 6] += tap * w[parity::2]
    bank = np.stack([np.pad(w[0::2], (0, later)), np.pad(w[1::2], (later, 0))])
    folded = Snake(
        up=band(bank, 1, ROWS),
        down=band(f[np.newaxis], 2, ROWS),
        through=band(through[np.newaxis], 1, ROWS),
        behind=later,
        slope=np.tile(1 / (2 * a * depth), ROWS),
        middle=np.tile(middle, ROWS),
    )
    return folded, 2 * a, depth, depth * (middle + f.sum())


def snake(p: Snake, h: np.ndarray, g: np.ndarray, w: np.ndarray, v: np.ndarray, count: int) -> None:
    """``v = r L h - m - D cos(U h)`` for count steps.

    h begins 4 steps before v's first if swapped, else 6. g and w are working memory, for 2 (count +
    6) and count steps; all of them get up to ROWS - 1 more steps, which are meaningless.
    """
    fir(h, p.up, 1, ROWS, g, count + 6)
    wave = g[: 2 * (count + 6)]
    np.cos(wave, out=wave)
    # The first of the pair that U gives lies before the first sample that D takes.
    fir(g[1:], p.down, 2, ROWS, w, count)
    fir(h[p.behind :], p.through, 1, ROWS, v, count)
    rows = tall(v, count)
    rows *= p.slope
    rows -= p.middle
    rows -= tall(w, count)
