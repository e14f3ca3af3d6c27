#include "data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "base/random.h"

namespace mlac {
namespace {

// Streams of the seed: this split's own, so that it shares no numbers with shuffles or dropout.
constexpr uint64_t kGroupOrder = 0x73706C6974000000, kLabelOrder = 0x73706C6974000001;  // "split", then a number

// The rows of one text, all with the same label.
using Group = std::vector<size_t>;

// groups[label]: the texts of a label by first appearance. Texts that stand under two labels are in none: they stay in training.
std::vector<std::vector<Group>> GroupByText(const LabelledTexts& data) {
  std::unordered_map<std::string, Group> rows_of;
  for (size_t row = 0; row < data.size(); ++row) rows_of[data.Key(row)].push_back(row);
  std::vector<std::vector<Group>> groups(data.label_names.size());
  for (size_t row = 0; row < data.size(); ++row) {
    Group& group = rows_of.at(data.Key(row));
    const auto same_label = [&](size_t other) { return data.labels[other] == data.labels[row]; };
    if (group.empty() || group.front() != row || !std::all_of(group.begin(), group.end(), same_label)) continue;
    groups[static_cast<size_t>(data.labels[row])].push_back(std::move(group));
  }
  return groups;
}

// How many rows each label gives.
std::vector<size_t> Quotas(const std::vector<size_t>& sizes, double fraction, uint64_t seed) {
  const size_t total = std::accumulate(sizes.begin(), sizes.end(), size_t{0});
  const size_t wanted = std::max<size_t>(1, static_cast<size_t>(std::floor(fraction * static_cast<double>(total) + 0.5)));
  std::vector<size_t> quotas(sizes.size()), order(sizes.size());
  std::vector<double> remainders(sizes.size());
  size_t given = 0;
  for (size_t label = 0; label < sizes.size(); ++label) {
    const double share = fraction * static_cast<double>(sizes[label]);
    quotas[label] = static_cast<size_t>(std::floor(share));
    remainders[label] = share - std::floor(share);
    given += quotas[label];
  }
  std::iota(order.begin(), order.end(), size_t{0});
  Random random(seed, kLabelOrder);
  Shuffle(std::span(order), random);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  for (size_t i = 0; i < order.size() && given < wanted && remainders[order[i]] > 0; ++i) {
    if (sizes[order[i]] < 2 || quotas[order[i]] + 1 >= sizes[order[i]]) continue;  // one stays for training
    ++quotas[order[i]];
    ++given;
  }
  return quotas;
}

}  // namespace

SplitRows SplitStratified(const LabelledTexts& data, double fraction, uint64_t seed) {
  if (!(fraction >= 0 && fraction < 1))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("expected a validation share of at least 0 and less than 1, found {}", fraction));
  std::vector<bool> aside(data.size(), false);
  if (fraction > 0) {
    const std::vector<std::vector<Group>> groups = GroupByText(data);
    std::vector<size_t> sizes(groups.size());
    for (const int32_t label : data.labels) ++sizes[static_cast<size_t>(label)];
    const std::vector<size_t> quotas = Quotas(sizes, fraction, seed);
    for (size_t label = 0; label < groups.size(); ++label) {
      Random random(seed, kGroupOrder + (uint64_t{label} << 32));
      std::vector<size_t> order(groups[label].size());
      std::iota(order.begin(), order.end(), size_t{0});
      Shuffle(std::span(order), random);
      size_t left = quotas[label], num_kept = groups[label].size();
      for (const size_t index : order) {
        const Group& group = groups[label][index];
        if (group.size() > left || num_kept == 1) continue;
        for (const size_t row : group) aside[row] = true;
        left -= group.size();
        --num_kept;
      }
    }
  }
  SplitRows split;
  for (size_t row = 0; row < data.size(); ++row) (aside[row] ? split.validation : split.train).push_back(row);
  return split;
}

}  // namespace mlac
