"""fixtures/metrics/cases.json: classification metrics by scikit-learn, Wilson's interval by scipy, bootstrap intervals by numpy.

Each case: name, num_labels, truth, predicted [N], losses [N], and expected: accuracy, macro_f1, weighted_f1, loss, precision, recall, f1,
support [num_labels], confusion [num_labels, num_labels], accuracy_interval, precision_interval, recall_interval (null where nothing was
seen). Cases with bootstrap: true hold macro_f1_interval and f1_interval too, of 20,000 resamples: sampling noise apart, what any bootstrap
must give.

fixtures/metrics/ranking.json: rankings of one query each: scores, gains, and expected: ndcg (ndcg_score at 10), reciprocal_rank, recall [at 1, 5 and 10] and
average_precision of the same numbers. Scores of one ranking differ, but for average_precision in the cases "ties".
"""

import os
import warnings

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, average_precision_score, confusion_matrix, f1_score, ndcg_score, precision_recall_fscore_support

from fixture_files import FIXTURES, save_json

warnings.filterwarnings("ignore")  # of denominators that are 0: the cases have them on purpose


def wilson(successes, trials):
    if trials == 0:
        return None
    interval = binomtest(int(successes), int(trials)).proportion_ci(0.95, method="wilson")
    return [float(interval.low), float(interval.high)]


def bootstrap(truth, predicted, num_labels):
    random = np.random.default_rng(0)
    macro, per_class = [], [[] for _ in range(num_labels)]
    for _ in range(20000):
        rows = random.integers(len(truth), size=len(truth))
        matrix = np.zeros((num_labels, num_labels))
        np.add.at(matrix, (truth[rows], predicted[rows]), 1)
        seen = matrix.sum(0) + matrix.sum(1)
        f1 = 2 * np.diag(matrix) / np.maximum(seen, 1)
        macro.append(f1[seen > 0].mean())
        for label in np.flatnonzero(seen):
            per_class[label].append(f1[label])
    percentiles = lambda values: [float(value) for value in np.percentile(values, [2.5, 97.5])] if values else None
    return {"macro_f1_interval": percentiles(macro), "f1_interval": [percentiles(values) for values in per_class]}


def case(name, truth, predicted, num_labels, random, with_bootstrap=False):
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    losses = random.gamma(1.0, 0.7, size=len(truth)).astype(np.float32)
    labels = list(range(num_labels))
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    matrix = confusion_matrix(truth, predicted, labels=labels)
    expected = {
        "accuracy": float(accuracy_score(truth, predicted)),
        "macro_f1": float(f1_score(truth, predicted, average="macro")),
        "weighted_f1": float(f1_score(truth, predicted, average="weighted")),
        "loss": float(losses.astype(np.float64).mean()),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion": matrix.tolist(),
        "accuracy_interval": wilson((truth == predicted).sum(), len(truth)),
        "precision_interval": [wilson(matrix[i, i], matrix[:, i].sum()) for i in labels],
        "recall_interval": [wilson(matrix[i, i], matrix[i].sum()) for i in labels],
    }
    if with_bootstrap:
        expected.update(bootstrap(truth, predicted, num_labels))
    return {
        "name": name,
        "num_labels": num_labels,
        "bootstrap": with_bootstrap,
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "losses": [float(loss) for loss in losses],
        "expected": expected,
    }


def noisy(random, size, num_labels, share_right, skew=1.0):
    weights = np.arange(1, num_labels + 1, dtype=np.float64) ** -skew
    truth = random.choice(num_labels, size=size, p=weights / weights.sum())
    predicted = np.where(random.random(size) < share_right, truth, random.integers(num_labels, size=size))
    return truth, predicted


def write():
    random = np.random.default_rng(4)
    cases = [
        case("one example", [1], [1], 2, random),
        case("one example, wrong", [1], [0], 3, random),
        case("all right", [0, 1, 2, 1, 0], [0, 1, 2, 1, 0], 3, random),
        case("all wrong", [0, 1, 0, 1], [1, 0, 1, 0], 2, random),
        case("a label is never predicted", [0, 1, 2, 2], [0, 1, 1, 0], 3, random),
        case("a label is never true", [0, 1, 1, 0], [0, 1, 2, 0], 3, random),
        case("labels that do not occur at all", [0, 3, 3, 0, 3], [0, 3, 0, 0, 3], 6, random),
    ]
    for size, num_labels, share in [(10, 3, 0.5), (50, 2, 0.9), (120, 7, 0.6), (200, 25, 0.4)]:
        cases.append(case(f"{size} examples of {num_labels} labels", *noisy(random, size, num_labels, share), num_labels, random))
    cases.append(case("bootstrap of two labels", *noisy(random, 150, 2, 0.7), 2, random, with_bootstrap=True))
    cases.append(case("bootstrap of five labels", *noisy(random, 300, 5, 0.6, skew=1.5), 5, random, with_bootstrap=True))
    save_json(os.path.join(FIXTURES, "metrics", "cases.json"), cases)
    write_rankings(random)


def ranking(name, scores, gains):
    scores, gains = np.asarray(scores, dtype=np.float32), np.asarray(gains, dtype=np.float32)
    relevant = gains >= 0.5
    average_precision = float(average_precision_score(relevant, scores)) if relevant.any() else 0.0
    if "ties" in name:
        return {"name": name, "scores": scores.tolist(), "gains": gains.tolist(), "expected": {"average_precision": average_precision}}
    assert len(set(scores.tolist())) == len(scores)
    found = relevant[np.argsort(-scores)]
    ranks = np.flatnonzero(found) + 1
    return {
        "name": name,
        "scores": scores.tolist(),
        "gains": gains.tolist(),
        "expected": {
            "ndcg": float(ndcg_score(gains[None].astype(np.float64), scores[None].astype(np.float64), k=10)) if len(scores) > 1 else float(relevant.any()),
            "reciprocal_rank": 1 / int(ranks[0]) if len(ranks) and ranks[0] <= 10 else 0.0,
            "recall": [float(found[:k].sum() / relevant.sum()) if len(ranks) else 0.0 for k in (1, 5, 10)],
            "average_precision": average_precision,
        },
    }


def write_rankings(random):
    cases = [
        ranking("one document, relevant", [0.3], [1]),
        ranking("nothing is relevant", [0.3, 0.2, 0.1], [0, 0, 0]),
        ranking("the best is first", [3, 2, 1], [1, 0, 0]),
        ranking("the best is last", [1, 2, 3], [1, 0, 0]),
        ranking("the only relevant one is tenth", list(range(12)), [0, 0, 1] + [0] * 9),
        ranking("the only relevant one is eleventh", list(range(12)), [0, 1] + [0] * 10),
        ranking("more than ten are relevant", list(range(15)), [1, 1, 1, 1, 0] * 3),
        ranking("gains between", [5, 4, 3, 2, 1], [0.25, 1, 0.5, 0, 0.75]),
        ranking("ties: all scores are equal", [1, 1, 1, 1], [1, 0, 0, 1]),
        ranking("ties: two runs", [2, 2, 1, 1, 1, 0], [0, 1, 1, 0, 0, 1]),
    ]
    for size in (7, 40, 200):
        cases.append(ranking(f"{size} documents", random.permutation(size) / size, (random.random(size) < 0.2).astype(np.float32)))
    save_json(os.path.join(FIXTURES, "metrics", "ranking.json"), cases)
