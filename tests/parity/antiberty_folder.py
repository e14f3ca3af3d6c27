#!/usr/bin/env python3
"""Makes a folder that mlac opens of the fixture `antiberty`, whose weights are a pytorch_model.bin.

    tests/parity/antiberty_folder.py FIXTURE OUT_FOLDER

OUT_FOLDER then holds model.safetensors with the weights of the encoder and its masked LM, bits unchanged, config.json, vocab.txt and
tokenizer_config.json. A pytorch_model.bin is a zip of a pickle, which says how the tensors lie in the files beside it. The standard library reads
it, and no class but those that tensors are made of.
"""

import collections
import json
import math
import os
import pickle
import shutil
import struct
import sys
import zipfile

MODEL = "AntiBERTy_md_smooth"  # the folder inside the fixture
STORAGES = {"FloatStorage": ("F32", 4), "LongStorage": ("I64", 8)}


class Reader(pickle.Unpickler):
    """Tensors are (dtype of safetensors, shape, bytes)."""

    def __init__(self, archive):
        self.archive = archive
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        self.root = name[: -len("data.pkl")]
        super().__init__(archive.open(name))

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"{module}.{name} belongs to no tensor")

    def persistent_load(self, pid):
        _, storage, key, _, _ = pid  # the device that it was saved on does not matter
        return storage, self.archive.read(f"{self.root}data/{key}")

    @staticmethod
    def tensor(storage, offset, shape, strides, *_):
        (dtype, width), data = storage
        expected = tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
        if strides != expected:
            raise pickle.UnpicklingError(f"a tensor of shape {shape} lies with strides {strides}")
        return dtype, shape, data[offset * width : (offset + math.prod(shape)) * width]


def write_safetensors(path, tensors):
    header, begin = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + len(data)]}
        begin += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            file.write(data)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: antiberty_folder.py FIXTURE OUT_FOLDER")
    fixture, out = sys.argv[1:]
    model = os.path.join(fixture, MODEL)
    partial = out + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    with zipfile.ZipFile(os.path.join(model, "pytorch_model.bin")) as archive:
        tensors = Reader(archive).load()
    write_safetensors(os.path.join(partial, "model.safetensors"),
                      {name: tensor for name, tensor in tensors.items() if tensor[0] == "F32" and name.startswith(("bert.", "cls.predictions."))})
    with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    config["architectures"] = ["BertForMaskedLM"]  # its other heads, of species and of chains, are left out
    with open(os.path.join(partial, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    with open(os.path.join(partial, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "BertTokenizer", "do_lower_case": False}, file, indent=2)
    shutil.copy(os.path.join(fixture, "vocab.txt"), partial)
    shutil.rmtree(out, ignore_errors=True)
    os.rename(partial, out)


if __name__ == "__main__":
    main()
