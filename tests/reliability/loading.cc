// reliability_loading FOLDER: the time of opening and checking the safetensors files of a model, as a share of loading it: opened, its
// layers built, its weights packed. Texts are left out: neither the tokenizer is read nor does the time of a forward pass count. Files come
// from the page cache, so the share is the largest there is. The exit status is 1 if the share is outside of its bound.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "base/machine.h"
#include "base/thread_team.h"
#include "models/inference.h"
#include "models/model_folder.h"
#include "tensor/weight_files.h"

namespace {

using namespace mlac;

constexpr double kMaxShare = 0.03;
constexpr int kNumChecks = 200, kNumLoads = 20;

template <typename Work>
double SecondsOf(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A weight is packed at its first use, so a first pass less a second one is the packing.
double TimeOfLoad(const std::string& folder) {
  std::unique_ptr<Model> model;
  const double opening = SecondsOf([&] { model = OpenModel(folder); });
  TokenBatch batch;
  batch.token_ids = {1};
  batch.token_type_ids = {0};
  batch.offsets = {0, 1};
  Inference inference(DefaultNumThreads());
  const auto pass = [&] { inference.ForEachGroup(batch, [&](Run& run, const TokenBatch& group, size_t) { model->Encode(run, group); }); };
  const double first = SecondsOf(pass);
  double later = first;
  for (int i = 0; i < 5; ++i) later = std::min(later, SecondsOf(pass));
  return opening + first - later;
}

bool Measure(const std::string& folder) {
  const std::string weights_folder = TransformerFolder(folder);
  double check = 1e9, load = 1e9;
  for (int i = 0; i < kNumChecks; ++i) check = std::min(check, SecondsOf([&] { WeightFiles::Open(weights_folder); }));
  for (int i = 0; i < kNumLoads; ++i) load = std::min(load, TimeOfLoad(folder));
  const WeightFiles files = WeightFiles::Open(weights_folder);
  const double megabytes = static_cast<double>(files.num_bytes()) / 1e6;
  fmt::print("{}\n{} tensors, {:.1f} MB, {} threads\n", DescribeMachine().processor, files.num_tensors(), megabytes, DefaultNumThreads());
  fmt::print("opening and checking the weights {:10.3f} ms\nloading, weights packed          {:10.3f} ms\n", check * 1e3, load * 1e3);
  fmt::print("share                            {:10.2f} %   at most {:.0f}\n", check / load * 100, kMaxShare * 100);
  return check <= kMaxShare * load;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: {} FOLDER\n", argv[0]);
    return 2;
  }
  try {
    return Measure(argv[1]) ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
