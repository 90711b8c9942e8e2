"""The exported ONNX model beside the original's public one, in ONNX Runtime, on the same speech.

    python -m bench.onnx_export

Both have the original's v1 weights. Times are the best of three, taken in turn; errors are max-abs
to this network in float64.
"""

import time

import numpy as np
import onnxruntime

from novasr_np import forward, load_weights, onnx_export

from .material import speech, upstream

ROUNDS = 3


def main() -> None:
    params = load_weights(upstream("pytorch_model_v1.bin"))
    models = {
        "public": str(upstream("novasr_v1.onnx")),
        "ours": onnx_export.model(params).SerializeToString(),
        f"ours, opset {onnx_export.OPSETS[0]}": onnx_export.model(
            params, opset=onnx_export.OPSETS[0]
        ).SerializeToString(),
        "ours, half": onnx_export.model(params, half=True).SerializeToString(),
    }
    print("| clips, threads | model | x public's speed | max-abs error |\n|---|---|---:|---:|")
    for threads in (1, 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        sessions = {
            name: onnxruntime.InferenceSession(model, options) for name, model in models.items()
        }
        for batch, seconds in ((1, 1), (1, 10), (4, 5)):
            x = speech(batch * seconds).reshape(batch, 1, -1)
            truth = forward(params, np.float64(x))
            best, errors = dict.fromkeys(models, np.inf), {}
            for turn in range(ROUNDS + 1):  # the first one warms up
                for name, session in sessions.items():
                    kind = session.get_inputs()[0].type
                    given = x.astype(np.float16 if "float16" in kind else np.float32)
                    start = time.perf_counter()
                    (y,) = session.run(None, {"input": given})
                    if turn:
                        best[name] = min(best[name], time.perf_counter() - start)
                    errors[name] = np.abs(y - truth).max()
            for name in models:
                ratio = best["public"] / best[name]
                clips = f"{batch} of {seconds} s, {threads}"
                print(f"| {clips} | {name} | {ratio:.2f} | {errors[name]:.0e} |")


if __name__ == "__main__":
    main()
