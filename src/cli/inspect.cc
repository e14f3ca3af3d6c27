// mlac inspect: what a model folder holds, what it can do, and the memory that takes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/display.h"
#include "base/json.h"
#include "base/machine.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/store_access.h"
#include "models/adapter.h"
#include "models/model_folder.h"
#include "models/quantization.h"
#include "pipelines/text_model.h"
#include "tensor/weight_files.h"
#include "text/length_limit.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

constexpr size_t kTensorsShown = 8, kLabelsShown = 12;

struct InspectOptions {
  std::string model, adapter;
  bool tensors = false, json = false;
  size_t num_threads = 0;
};

// Whether a tensor holds numbers that were trained: position_ids and the like are no parameters, scales belong to the int8 weight beside them.
bool IsParameter(const WeightFiles& weights, const TensorInfo& tensor) {
  if (tensor.dtype == DType::kI8) return weights.Find(ScaleName(tensor.name)) != nullptr;
  return !tensor.name.ends_with(ScaleName(".weight")) && (tensor.dtype_name.starts_with('F') || tensor.dtype_name.starts_with("BF"));
}

ordered_json DescribeWeights(const WeightFiles& weights) {
  size_t num_parameters = 0;
  std::map<std::string, size_t> num_by_dtype;
  auto tensors = ordered_json::array();
  for (const std::string& name : weights.names()) {
    const TensorInfo& tensor = *weights.Find(name);
    if (IsParameter(weights, tensor)) num_parameters += NumElements(tensor.shape);
    ++num_by_dtype[std::string(tensor.dtype_name)];
    tensors.push_back({{"name", name}, {"dtype", tensor.dtype_name}, {"shape", tensor.shape}});
  }
  return {{"num_parameters", num_parameters}, {"num_tensors", weights.num_tensors()}, {"num_bytes", weights.num_bytes()},
          {"num_tensors_by_dtype", num_by_dtype}, {"tensors", std::move(tensors)}};
}

// The sizes that config.json gives under these names, where it does.
ordered_json DescribeConfig(const nlohmann::json& config) {
  ordered_json found = ordered_json::object();
  for (const char* key : {"model_type", "architectures", "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size",
                          "vocab_size", "max_position_embeddings", "transformers_version"})
    if (const auto value = config.find(key); value != config.end()) found[key] = *value;
  return found;
}

// Runs one text as long as the model takes, in the way that it will be used, so that what is measured afterwards has seen everything.
size_t RunLongestText(TextModel& model) {
  TokenBatch batch;
  batch.token_ids.assign(model.max_length(), 0);
  batch.token_type_ids.assign(model.max_length(), 0);
  batch.offsets.push_back(model.max_length());
  if (model.model().head() == Head::kSequenceClassification)
    model.Logits(batch);
  else
    model.Embed(batch);
  return model.max_length();
}

ordered_json DescribeAdapter(const std::string& given, const std::string& folder, const Model& model) {
  const AdapterConfig config = ReadAdapterConfig(folder);
  size_t num_parameters = 0;
  for (const Parameter& parameter : model.parameters().parameters()) num_parameters += parameter.value.num_elements();
  std::vector<std::string> layers;
  for (const LoraModule& module : model.parameters().loras()) layers.push_back(module.name);
  return {{"folder", given},
          {"rank", config.rank},
          {"alpha", config.alpha},
          {"rank_stabilized", config.rank_stabilized},
          {"targets", config.targets},
          {"modules_to_save", config.modules_to_save},
          {"base_model", config.base_model},
          {"num_parameters", num_parameters},
          {"layers", layers}};
}

ordered_json Describe(const InspectOptions& options) {
  const ModelFolder given = FindModel(options.model), adapter = FindAdapter(options.adapter);
  const std::string folder = TransformerFolder(given.path);
  const nlohmann::json config = adapter.path.empty() ? ReadJsonFile(folder + "/config.json") : ReadAdaptedConfig(given.path, adapter.path);
  TextModel model(given.path, {.num_threads = options.num_threads, .max_length = std::nullopt, .truncate = false, .adapter = adapter.path});
  const Tokenizer& tokenizer = model.tokenizer();
  const LengthLimit limit = FindLengthLimit(TokenizerFolder(given.path, adapter.path), std::nullopt, model.model().max_positions());
  ordered_json out = {{"model", options.model}, {"config", DescribeConfig(config)}, {"weights", DescribeWeights(WeightFiles::Open(folder))}};
  if (!adapter.path.empty()) out["adapter"] = DescribeAdapter(options.adapter, adapter.path, model.model());
  out["tokenizer"] = {{"kind", tokenizer.kind()},
                      {"vocab_size", tokenizer.vocab_size()},
                      {"lowercases", tokenizer.lowercases()},
                      {"strips_accents", tokenizer.strips_accents()}};
  out["max_length"] = limit.num_tokens;
  out["max_length_source"] = limit.source;
  out["embedding_size"] = model.embedding_size();
  out["pooling"] = Name(model.sentence_encoder().pooling());
  out["normalizes"] = model.sentence_encoder().normalizes();
  out["labels"] = model.label_names();
  out["tasks"] = model.Tasks();
  const size_t num_tokens = RunLongestText(model);
  out["peak_memory_bytes"] = PeakMemoryBytes();
  out["peak_memory_tokens"] = num_tokens;
  return out;
}

