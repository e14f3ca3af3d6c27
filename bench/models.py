"""Makes the models that the benchmarks run, in the form that each peer takes (environment `rivals`).

    bench/models.py --out FOLDER --minilm FIXTURE NAME...        NAME: minilm, bert-base, distilbert

FOLDER/NAME then holds
    model/            as Hugging Face keeps it: MiniLM's own weights; the others have the shape of their name and random weights, seed 0
    classifier/       the same with a classification head of 25 labels, for training
    plain.onnx        exported by torch
    fused.onnx        plain.onnx with attention, GELU and LayerNorm fused by onnxruntime.transformers.optimizer
    int8.onnx         fused.onnx, its products int8 by onnxruntime's dynamic quantisation: weights per channel, activations a tensor
    openvino-int8.*   plain.onnx after nncf's post-training quantisation, calibrated on e-mails
    ctranslate2/      as its converter for transformers writes it
What is there already stays. A form that cannot be made leaves FORM.error with the reason.
"""

import argparse
import os
import shutil
import sys
import traceback

import numpy as np

SHAPES = {
    "bert-base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    # DistilBERT itself has no token types and no pooler, which cost next to nothing: BERT with its layers stands for it.
    "distilbert": {"hidden_size": 768, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 3072},
}
NUM_LABELS = 25
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def make_model(folder, name, fixture):
    """`model`: the fixture itself, or random weights beside its tokenizer."""
    target = os.path.join(folder, "model")
    if name == "minilm":
        os.symlink(os.path.abspath(fixture), target)
        return
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=30522, **SHAPES[name])).eval().save_pretrained(target)
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(os.path.join(fixture, file), target)


def make_classifier(folder):
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(os.path.join(folder, "model"), num_labels=NUM_LABELS)
    model.save_pretrained(os.path.join(folder, "classifier"))


def make_plain(folder):
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(os.path.join(folder, "model"), attn_implementation="eager", add_pooling_layer=False).eval()
    ids = torch.ones(2, 8, dtype=torch.int64)
    dynamic = {name: {0: "batch", 1: "length"} for name in [*INPUTS, "last_hidden_state"]}
    torch.onnx.export(model, (ids, ids, torch.zeros_like(ids)), os.path.join(folder, "plain.onnx"), input_names=INPUTS,
                      output_names=["last_hidden_state"], dynamic_axes=dynamic, opset_version=17, dynamo=False)


def make_fused(folder):
    from onnxruntime.transformers import optimizer
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(os.path.join(folder, "model"))
    model = optimizer.optimize_model(os.path.join(folder, "plain.onnx"), model_type="bert", num_heads=config.num_attention_heads,
                                     hidden_size=config.hidden_size, opt_level=0)
    fused = model.get_fused_operator_statistics()
    if fused.get("Attention", 0) + fused.get("MultiHeadAttention", 0) != config.num_hidden_layers:
        raise RuntimeError(f"attention was not fused in every layer: {fused}")
    model.save_model_to_file(os.path.join(folder, "fused.onnx"))


def make_int8(folder):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(os.path.join(folder, "fused.onnx"), os.path.join(folder, "int8.onnx"), per_channel=True, weight_type=QuantType.QInt8,
                     extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT})


def make_openvino_int8(folder):
    import nncf
    import openvino

    from emails import cut_emails
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(os.path.join(folder, "model"))
    samples = [dict(tokenizer([text], return_tensors="np", truncation=True, max_length=128)) for text in cut_emails(tokenizer, 64)]
    samples = [{name: sample[name].astype(np.int64) for name in INPUTS} for sample in samples]
    model = nncf.quantize(openvino.Core().read_model(os.path.join(folder, "plain.onnx")), nncf.Dataset(samples),
                          model_type=nncf.ModelType.TRANSFORMER, subset_size=len(samples))
    openvino.save_model(model, os.path.join(folder, "openvino-int8.xml"), compress_to_fp16=False)


def make_ctranslate2(folder):
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(os.path.join(folder, "model")).convert(os.path.join(folder, "ctranslate2"), force=True)


FORMS = [("classifier", make_classifier), ("plain.onnx", make_plain), ("fused.onnx", make_fused), ("int8.onnx", make_int8),
         ("openvino-int8.xml", make_openvino_int8), ("ctranslate2", make_ctranslate2)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--minilm", required=True, help="its folder; its tokenizer serves the others too")
    parser.add_argument("names", nargs="+", choices=["minilm", *SHAPES])
    options = parser.parse_args()
    for name in options.names:
        folder = os.path.join(options.out, name)
        os.makedirs(folder, exist_ok=True)
        if not os.path.exists(os.path.join(folder, "model")):
            make_model(folder, name, options.minilm)
        for form, make in FORMS:
            path = os.path.join(folder, form)
            if os.path.exists(path) or os.path.exists(path + ".error"):
                continue
            print(f"models.py: {name}, {form}", file=sys.stderr, flush=True)
            try:
                make(folder)
            except Exception as error:  # a rival that fails is a row of its own
                traceback.print_exc()
                with open(path + ".error", "w", encoding="utf-8") as file:
                    file.write(f"{type(error).__name__}: {error}".splitlines()[0] + "\n")


if __name__ == "__main__":
    main()
