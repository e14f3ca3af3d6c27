// Our side of `dev bench`: reads one JSON command a line on stdin and answers each with one JSON line on stdout, {"error": MESSAGE} if it
// fails, so that a script can run it and the peers in turns. Between two commands its threads sleep.
//   {"op": "peaks", "threads": 2}                                         -> {"LOOP": operations/s of all threads, ..., "read": {BYTES: bytes/s}}
//   {"op": "gemm", "rows": M, "columns": N, "k": K, "dtype": "f32"}       -> {"seconds": [...], "share": [of the peak timed right beside, ...]}
//   {"op": "forward", "model": DIR, "dtype": "f32", "threads": 2, "ids": [[...], ...]}   -> {"seconds": [...], "peak": f32 operations/s}
//   {"op": "embed", "model": DIR, "dtype": "f32", "threads": 2, "texts": [...]}          -> {"seconds": [...]}
//   {"op": "train", "model": DIR, "dtype": "f32", "threads": 2, "ids": [[...], ...], "labels": [...]}
//                                                      -> {"seconds": [...], "loss": first loss, "norm": of its gradients, without dropout}
//   {"op": "tokenize", "model": DIR, "file": LINES}                       -> {"seconds": [...], "bytes": n}
// Timed ops take "budget" (seconds, 0.2), "repeats" (at least so many samples, 3) and "warmups" (2). With "output": FILE they also write
// there what they computed: f32 hidden states of all tokens, f32 embeddings, or int32 ids with a -1 after each text.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

#include "autograd/bf16_training.h"
#include "autograd/gemm_parallel.h"
#include "base/error.h"
#include "kernels/cross_entropy.h"
#include "kernels/gemm.h"
#include "kernels/instruction_set.h"
#include "models/inference.h"
#include "models/model_folder.h"
#include "peaks.h"
#include "pipelines/text_model.h"
#include "text/tokenizer.h"
#include "train/optimizer.h"