// 22713216 as "22,713,216".
std::string Grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t place = digits.size(); place > 3; place -= 3) digits.insert(place - 3, 1, ',');
  return digits;
}

std::string Mebibytes(uint64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

std::string Architecture(const ordered_json& config) {
  const auto number = [&](const char* key, const char* what) {
    return config.contains(key) ? fmt::format(", {} {}", DumpJson(config.at(key)), what) : "";
  };
  std::string name = Printable(config.value("model_type", ""));
  if (const auto found = config.find("architectures"); found != config.end() && found->is_array() && !found->empty() && found->front().is_string())
    name += fmt::format(", {}", Printable(found->front().get<std::string>()));
  return name + number("num_hidden_layers", "layers") + number("hidden_size", "wide") + number("num_attention_heads", "heads");
}

std::string Labels(const std::vector<std::string>& labels) {
  std::string out = fmt::format("{}: ", labels.size());
  for (size_t i = 0; i < std::min(labels.size(), kLabelsShown); ++i) out += (i == 0 ? "" : ", ") + Printable(labels[i]);
  return labels.size() > kLabelsShown ? out + ", ..." : out;
}

std::string Tensors(const ordered_json& tensors, bool all) {
  const size_t shown = all ? tensors.size() : std::min(tensors.size(), kTensorsShown);
  std::string out = "tensors\n";
  for (size_t i = 0; i < shown; ++i)
    out += fmt::format("  {:<5} {:<16} {}\n", tensors[i].at("dtype").get<std::string>(), ToString(tensors[i].at("shape").get<Shape>()),
                       Printable(tensors[i].at("name").get<std::string>()));
  if (shown < tensors.size()) out += fmt::format("  and {} more: --tensors shows all\n", tensors.size() - shown);
  return out;
}

std::string ModelAsText(const ordered_json& model, bool all_tensors) {
  const ordered_json &weights = model.at("weights"), &tokenizer = model.at("tokenizer");
  const auto number = [](const ordered_json& from, const char* key) { return from.at(key).get<uint64_t>(); };
  std::string out;
  const auto line = [&](const char* name, const std::string& value) { out += fmt::format("{:<14}{}\n", name, value); };
  line("model", Printable(model.at("model").get<std::string>()));
  line("architecture", Architecture(model.at("config")));
  std::string dtypes;
  for (const auto& [dtype, count] : weights.at("num_tensors_by_dtype").items()) dtypes += (dtypes.empty() ? "" : ", ") + dtype;
  line("parameters", fmt::format("{} in {} tensors of {}, {}", Grouped(number(weights, "num_parameters")), number(weights, "num_tensors"),
                                 dtypes, Mebibytes(number(weights, "num_bytes"))));
  if (const auto adapter = model.find("adapter"); adapter != model.end())
    line("adapter", fmt::format("LoRA of rank {}, alpha {}, at {} layers, {} parameters with what it keeps of the head", number(*adapter, "rank"),
                                adapter->at("alpha").get<double>(), adapter->at("layers").size(), Grouped(number(*adapter, "num_parameters"))));
  line("tokenizer", fmt::format("{}, {} tokens, {}", tokenizer.at("kind").get<std::string>(), Grouped(number(tokenizer, "vocab_size")),
                                tokenizer.at("lowercases").get<bool>() ? "upper and lower case are the same" : "upper and lower case differ"));
  line("length", fmt::format("at most {} tokens a text ({})", number(model, "max_length"), model.at("max_length_source").get<std::string>()));
  const std::vector<std::string> labels = model.at("labels").get<std::vector<std::string>>();
  if (labels.empty())
    line("vectors", fmt::format("{} numbers, {} pooling{}", number(model, "embedding_size"), model.at("pooling").get<std::string>(),
                                model.at("normalizes").get<bool>() ? ", normalised" : ""));
  else
    line("labels", Labels(labels));
  line("tasks", fmt::format("{}", fmt::join(model.at("tasks").get<std::vector<std::string>>(), ", ")));
  line("memory", fmt::format("{} at its peak, measured with one text of {} tokens", Mebibytes(number(model, "peak_memory_bytes")),
                             number(model, "peak_memory_tokens")));
  return out + Tensors(weights.at("tensors"), all_tensors);
}

}  // namespace

void AddInspect(Command app) {
  auto options = std::make_shared<InspectOptions>();
  const Command command = app.AddCommand("inspect", "Show what a model is, what it can do and the memory it needs",
                                         "mlac inspect ./all-MiniLM-L6-v2\nmlac inspect ./topics --json");
  command.AddOption("model,-m,--model", options->model, kModelHelp).Required().Type("DIR");
  AddAdapterOption(command, options->adapter);
  command.AddFlag("--tensors", options->tensors, "List all tensors");
  AddThreadsOption(command, options->num_threads);
  AddJsonFlag(command, options->json);
  command.OnRun([options] {
    const ordered_json model = Describe(*options);
    fmt::print("{}", options->json ? DumpJson(model, 2) + "\n" : ModelAsText(model, options->tensors));
  });
}

}  // namespace mlac
