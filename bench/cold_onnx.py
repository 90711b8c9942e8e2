"""From a cold start: one WAV file through ONNX Runtime. usage: MODEL.onnx IN.wav OUT.wav"""

import sys

import onnxruntime
import soundfile

model, source, target = sys.argv[1:]
x, _ = soundfile.read(source, dtype="float32")
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
(y,) = session.run(None, {session.get_inputs()[0].name: x[None, None]})
soundfile.write(target, y[0, 0], 48_000)
