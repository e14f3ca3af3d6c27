"""Writes reference.safetensors with the reference library: pip install safetensors==0.8.0, then python3 make_reference.py.

The tensors and names are those of tests/tensor/safetensors_test.cc, ReferenceTensors: every type that mlac stores, an empty tensor, a scalar,
names that sort by bytes and names that JSON has to escape. Element i of the bytes of the tensor at place k in the list is (37 * k + i) % 256,
for BOOL that modulo 2.
"""
import ctypes
import math
import pathlib

import safetensors

TENSORS = [
    ("f32", "float32", [2, 3]),
    ("scalar", "float32", []),
    ("empty", "float32", [0, 5]),
    ("f16", "float16", [3]),
    ("bf16", "bfloat16", [5]),
    ("f64", "float64", [1, 1, 2]),
    ("i8", "int8", [7]),
    ("i16", "int16", [2]),
    ("i32", "int32", [3]),
    ("i64", "int64", [1]),
    ("u8", "uint8", [5]),
    ("u16", "uint16", [1]),
    ("u32", "uint32", [2]),
    ("u64", "uint64", [2]),
    ("bool", "bool", [3]),
    ("größe/重み😀", "float32", [1]),
    ('quote " backslash \\ tab \t line \n bell \x07 back \b form \f delete \x7f', "float32", [1]),
    ("Z", "float32", [1]),
    ("", "float32", [1]),
]
WIDTH = {"float64": 8, "int64": 8, "uint64": 8, "float32": 4, "int32": 4, "uint32": 4,
         "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2, "int8": 1, "uint8": 1, "bool": 1}

buffers, tensors = [], {}
for place, (name, dtype, shape) in enumerate(TENSORS):
    size = math.prod(shape) * WIDTH[dtype]
    data = bytes((37 * place + i) % (2 if dtype == "bool" else 256) for i in range(size))
    buffers.append(ctypes.create_string_buffer(data, max(size, 1)))  # alive until the file is written
    tensors[name] = safetensors.TensorSpec(dtype=dtype, shape=shape, data_ptr=ctypes.addressof(buffers[-1]), data_len=size)
path = pathlib.Path(__file__).with_name("reference.safetensors")
# One entry of metadata: the reference writes several in no fixed order.
safetensors.serialize_file(tensors, str(path), {"format": "pt"})
print(path.stat().st_size, "bytes")
