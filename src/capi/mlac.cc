// The functions of mlac.h: each reads what it was given, calls the library and turns what is thrown into a status and an error object.
#include "capi/mlac.h"

#include <fmt/format.h>

#include <algorithm>
#include <cfenv>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "capi/open_models.h"
#include "capi/task_request.h"
#include "pipelines/rows.h"
#include "pipelines/sequence_task.h"
#include "version.h"

struct mlac_error {
  mlac_status status;
  std::string message, hint;
};

namespace mlac {
namespace {

constexpr mlac_status StatusOf(ErrorCode code) { return static_cast<mlac_status>(code) + 1; }
static_assert(StatusOf(ErrorCode::kInvalidArgument) == MLAC_INVALID_ARGUMENT && StatusOf(ErrorCode::kInvalidInput) == MLAC_INVALID_INPUT &&
              StatusOf(ErrorCode::kNotFound) == MLAC_NOT_FOUND && StatusOf(ErrorCode::kAlreadyExists) == MLAC_ALREADY_EXISTS &&
              StatusOf(ErrorCode::kUnsupported) == MLAC_UNSUPPORTED && StatusOf(ErrorCode::kTooLarge) == MLAC_TOO_LARGE &&
              StatusOf(ErrorCode::kResourceExhausted) == MLAC_RESOURCE_EXHAUSTED && StatusOf(ErrorCode::kIo) == MLAC_IO &&
              StatusOf(ErrorCode::kCancelled) == MLAC_CANCELLED && StatusOf(ErrorCode::kInternal) == MLAC_INTERNAL);

// A turn of one caller ends at so many texts, or so many bytes of them.
constexpr size_t kTextsPerTurn = 256, kBytesPerTurn = size_t{1} << 20;
// Of a task that asks for sequences, at so many tokens for each thread: enough for some 128 rows at a time to keep them all busy.
constexpr size_t kTokensPerThread = 1024;

// Made before it is needed, because there is no room for it then. Its text stands within the object: no allocation.
mlac_error out_of_memory = {MLAC_RESOURCE_EXHAUSTED, "out of memory", ""};

// "--max-length" to "'max_length'": the library's messages name options as the command line does, ours are fields of JSON.
std::string WithFieldNames(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const bool starts = text.substr(i).starts_with("--") && (i == 0 || text[i - 1] == ' ') && i + 2 < text.size() && text[i + 2] >= 'a' &&
                        text[i + 2] <= 'z';
    if (!starts) {
      result += text[i++];
      continue;
    }
    result += '\'';
    for (i += 2; i < text.size() && (text[i] == '-' || (text[i] >= 'a' && text[i] <= 'z')); ++i) result += text[i] == '-' ? '_' : text[i];
    result += '\'';
  }
  return result;
}

mlac_status Report(mlac_error** error, mlac_status status, std::string_view message, std::string_view hint = "") noexcept {
  if (error == nullptr) return status;
  try {
    *error = new mlac_error{status, WithFieldNames(message), WithFieldNames(hint)};
  } catch (...) {
    *error = &out_of_memory;
    return out_of_memory.status;
  }
  return status;
}

// The rounding mode of the caller's thread, and whether it takes denormal numbers for zero, as programs that were linked with -ffast-math do: set
// aside while it computes here. Threads that are made meanwhile begin with what is usual, too.
class UsualArithmetic {
 public:
  UsualArithmetic() {
    std::fegetenv(&callers_);
    std::fesetenv(FE_DFL_ENV);
  }
  UsualArithmetic(const UsualArithmetic&) = delete;
  UsualArithmetic& operator=(const UsualArithmetic&) = delete;
  ~UsualArithmetic() { std::fesetenv(&callers_); }

 private:
  std::fenv_t callers_;
};

// Nothing that body throws gets past here, and it computes as in any other process.
template <typename Body>
mlac_status Guarded(mlac_error** error, Body body) noexcept {
  const UsualArithmetic usual;
  if (error != nullptr) *error = nullptr;
  try {
    body();
    return MLAC_OK;
  } catch (const Error& caught) {
    return Report(error, StatusOf(caught.code()), caught.message(), caught.hint());
  } catch (const std::bad_alloc&) {
    if (error != nullptr) *error = &out_of_memory;
    return MLAC_RESOURCE_EXHAUSTED;
  } catch (const std::system_error& caught) {  // threads that the system does not give
    return Report(error, MLAC_RESOURCE_EXHAUSTED, caught.what());
  } catch (const std::exception& caught) {
    return Report(error, MLAC_INTERNAL, caught.what());
  } catch (...) {
    return Report(error, MLAC_INTERNAL, "an exception of unknown type");
  }
}

template <typename Pointer>
void RequireNotNull(const Pointer* pointer, std::string_view name) {
  if (pointer == nullptr) throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is NULL", name));
}

void RequireUtf8(std::string_view text, std::string_view name) {
  if (const size_t position = FindInvalidUtf8(text); position != std::string_view::npos)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not UTF-8 (byte {})", name, position));
}

// A copy that free() takes, so that no caller needs to share our allocator's operator delete.
char* CopyOf(std::string_view text) {
  char* const copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy == nullptr) throw std::bad_alloc();
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  return copy;
}

