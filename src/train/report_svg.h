#pragma once
// Plots as SVG, written by hand: readable on light and dark pages, the same bytes for the same figures.
#include <cstddef>
#include <string>

#include "train/metrics.h"
#include "train/trainer.h"

namespace mlac {

// Loss of each step (averaged where there are many) and of each epoch, of validation too if there is any, beside macro-F1 and accuracy
// of validation; over epochs, the epoch whose weights were kept marked. Values that are not finite are left out.
std::string LearningCurvesSvg(const TrainingResult& result);

// Truth in rows, prediction in columns, shaded by the share of the row. The 20 labels with most examples; the others together.
std::string ConfusionMatrixSvg(const ClassificationMetrics& metrics);

}  // namespace mlac
