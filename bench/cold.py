"""From a cold start: one WAV file through a peer. usage: onnx|torch WEIGHTS IN.wav OUT.wav"""

import sys

import soundfile


def onnx(weights, x):
    """The original's public model in ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x[None, None]})
    return y[0, 0]


def torch(weights, x):
    """The torch mirror of the original."""
    import torch  # noqa: PLC0415

    from bench.torch_mirror import forward, prepare  # noqa: PLC0415
    from novasr_np import load_weights  # noqa: PLC0415

    return forward(prepare(load_weights(weights).params), torch.from_numpy(x)[None])[0].numpy()


if __name__ == "__main__":
    peer, weights, source, target = sys.argv[1:]
    x, _ = soundfile.read(source, dtype="float32")
    soundfile.write(target, {"onnx": onnx, "torch": torch}[peer](weights, x), 48_000)