// The end of the turn that begins at text `begin`. size_of(i): bytes of text i.
template <typename SizeOf>
size_t EndOfTurn(size_t begin, size_t count, SizeOf size_of) {
  size_t end = begin;
  for (size_t num_bytes = 0; end < count && end - begin < kTextsPerTurn && num_bytes < kBytesPerTurn; ++end) num_bytes += size_of(end);
  return end;
}

// Where a task asks for sequences, a turn is some of them: a text may be as long as it likes.
void AddInTurns(SharedModel& model, Task& task, std::span<const TextInput> texts, std::string& answer) {
  if (auto* const sequences = dynamic_cast<SequenceTask*>(&task)) {
    const auto compute = [&](const TokenBatch& part, const RowsWanted& wanted) {
      const std::lock_guard lock(model.turn);
      return model.text_model.Compute(part, wanted);
    };
    return sequences->AddInParts(model.text_model, texts, compute, answer,
                                 {.num_tokens = kTokensPerThread * model.options.team->num_threads()});
  }
  const std::lock_guard lock(model.turn);
  task.Add(model.text_model, texts, answer);
}

std::string Answer(SharedModel& model, std::string_view name, std::string_view json) {
  const TaskInfo& info = FindTask(name);
  model.text_model.Require(info.name);
  TaskRequest request = ReadTaskRequest(json, info);
  const std::unique_ptr<Task> task = info.make(request.options);
  const std::span<const TextInput> texts = request.texts;
  std::string answer;
  if (request.is_batch) task->Begin(answer);
  for (size_t begin = 0, end; begin < texts.size(); begin = end) {
    end = EndOfTurn(begin, texts.size(), [&](size_t i) { return texts[i].text.size() + (texts[i].pair ? texts[i].pair->size() : 0); });
    AddInTurns(model, *task, texts.subspan(begin, end - begin), answer);
  }
  if (request.is_batch) task->End(answer);
  model.num_truncated += task->num_truncated();
  while (answer.ends_with('\n')) answer.pop_back();
  return answer;
}

// texts: checked to be UTF-8. vectors: [texts.size(), embedding_size()].
void Embed(SharedModel& model, std::span<const std::string_view> texts, float* vectors) {
  for (size_t begin = 0, end; begin < texts.size(); begin = end) {
    end = EndOfTurn(begin, texts.size(), [&](size_t i) { return texts[i].size(); });
    std::vector<TextInput> inputs;
    for (size_t i = begin; i < end; ++i) inputs.push_back({std::string(texts[i]), std::nullopt, fmt::format("texts[{}]", i)});
    const EncodedTexts encoded = model.text_model.EncodeWithPrompt(inputs, model.text_model.prompts().Default());
    model.num_truncated += encoded.num_truncated;
    const std::lock_guard lock(model.turn);
    const std::vector<float> part = model.text_model.Embed(encoded.batch, /*normalize=*/true, encoded.pooled_from);
    RequireFinite(part);
    std::copy(part.begin(), part.end(), vectors + begin * model.text_model.embedding_size());
  }
}

std::string Describe(const SharedModel& model) {
  const TextModel& text_model = model.text_model;
  const auto append_list = [](std::string& out, std::span<const std::string> strings) {
    for (size_t i = 0; i < strings.size(); ++i) {
      out += i == 0 ? '[' : ',';
      AppendJsonString(out, strings[i]);
    }
    out += strings.empty() ? "[]" : "]";
  };
  const auto append_path = [](std::string& out, const std::string& path) {
    AppendJsonString(out, FindInvalidUtf8(path) == std::string_view::npos ? path : Printable(path));
  };
  std::string out = R"({"folder":)";
  append_path(out, text_model.folder());
  if (!text_model.adapter().empty()) append_path(out += R"(,"adapter":)", text_model.adapter());
  append_list(out += R"(,"tasks":)", text_model.Tasks());
  append_list(out += R"(,"labels":)", text_model.label_names());
  return out + fmt::format(R"(,"embedding_size":{},"max_length":{},"threads":{},"dtype":"{}","truncated":{}}})",
                           text_model.embedding_size(), text_model.max_length(), model.options.team->num_threads(),
                           model.options.dtype == DType::kBF16 ? "bf16" : "f32", model.num_truncated.load());
}

}  // namespace
}  // namespace mlac

