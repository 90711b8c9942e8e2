"""Named tensors: trees, the table of a network's tensors, and their files."""

from .quantised import dequantise, quantise
from .rounding import bfloat16, half
from .safetensors import read_safetensors, write_safetensors
from .table import check, check_shapes
from .trees import cast, check_finite, check_output, flatten, nest
from .unnormed import unnormed

__all__ = [
    "bfloat16",
    "cast",
    "check",
    "check_finite",
    "check_output",
    "check_shapes",
    "dequantise",
    "flatten",
    "half",
    "nest",
    "quantise",
    "read_safetensors",
    "unnormed",
    "write_safetensors",
]
