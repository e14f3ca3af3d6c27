// Our side of `dev bench`: reads one JSON command a line on stdin, answers with one JSON line on stdout, so that a script can run it and the
// peers in turns.
//   {"op": "forward", "model": DIR, "threads": 2, "lengths": [128, ...], "repeats": 5}   ->  {"seconds": [...], "hash": "..."}
// lengths: of the sequences of one ragged batch; the ids are made from "seed".
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "models/inference.h"
#include "models/model_folder.h"

namespace mlac {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// FNV-1a over the bits, to compare paths.
uint64_t Hash(const void* data, size_t num_bytes) {
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < num_bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 1099511628211u;
  return hash;
}

TokenBatch MakeBatch(const std::vector<size_t>& lengths, size_t vocab_size, uint64_t seed) {
  TokenBatch batch;
  uint64_t state = seed * 2654435761u + 88172645463325252u;
  for (const size_t length : lengths) {
    for (size_t i = 0; i < length; ++i) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      batch.token_ids.push_back(static_cast<int32_t>(state % vocab_size));
      batch.token_type_ids.push_back(0);
    }
    batch.offsets.push_back(batch.token_ids.size());
  }
  return batch;
}

class Worker {
 public:
  json Answer(const json& command) {
    const std::string op = command.at("op");
    if (op == "forward") return Forward(command);
    throw Error(ErrorCode::kInvalidArgument, "there is no op '" + op + "'");
  }

 private:
  json Forward(const json& command) {
    const std::string folder = command.at("model");
    std::unique_ptr<Model>& model = models_[folder];
    if (!model) model = OpenModel(folder);
    const size_t threads = command.value("threads", size_t{2});
    const bool bf16 = command.value("dtype", "f32") == "bf16";
    std::unique_ptr<Inference>& inference = inference_[{threads, bf16}];
    if (!inference) inference = std::make_unique<Inference>(threads, bf16 ? DType::kBF16 : DType::kF32);
    const TokenBatch batch = MakeBatch(command.at("lengths").get<std::vector<size_t>>(), model->vocab_size(), command.value("seed", 1));
    std::vector<float> out(batch.num_tokens() * model->hidden_size());
    const auto pass = [&] {
      inference->ForEachGroup(batch, [&](mlac::Run& run, const TokenBatch& group, size_t first) {
        const Tensor part = model->Encode(run, group);
        std::copy(part.floats().begin(), part.floats().end(), out.begin() + static_cast<ptrdiff_t>(batch.offsets[first] * model->hidden_size()));
      });
    };
    for (size_t i = 0; i < command.value("warmups", size_t{2}); ++i) pass();
    json seconds = json::array();
    for (size_t i = 0; i < command.value("repeats", size_t{5}); ++i) {
      const auto begin = Clock::now();
      pass();
      seconds.push_back(SecondsSince(begin));
    }
    return {{"seconds", seconds}, {"hash", std::to_string(Hash(out.data(), out.size() * sizeof(float)))}};
  }

  std::map<std::string, std::unique_ptr<Model>> models_;
  std::map<std::pair<size_t, bool>, std::unique_ptr<Inference>> inference_;
};

}  // namespace
}  // namespace mlac

int main() {
  mlac::Worker worker;
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json answer;
    try {
      answer = worker.Answer(nlohmann::json::parse(line));
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump() << std::endl;
  }
}