using mlac::OpenModels;
using mlac::SharedModel;

const char* mlac_version(void) { return kMlacVersion; }

const char* mlac_status_name(mlac_status status) {
  if (status == MLAC_OK) return "ok";
  if (status < MLAC_OK || status > MLAC_INTERNAL) return "unknown";
  return mlac::KindOf(static_cast<mlac::ErrorCode>(status - 1)).name.data();  // of a literal, which ends in a zero
}

mlac_status mlac_error_status(const mlac_error* error) { return error == nullptr ? MLAC_OK : error->status; }
const char* mlac_error_message(const mlac_error* error) { return error == nullptr ? "" : error->message.c_str(); }
const char* mlac_error_hint(const mlac_error* error) { return error == nullptr ? "" : error->hint.c_str(); }
void mlac_error_free(mlac_error* error) {
  if (error != &mlac::out_of_memory) delete error;
}

mlac_status mlac_open(const char* folder, const char* options, mlac_model** model, mlac_error** error) {
  return mlac::Guarded(error, [&] {
    mlac::RequireNotNull(folder, "folder");
    mlac::RequireNotNull(model, "model");
    mlac::TextModelOptions given = mlac::ReadOpenOptions(options == nullptr ? "{}" : options);
    given.team = std::make_shared<mlac::ThreadTeam>(given.num_threads == 0 ? mlac::DefaultNumThreads() : given.num_threads);
    *model = OpenModels::Get().Add(std::make_shared<SharedModel>(folder, given));
  });
}

mlac_status mlac_close(mlac_model* model) {
  return mlac::Guarded(nullptr, [&] {
    if (model != nullptr && !OpenModels::Get().Remove(model)) throw mlac::Error(mlac::ErrorCode::kInvalidArgument, "'model' is closed");
  });
}

mlac_status mlac_describe(mlac_model* model, char** description, mlac_error** error) {
  return mlac::Guarded(error, [&] {
    mlac::RequireNotNull(description, "description");
    *description = mlac::CopyOf(mlac::Describe(*OpenModels::Get().Find(model)));
  });
}

mlac_status mlac_run(mlac_model* model, const char* task, const char* request, char** answer, mlac_error** error) {
  return mlac::Guarded(error, [&] {
    mlac::RequireNotNull(task, "task");
    mlac::RequireNotNull(request, "request");
    mlac::RequireNotNull(answer, "answer");
    *answer = mlac::CopyOf(mlac::Answer(*OpenModels::Get().Find(model), task, request));
  });
}

mlac_status mlac_embedding_size(mlac_model* model, size_t* size, mlac_error** error) {
  return mlac::Guarded(error, [&] {
    mlac::RequireNotNull(size, "size");
    *size = OpenModels::Get().Find(model)->text_model.embedding_size();
  });
}

mlac_status mlac_embed(mlac_model* model, const char* const* texts, const size_t* lengths, size_t count, float* vectors,
                       size_t vectors_size, mlac_error** error) {
  return mlac::Guarded(error, [&] {
    const std::shared_ptr<SharedModel> found = OpenModels::Get().Find(model);
    if (count == 0) return;
    mlac::RequireNotNull(texts, "texts");
    mlac::RequireNotNull(vectors, "vectors");
    const size_t size = found->text_model.embedding_size();
    if (vectors_size / size < count)
      throw mlac::Error(mlac::ErrorCode::kInvalidArgument,
                        fmt::format("'vectors' has room for {} floats; {} texts give vectors of {} each", vectors_size, count, size));
    std::vector<std::string_view> views;
    for (size_t i = 0; i < count; ++i) {
      mlac::RequireNotNull(texts[i], fmt::format("texts[{}]", i));
      views.push_back(lengths == nullptr ? std::string_view(texts[i]) : std::string_view(texts[i], lengths[i]));
      mlac::RequireUtf8(views.back(), fmt::format("texts[{}]", i));
    }
    mlac::Embed(*found, views, vectors);
  });
}

void mlac_free(char* text) { std::free(text); }
