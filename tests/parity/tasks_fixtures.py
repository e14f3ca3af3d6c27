"""tasks.json: what transformers' pipelines answer over the folders of families_fixtures.py, in float64.

A list of {"task", "model", "options", "inputs", "answers"}: options by the names of TaskOptions in src/pipelines/task.h, inputs texts or [first, second],
answers what the pipeline returns for a list of those inputs. Text ranking is sentence-transformers' CrossEncoder, which returns [{index, score}] here.
"""

import os
import warnings

import torch
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)
from transformers.utils import logging as transformers_logging

from fixture_files import FIXTURES, save_json

FOLDER = os.path.join(FIXTURES, "families")

SHORT = ["The cat was not there.", "dog", "Water: is it \u00e9 light \u00e0 la model? \u4f60 \U0001f600 people!", "trained untested models"]
LONG = ("We have all of the time: open the light, and close it! the small dog was not there, and the large cat ran in the light water of one small "
        "night that people have when it was dark and cold; models are tested, untested ones were there for you and by the word of one")
QUESTIONS = ["is it red?", "what was there", "who"]
MODELS = {
    "token-classification": AutoModelForTokenClassification,
    "question-answering": AutoModelForQuestionAnswering,
    "fill-mask": AutoModelForMaskedLM,
    "text-classification": AutoModelForSequenceClassification,
    "zero-shot-classification": AutoModelForSequenceClassification,
}


class Tasks:
    def __init__(self):
        self.cases = []

    def pipeline(self, task, name):
        model = MODELS[task].from_pretrained(os.path.join(FOLDER, name), attn_implementation="eager").double().eval()
        return pipeline(task, model=model, tokenizer=AutoTokenizer.from_pretrained(os.path.join(FOLDER, name)))

    def add(self, task, name, inputs, answers, **options):
        self.cases.append({"task": task, "model": name, "options": options, "inputs": inputs, "answers": plain(answers)})


def plain(value):
    """numpy's numbers as Python's."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value.item() if hasattr(value, "item") else value


def token_classification(tasks):
    for name in ("bert_tokens", "distilbert_tokens", "electra_tokens", "mpnet_tokens"):
        run = tasks.pipeline("token-classification", name)
        for aggregation in ("none", "simple", "first", "average", "max"):
            tasks.add("token-classification", name, SHORT, run(SHORT, aggregation_strategy=aggregation), aggregation=aggregation)
        for aggregation in ("simple", "average"):
            tasks.add("token-classification", name, [LONG, "dog"], run([LONG, "dog"], aggregation_strategy=aggregation, stride=9),
                      aggregation=aggregation, stride=9)
    tasks.add("token-classification", name, SHORT[:1], run(SHORT[:1], ignore_labels=["B-PER", "I-LOC"]), ignore_labels=["B-PER", "I-LOC"])


def question_answering(tasks):
    contexts = [SHORT[2], LONG, "Cats? The large cat CAT."]
    for name in ("bert_qa", "distilbert_qa", "electra_qa", "mpnet_qa"):
        run = tasks.pipeline("question-answering", name)
        for options, ours in (
            ({}, {}),
            ({"top_k": 3}, {"top_k": 3}),
            ({"top_k": 4, "handle_impossible_answer": True}, {"top_k": 4, "handle_impossible_answer": True}),
            ({"top_k": 2, "align_to_words": False, "max_answer_len": 3}, {"top_k": 2, "align_to_words": False, "max_answer_length": 3}),
            ({"max_seq_len": 24, "doc_stride": 5}, {"window": 24, "doc_stride": 5}),
        ):
            answers = run(question=QUESTIONS, context=contexts, **options)
            tasks.add("question-answering", name, [list(pair) for pair in zip(QUESTIONS, contexts)], answers, **ours)


def fill_mask(tasks):
    for name in ("distilbert_masked_lm", "electra_masked_lm", "mpnet_masked_lm"):
        run = tasks.pipeline("fill-mask", name)
        mask = run.tokenizer.mask_token
        one = [f"the {mask} was there.", f"{mask} models (at night)"]
        two = [f"the {mask} was {mask}", one[0]]
        tasks.add("fill-mask", name, one, run(one))
        tasks.add("fill-mask", name, two, run(two, top_k=2), top_k=2)
        tasks.add("fill-mask", name, one, run(one, targets=["dog", "cat", "water"]), targets=["dog", "cat", "water"])


def classification(tasks):
    pairs = [["is it red?", "no, it is blue"], ["cat", "dog"]]
    for name in ("distilbert_classifier", "electra_nli", "mpnet_reranker", "mpnet_vocab_only"):
        run = tasks.pipeline("text-classification", name)
        tasks.add("text-classification", name, SHORT, run(SHORT))
        tasks.add("text-classification", name, SHORT, run(SHORT, top_k=None), top_k=0)
        tasks.add("text-classification", name, SHORT[:2], run(SHORT[:2], top_k=2, function_to_apply="none"), top_k=2, function_to_apply="none")
        tasks.add("text-classification", name, pairs, run([{"text": a, "text_pair": b} for a, b in pairs]))
    run = tasks.pipeline("zero-shot-classification", "electra_nli")
    labels = ["red", "blue light", "dog"]
    tasks.add("zero-shot-classification", "electra_nli", SHORT, run(SHORT, labels), candidate_labels=labels)
    tasks.add("zero-shot-classification", "electra_nli", SHORT, run(SHORT, labels, multi_label=True), candidate_labels=labels, multi_label=True)
    tasks.add("zero-shot-classification", "electra_nli", SHORT, run(SHORT, labels[:1], hypothesis_template="it is {}"), candidate_labels=labels[:1],
              hypothesis_template="it is {}")


@torch.no_grad()
def ranking(tasks):
    folder = os.path.join(FOLDER, "mpnet_reranker")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").double().eval()
    query, texts = "what was there", SHORT + ["the small dog"]
    logits = [model(**tokenizer(query, text, return_tensors="pt")).logits[0, 0] for text in texts]
    for raw in (False, True):
        scores = [(logit if raw else torch.sigmoid(logit)).item() for logit in logits]
        order = sorted(range(len(texts)), key=lambda i: -scores[i])
        tasks.add("text-ranking", "mpnet_reranker", texts, [{"index": i, "score": scores[i]} for i in order], query=query, raw_scores=raw)


def write():
    transformers_logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    tasks = Tasks()
    for part in (token_classification, question_answering, fill_mask, classification, ranking):
        part(tasks)
    save_json(os.path.join(FOLDER, "tasks.json"), tasks.cases)
    print(f"tasks: {len(tasks.cases)} cases")
