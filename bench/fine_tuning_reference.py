#!/usr/bin/env python3
"""A run of fine-tuning by transformers: the reference that `dev bench wordnet` and `dev bench spam` put beside mlac (environment `parity`).

    bench/fine_tuning_reference.py --model MINILM --train train.csv --test test.csv --max-length 64 [--seeds 0 1 2 3 4] [--threads 2] [--max-steps N]

AutoModelForSequenceClassification on MiniLM, all of it trained: AdamW 1e-4, weight decay 0.01 but on biases and norms, 10 % linear warm-up
then linear decay to 0, clipping at 1.0, batches of 32 padded to their longest text, 2 epochs, dropout as the model's
config.json says; the weights of the last epoch are kept. Each seed runs in a process of its own, one after the other, and prints one line
of JSON: accuracy and macro_f1 of test.csv (over the labels in truth or prediction), train_seconds (tokenising train.csv, making batches,
training; not loading and not evaluating), of which tokenize_seconds, and peak_rss_mib of the process.
"""

import argparse
import csv
import json
import math
import os
import resource
import subprocess
import sys
import time

EPOCHS, BATCH_SIZE = 2, 32
LEARNING_RATE, WEIGHT_DECAY, WARMUP, MAX_GRAD_NORM = 1e-4, 0.01, 0.1, 1.0


def parse_arguments():
    parser = argparse.ArgumentParser(description="A run of fine-tuning by transformers.")
    parser.add_argument("--model", required=True, help="the folder of MiniLM")
    parser.add_argument("--train", required=True, help="CSV with the columns text and label")
    parser.add_argument("--test", required=True)
    parser.add_argument("--max-length", type=int, required=True, help="in tokens; longer texts are cut")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--max-steps", type=int, help="stop after so many steps, to try it out; the schedule stays that of the whole run")
    return parser.parse_args()


def read_csv(path):
    csv.field_size_limit(sys.maxsize)  # an e-mail may be longer than the 128 KiB that Python allows by default
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def macro_f1(truth, predicted):
    """The mean F1 over the labels that occur in truth or prediction."""
    scores = []
    for label in set(truth) | set(predicted):
        both = sum(t == label and p == label for t, p in zip(truth, predicted))
        scores.append(2 * both / (truth.count(label) + predicted.count(label)))
    return sum(scores) / len(scores)


def run(arguments, seed):
    import torch
    import transformers
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup, set_seed
    from transformers.utils import logging

    logging.set_verbosity_error()
    torch.set_num_threads(arguments.threads)
    set_seed(seed)

    train_texts, train_labels = read_csv(arguments.train)
    test_texts, test_labels = read_csv(arguments.test)
    labels = sorted(set(train_labels))
    label_ids = torch.tensor([labels.index(label) for label in train_labels])
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForSequenceClassification.from_pretrained(arguments.model, num_labels=len(labels))  # sdpa attention, the default

    def tokenize(texts):
        return tokenizer(texts, truncation=True, max_length=arguments.max_length, padding=False)["input_ids"]

    def padded(sequences):
        return tokenizer.pad({"input_ids": sequences}, padding="longest", return_tensors="pt")

    start = time.perf_counter()
    sequences = tokenize(train_texts)
    tokenize_seconds = time.perf_counter() - start
    without_decay = [p for name, p in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name]
    with_decay = [p for name, p in model.named_parameters() if not (name.endswith("bias") or "LayerNorm" in name)]
    optimizer = torch.optim.AdamW(
        [{"params": with_decay, "weight_decay": WEIGHT_DECAY}, {"params": without_decay, "weight_decay": 0.0}], lr=LEARNING_RATE
    )
    num_steps = EPOCHS * -(-len(sequences) // BATCH_SIZE)
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(WARMUP * num_steps), num_steps)
    shuffles = torch.Generator().manual_seed(seed)
    model.train()
    step, last_step = 0, arguments.max_steps or num_steps
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(sequences), generator=shuffles).split(BATCH_SIZE):
            if step == last_step:
                break
            loss = model(**padded([sequences[i] for i in batch.tolist()]), labels=label_ids[batch]).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            step += 1
    train_seconds = time.perf_counter() - start

    model.eval()
    test_sequences = tokenize(test_texts)
    predicted = []
    with torch.inference_mode():
        for begin in range(0, len(test_sequences), BATCH_SIZE):
            predicted += [labels[i] for i in model(**padded(test_sequences[begin : begin + BATCH_SIZE])).logits.argmax(dim=-1).tolist()]
    print(
        json.dumps(
            {
                "program": f"transformers {transformers.__version__}, torch {torch.__version__}",
                "seed": seed,
                "threads": arguments.threads,
                "steps": step,
                "accuracy": sum(t == p for t, p in zip(test_labels, predicted)) / len(test_labels),
                "macro_f1": macro_f1(test_labels, predicted),
                "train_seconds": round(train_seconds, 3),
                "tokenize_seconds": round(tokenize_seconds, 3),
                "last_loss": loss.item(),
                "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            }
        ),
        flush=True,
    )


def main():
    arguments = parse_arguments()
    if len(arguments.seeds) == 1:
        run(arguments, arguments.seeds[0])
        return
    for seed in arguments.seeds:
        command = [
            sys.executable,
            os.path.abspath(__file__),
            "--model",
            arguments.model,
            "--train",
            arguments.train,
            "--test",
            arguments.test,
            "--max-length",
            str(arguments.max_length),
            "--seeds",
            str(seed),
            "--threads",
            str(arguments.threads),
        ]
        if arguments.max_steps:
            command += ["--max-steps", str(arguments.max_steps)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    main()