namespace mlac {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

// The clock of a core moves with what it runs, so a sample of the peak is short and taken right beside what it is compared with.
constexpr double kPeakSeconds = 3e-4;

double SecondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

json Time(const json& command, const std::function<void()>& pass) {
  for (size_t i = 0; i < command.value("warmups", size_t{2}); ++i) pass();
  const double budget = command.value("budget", 0.2);
  const size_t repeats = command.value("repeats", size_t{3});
  json seconds = json::array();
  for (const auto start = Clock::now(); seconds.size() < repeats || SecondsSince(start) < budget;) {
    const auto begin = Clock::now();
    pass();
    seconds.push_back(SecondsSince(begin));
  }
  return seconds;
}

template <typename T>
void WriteOutput(const json& command, const std::vector<T>& values) {
  if (!command.contains("output")) return;
  std::ofstream file(command.at("output").get<std::string>(), std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  if (!file.flush()) throw Error(ErrorCode::kIo, command.at("output").get<std::string>() + " cannot be written");
}

TokenBatch BatchOf(const json& ids) {
  TokenBatch batch;
  for (const json& sequence : ids) {
    for (const json& id : sequence) batch.token_ids.push_back(id.get<int32_t>());
    batch.offsets.push_back(batch.token_ids.size());
  }
  batch.token_type_ids.assign(batch.token_ids.size(), 0);
  return batch;
}

// The peak loop of f32 on the path that the kernels use; MLAC_ISA bounds both.
std::string F32Loop() { return "f32 " + std::string(kernels::InstructionSetInUse()); }

double PeakOfTeam(ThreadTeam& team, std::string_view loop, double seconds) {
  std::vector<double> rates(team.num_threads());
  team.Run([&](size_t thread) { rates[thread] = MeasurePeak(loop, seconds); });
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum;
}

// The only place that knows which dtypes there are. int8 is none of them: its weights lie in the folder.
DType ParseDType(const json& command) {
  const std::string name = command.value("dtype", "f32");
  if (name == "f32") return DType::kF32;
  if (name != "bf16") throw Error(ErrorCode::kUnsupported, "mlac does not compute in " + name);
  if (kernels::Bf16PathInUse() == kernels::Bf16Path::kNone) throw Error(ErrorCode::kUnsupported, "this CPU has no products in bf16");
  return DType::kBF16;
}

struct Engine {
  Engine(size_t num_threads, DType dtype) : team(num_threads), inference(num_threads, dtype) {}
  ThreadTeam team;  // for peaks and training
  Inference inference;
};

// A step as train/trainer.cc makes it: forward, loss, backward, clipping, AdamW.
class TrainingStep {
 public:
  TrainingStep(const std::string& folder, ThreadTeam& team, DType dtype)
      : model_(OpenModel(folder)), run_({.team = &team, .tape = &tape_, .dtype = dtype}), optimizer_(AllTrainable(*model_), {}) {
    if (model_->num_labels() == 0) throw Error(ErrorCode::kInvalidArgument, folder + " is no classifier");
  }

  struct Result {
    double loss, gradient_norm;
  };
  Result Gradients(const TokenBatch& batch, const std::vector<int32_t>& labels) {
    optimizer_.ZeroGradients(run_);
    const Tensor logits = model_->Classify(run_, model_->SequenceFeatures(run_, batch));
    std::vector<double> losses(labels.size());
    const std::vector<float> scales(labels.size(), 1.0f / static_cast<float>(labels.size()));
    Tensor gradient = run_.NewTensor(logits.shape());
    kernels::CrossEntropy(logits.floats().data(), labels.data(), labels.size(), model_->num_labels(), losses.data(), scales.data(),
                          gradient.mutable_floats().data());
    tape_.Backward(run_, logits, gradient);
    for (Optimizer::Slot& slot : optimizer_.slots()) FinishWeightGradient(run_, *slot.parameter);
    double loss = 0;
    for (const double each : losses) loss += each / static_cast<double>(losses.size());
    return {loss, optimizer_.GradientNorm(run_)};
  }
  void operator()(const TokenBatch& batch, const std::vector<int32_t>& labels) {
    run_.dropout().Begin(/*seed=*/0, step_, 0, 0);
    const Result result = Gradients(batch, labels);
    run_.dropout().End();
    optimizer_.Step(run_, /*learning_rate=*/1e-5, ++step_, result.gradient_norm);
  }

 private:
  static std::deque<Parameter>& AllTrainable(Model& model) {
    for (Parameter& parameter : model.parameters().parameters()) {
      parameter.trainable = true;
      parameter.value = Tensor::FromValues(parameter.value.shape(), parameter.value.floats());
    }
    return model.parameters().parameters();
  }

  std::unique_ptr<Model> model_;
  Tape tape_;
  mlac::Run run_;
  Optimizer optimizer_;
  uint32_t step_ = 0;
};

class Worker {
 public:
  json Answer(const json& command) {
    const std::string op = command.at("op");
    if (op == "peaks") return Peaks(command);
    if (op == "gemm") return Gemm(command);
    if (op == "forward") return Forward(command);
    if (op == "embed") return Embed(command);
    if (op == "train") return Train(command);
    if (op == "tokenize") return Tokenize(command);
    throw Error(ErrorCode::kInvalidArgument, "there is no op '" + op + "'");
  }

 private:
  Engine& EngineFor(const json& command) {
    const size_t threads = command.value("threads", size_t{1});
    const DType dtype = ParseDType(command);
    std::unique_ptr<Engine>& engine = engines_[{threads, dtype}];
    if (!engine) engine = std::make_unique<Engine>(threads, dtype);
    return *engine;
  }

  json Peaks(const json& command) {
    ThreadTeam team(command.value("threads", size_t{1}));
    json answer;
    for (const std::string& loop : PeakLoops()) {
      double best = 0;
      for (int i = 0; i < 20; ++i) best = std::max(best, PeakOfTeam(team, loop, 5e-3));
      answer[loop] = best;
    }
    // A size well inside each level of a present CPU, and sizes as MiniLM's and BERT-base's layers: 42 and 340 MB in f32, a quarter in int8.
    const std::vector<size_t> sizes = {size_t{16} << 10, size_t{512} << 10, size_t{5} << 20, size_t{21} << 20, size_t{84} << 20, size_t{340} << 20};
    for (const size_t size : sizes) {
      std::vector<std::unique_ptr<ReadLoop>> loops;
      for (size_t i = 0; i < team.num_threads(); ++i) loops.push_back(std::make_unique<ReadLoop>(size / team.num_threads()));
      double best = 0;
      for (int i = 0; i < 5; ++i) {
        std::vector<double> rates(loops.size());
        team.Run([&](size_t thread) { rates[thread] = loops[thread]->Measure(0.04); });
        double sum = 0;
        for (const double rate : rates) sum += rate;
        best = std::max(best, sum);
      }
      answer["read"][std::to_string(size)] = best;
    }
    return answer;
  }

  // One thread, weights packed and, but for the first rows, in its caches.
  json Gemm(const json& command) {
    if (const std::string dtype = command.value("dtype", "f32"); dtype != "f32")
      throw Error(ErrorCode::kUnsupported, "mlac does not multiply in " + dtype + " yet");
    const size_t rows = command.at("rows"), columns = command.at("columns"), k = command.at("k");
    // As a linear layer computes it, on one thread: tensors lie as they do there, and rows that collide in the cache are copied.
    Run run;
    Tensor a = run.NewTensor({rows, k}), b = run.NewTensor({columns, k}), bias = run.NewTensor({columns}), c = run.NewTensor({rows, columns});
    for (size_t i = 0; i < a.num_elements(); ++i) a.mutable_floats()[i] = static_cast<float>(i * 7 % 31) / 16 - 1;
    for (size_t i = 0; i < b.num_elements(); ++i) b.mutable_floats()[i] = static_cast<float>(i * 5 % 29) / 16 - 1;
    std::fill(bias.mutable_floats().begin(), bias.mutable_floats().end(), 0.5f);
    const Tensor packed = PackForGemm(run, b.floats().data(), k, kernels::Layout::kTransposed, k, columns);
    const kernels::GemmArguments arguments = {.a = a.floats().data(), .a_stride = k, .packed_b = packed.floats().data(), .num_k = k, .num_columns = columns,
                                              .bias = bias.floats().data(), .c = c.mutable_floats().data(), .c_stride = columns};
    const auto product = [&] { ParallelGemm(run, arguments, rows); };
    product();
    const double operations = 2.0 * static_cast<double>(rows * columns * k), budget = command.value("budget", 0.2);
    json seconds = json::array(), shares = json::array();
    const auto start = Clock::now();
    double before = MeasurePeak(F32Loop(), kPeakSeconds);
    while (SecondsSince(start) < budget || (seconds.size() < 3 && SecondsSince(start) < 20 * budget)) {
      size_t count = 0;
      const auto begin = Clock::now();
      do product(), ++count;
      while (SecondsSince(begin) < 1e-3);
      const double each = SecondsSince(begin) / static_cast<double>(count), after = MeasurePeak(F32Loop(), kPeakSeconds);
      if (std::abs(after / before - 1) < 0.02) {  // else the clock moved within the sample
        seconds.push_back(each);
        shares.push_back(operations / each / ((before + after) / 2));
      }
      before = after;
    }
    WriteOutput(command, std::vector<float>(c.floats().begin(), c.floats().end()));
    if (seconds.empty()) throw Error(ErrorCode::kUnsupported, "the clock moved within every sample: the machine is too busy");
    return {{"seconds", seconds}, {"share", shares}};
  }

  json Forward(const json& command) {
    const std::string folder = command.at("model");
    std::unique_ptr<Model>& model = models_[folder];
    if (!model) model = OpenModel(folder);
    Engine& engine = EngineFor(command);
    const TokenBatch batch = BatchOf(command.at("ids"));
    std::vector<float> out(batch.num_tokens() * model->hidden_size());
    const json seconds = Time(command, [&] {
      engine.inference.ForEachGroup(batch, [&](mlac::Run& run, const TokenBatch& group, size_t first) {
        const Tensor part = model->Encode(run, group);
        std::copy(part.floats().begin(), part.floats().end(), out.begin() + static_cast<ptrdiff_t>(batch.offsets[first] * model->hidden_size()));
      });
    });
    const double peak = PeakOfTeam(engine.team, F32Loop(), kPeakSeconds);
    WriteOutput(command, out);
    return {{"seconds", seconds}, {"peak", peak}};
  }

  json Embed(const json& command) {
    const DType dtype = ParseDType(command);
    const std::string folder = command.at("model");
    const size_t threads = command.value("threads", size_t{1}), max_length = command.value("max_length", size_t{512});
    std::unique_ptr<TextModel>& model = text_models_[{folder, threads, dtype}];
    const TextModelOptions options = {.num_threads = threads, .max_length = max_length, .truncate = true, .dtype = dtype};
    if (!model) model = std::make_unique<TextModel>(folder, options);
    std::vector<TextInput> texts;
    for (const json& text : command.at("texts")) texts.push_back({.text = text, .pair = {}});
    std::vector<float> out;
    const json seconds = Time(command, [&] { out = model->Embed(model->Encode(texts).batch); });
    WriteOutput(command, out);
    return {{"seconds", seconds}};
  }

  json Train(const json& command) {
    Engine& engine = EngineFor(command);
    TrainingStep step(command.at("model"), engine.team, ParseDType(command));
    const TokenBatch batch = BatchOf(command.at("ids"));
    const auto labels = command.at("labels").get<std::vector<int32_t>>();
    const TrainingStep::Result first = step.Gradients(batch, labels);
    const json seconds = Time(command, [&] { step(batch, labels); });
    return {{"seconds", seconds}, {"loss", first.loss}, {"norm", first.gradient_norm}, {"peak", PeakOfTeam(engine.team, F32Loop(), kPeakSeconds)}};
  }

  json Tokenize(const json& command) {
    const Tokenizer tokenizer = Tokenizer::Load(command.at("model").get<std::string>());
    std::vector<std::string> texts;
    size_t num_bytes = 0;
    std::ifstream file(command.at("file").get<std::string>());
    for (std::string line; std::getline(file, line);) num_bytes += line.size(), texts.push_back(line);
    std::vector<Encoding> encodings(texts.size());
    const json seconds = Time(command, [&] {
      for (size_t i = 0; i < texts.size(); ++i) encodings[i] = tokenizer.Encode(texts[i]);
    });
    std::vector<int32_t> ids;
    for (const Encoding& encoding : encodings) {
      ids.insert(ids.end(), encoding.token_ids.begin(), encoding.token_ids.end());
      ids.push_back(-1);
    }
    WriteOutput(command, ids);
    return {{"seconds", seconds}, {"bytes", num_bytes}};
  }

  std::map<std::string, std::unique_ptr<Model>> models_;
  std::map<std::tuple<std::string, size_t, DType>, std::unique_ptr<TextModel>> text_models_;
  std::map<std::pair<size_t, DType>, std::unique_ptr<Engine>> engines_;
};

}  // namespace
}  // namespace mlac

int main() {
  mlac::kernels::InstructionSetInUse();  // from here on MLAC_ISA holds: before a weight is packed
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
