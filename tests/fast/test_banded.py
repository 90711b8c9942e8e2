"""Products of several steps at once against the plain convolution."""

import numpy as np
import pytest
from conftest import check

from novasr_np import layers
from novasr_np.fast import banded


@pytest.mark.parametrize("rows", [1, 2, 5, 16])
@pytest.mark.parametrize("taps", [1, 7, 11, 17])
def test_correlate_is_a_convolution(rows, taps):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(400, 3)), rng.normal(size=(taps, 3, 2))
    want = layers.conv1d(np.pad(x.T, [(0, 0), (0, 20)]), kernel.transpose(2, 1, 0))
    for count in (1, 50, 99):
        for spare in (None, np.zeros(2000)):
            y = np.zeros((1000, 2))
            banded.correlate(x, banded.toeplitz(kernel, rows), rows, y, count, spare)
            check(y[:count], want[:, taps // 2 :][:, :count].T, 1e-12)


@pytest.mark.parametrize("rows", [1, 2, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3, 5])
def test_correlate_dilated_is_a_dilated_convolution(rows, dilation):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(500, 3)), rng.normal(size=(7, 3, 2))
    want = layers.conv1d(x.T, kernel.transpose(2, 1, 0), dilation=dilation)[:, 3 * dilation :].T
    for count in (1, 50, 99):
        for spare in (None, np.full(5000, 7.0)):
            y = np.zeros((500, 2))
            matrix = banded.toeplitz(kernel, rows)
            banded.correlate_dilated(x, matrix, rows, dilation, y, count, spare)
            check(y[:count], want[:count], 1e-12)
