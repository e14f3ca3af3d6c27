#pragma once
// adapter_config.json: which layers a low-rank adapter has and how it is scaled, as PEFT writes it
// (https://github.com/huggingface/peft/blob/v0.17.0/src/peft/tuners/lora/config.py).
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

inline constexpr char kAdapterConfigFile[] = "adapter_config.json";
inline constexpr char kAdapterWeightsFile[] = "adapter_model.safetensors";
inline constexpr char kAllLinear[] = "all-linear";

// Whether `name`, which is a module's or the last parts of one, means this module: "query" or "self.query" for
// "encoder.layer.0.attention.self.query".
bool NamesModule(std::string_view name, std::string_view module);

struct AdapterConfig {
  size_t rank = 8;
  double alpha = 8, dropout = 0;
  bool rank_stabilized = false;                     // scaled by alpha / sqrt(rank): Kalajdzievski 2023, https://arxiv.org/abs/2312.03732
  std::map<std::string, size_t> rank_pattern = {};  // by what NamesModule takes
  std::map<std::string, double> alpha_pattern = {};
  std::vector<std::string> targets = {};          // likewise; empty where a pattern or PEFT's own table said which
  bool is_complete = false;                       // whether each module that targets name must have weights
  std::vector<std::string> modules_to_save = {};  // the ends of names of modules whose weights stand in the adapter as they are
  std::string task_type = {};                     // "SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION" or ""
  std::string base_model = {};                    // whatever its writer called the base

  size_t RankOf(std::string_view module) const;
  float ScaleOf(std::string_view module) const;
  bool Targets(std::string_view module) const;
};

// Reads folder/adapter_config.json. Throws kNotFound where there is none, kUnsupported for another method than LoRA and for all that would
// change what is computed and is not known here, naming the key; kInvalidInput for a value of another kind or outside of its range.
AdapterConfig ReadAdapterConfig(const std::string& folder);

// The same as PEFT reads it.
std::string AdapterConfigJson(const AdapterConfig& config);

}  // namespace mlac
