"""fixtures/losses/losses.safetensors: the losses of sentence embeddings by sentence-transformers, in float64 on float32 vectors.

For each NAME of losses.json: NAME/vectors [examples, columns, size], NAME/loss [1] and NAME/gradient (of the vectors); of CoSENT NAME/scores [examples].
losses.json: loss, columns, and what it was given: scale, or margin and distance, and the sizes of Matryoshka around it.
"""

import os
import shutil

import torch
from sentence_transformers import util
from sentence_transformers.sentence_transformer.losses import CoSENTLoss, MatryoshkaLoss, MultipleNegativesRankingLoss, TripletLoss
from sentence_transformers.sentence_transformer.losses.triplet import TripletDistanceMetric

from fixture_files import FIXTURES, Normals, save_json, save_tensors

FOLDER = os.path.join(FIXTURES, "losses")
DISTANCES = {"euclidean": TripletDistanceMetric.EUCLIDEAN, "cosine": TripletDistanceMetric.COSINE}


class Vectors(torch.nn.Module):
    """A model whose texts are vectors already."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def get_embedding_dimension(self):
        return self.size

    def forward(self, features):
        return dict(features)


def make_loss(model, case):
    if case["loss"] == "multiple-negatives-ranking":
        loss = MultipleNegativesRankingLoss(model, scale=case["scale"], similarity_fct=util.cos_sim)
    elif case["loss"] == "cosent":
        loss = CoSENTLoss(model, scale=case["scale"])
    else:
        loss = TripletLoss(model, distance_metric=DISTANCES[case["distance"]], triplet_margin=case["margin"])
    return MatryoshkaLoss(model, loss, case["matryoshka"]) if case["matryoshka"] else loss


CASES = {
    "pairs": {"loss": "multiple-negatives-ranking", "columns": 2, "scale": 20.0, "matryoshka": []},
    "pairs_of_scale_5": {"loss": "multiple-negatives-ranking", "columns": 2, "scale": 5.0, "matryoshka": []},
    "triples": {"loss": "multiple-negatives-ranking", "columns": 3, "scale": 20.0, "matryoshka": []},
    "scored": {"loss": "cosent", "columns": 2, "scale": 20.0, "matryoshka": []},
    "triplet_euclidean": {"loss": "triplet", "columns": 3, "margin": 5.0, "distance": "euclidean", "matryoshka": []},
    "triplet_euclidean_margin_0": {"loss": "triplet", "columns": 3, "margin": 0.0, "distance": "euclidean", "matryoshka": []},
    "triplet_cosine": {"loss": "triplet", "columns": 3, "margin": 0.5, "distance": "cosine", "matryoshka": []},
    "pairs_matryoshka": {"loss": "multiple-negatives-ranking", "columns": 2, "scale": 20.0, "matryoshka": [24, 8, 3]},
    "scored_matryoshka": {"loss": "cosent", "columns": 2, "scale": 20.0, "matryoshka": [12, 24]},
    "triplet_matryoshka": {"loss": "triplet", "columns": 3, "margin": 5.0, "distance": "euclidean", "matryoshka": [16, 4]},
}


def write():
    shutil.rmtree(FOLDER, ignore_errors=True)
    normals, size, examples = Normals(301), 24, 7
    tensors = {}
    for name, case in CASES.items():
        vectors = normals(examples, case["columns"], size)
        vectors[:, 1] += 0.8 * vectors[:, 0]  # positives are near
        scores = torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0, 1.0, 0.3])  # two are equal
        learnt = vectors.double().requires_grad_()
        model = Vectors(size)
        features = [{"sentence_embedding": learnt[:, column]} for column in range(case["columns"])]
        loss = make_loss(model, case)(features, scores.double() if case["loss"] == "cosent" else None)
        loss.backward()
        tensors |= {f"{name}/vectors": vectors, f"{name}/loss": loss.reshape(1), f"{name}/gradient": learnt.grad}
        if case["loss"] == "cosent":
            tensors[f"{name}/scores"] = scores
    save_tensors(os.path.join(FOLDER, "losses.safetensors"), tensors)
    save_json(os.path.join(FOLDER, "losses.json"), CASES)
    print(f"losses: {len(CASES)} cases")
