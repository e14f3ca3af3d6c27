#pragma once
// The model card of an int8 folder: README.md as the Hub reads it. What was measured of the base says nothing of these weights and does not
// stand in it.
#include <string>

#include "optimize/int8_folder.h"
#include "optimize/trade_off.h"

namespace mlac {

struct Int8Card {
  std::string base;       // the folder it was made from, whose labels, head and card are read
  std::string base_name;  // for people and the Hub: without a path
  std::string command;    // that made it, with file names only
  Int8Summary weights = {};
  TradeOff trade_off = {};  // its times are left out: they belong to a machine
};

// No date, path, host or duration: a function of the base and the rest of the card. It names optimization.json, which stands beside it, and
// nothing else. Of the base's own card it keeps the licence and the languages and, where mlac trained the base, the data and the call of
// `mlac run`. Throws as OpenModel of the base.
std::string Int8CardMarkdown(const Int8Card& card);

}  // namespace mlac
