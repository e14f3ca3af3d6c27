#pragma once
// The model card of a folder that a model and its adapter were merged into: README.md as the Hub reads it. What was measured of either says
// nothing of these weights and does not stand in it.
#include <string>

#include "optimize/merged_folder.h"

namespace mlac {

struct MergedCard {
  std::string merged;                   // the folder, whose head and labels are read
  std::string base, adapter;            // those that it was made from, whose cards are read
  std::string base_name, adapter_name;  // for people and the Hub: without a path
  std::string command;                  // that made it, with file names only
  MergeSummary summary = {};
};

// No date, path, host or duration: a function of the three folders and the rest of the card. It keeps licence and languages of the base and,
// where mlac trained the adapter, its data. Throws as TransformerFolder and LabelNamesOf of the merged folder.
std::string MergedCardMarkdown(const MergedCard& card);

}  // namespace mlac
