"""From a cold start: one WAV file through the torch mirror. usage: WEIGHTS IN.wav OUT.wav"""

import sys

import soundfile
import torch

from bench.torch_mirror import forward, prepare
from novasr_np import load_weights

weights, source, target = sys.argv[1:]
x, _ = soundfile.read(source, dtype="float32")
y = forward(prepare(load_weights(weights)), torch.from_numpy(x)[None])
soundfile.write(target, y[0].numpy(), 48_000)
