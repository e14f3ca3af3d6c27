#include "serve/model_origin.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "project/recorded_answers.h"

namespace mlac {
namespace {

constexpr size_t kShownText = 60;  // columns of a text in a message

// The record under that name; where there is none, the first there is.
std::optional<Record> FindRecord(const Store& store, const std::string& name, const std::string& revision) {
  if (std::optional<Record> record = store.FindRecord(name, revision)) return record;
  const std::vector<Record> records = store.RecordsOf(revision);
  return records.empty() ? std::nullopt : std::optional(records.front());
}

// Whether the model as it is served takes the text, behind its prompt: with --max-length it may not.
bool Takes(const ServedModel& model, const TextInput& input) {
  if (model.max_length() == 0) return true;
  const std::string text = model.prompts().Default() + input.text;
  const Encoding encoding = input.pair ? model.tokenizer().EncodePair(text, *input.pair) : model.tokenizer().Encode(text);
  return encoding.token_ids.size() <= model.max_length();
}

void Check(ServedModel& model, const std::string& task, const RecordedAnswer& recorded) {
  if (!Takes(model, recorded.input)) return;
  const std::unique_ptr<Task> answering = MakeRecordedTask(task);
  std::string found;
  model.Answer(*answering, std::span(&recorded.input, 1), found);
  const std::string difference = DifferenceOfAnswers(recorded.answer, found, model.dtype() == "bfloat16" ? kTolerance16 : kTolerance32);
  if (difference.empty()) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("'{}' is not answered as when it was published: {}", Printable(recorded.input.text, kShownText), difference));
}

}  // namespace

ModelOrigin OriginOf(const Store& store, const std::string& name, RevisionFolder folder) {
  ModelOrigin origin;
  origin.revision = folder.revision();
  origin.folder = std::make_shared<const RevisionFolder>(std::move(folder));
  nlohmann::ordered_json shown = {{"name", name}, {"revision", origin.revision}};
  if (const std::optional<Record> record = FindRecord(store, name, origin.revision)) {
    shown.update(RecordFields(*record));
    shown.erase("who");
    if (!record->answers.empty()) {
      const RevisionFolder answers = store.OpenFolder(record->answers);
      const auto recorded = std::make_shared<const RecordedAnswers>(ReadRecordedAnswers(store.OnlyFile(answers)));
      for (const RecordedAnswer& answer : recorded->answers)
        origin.checks.push_back([recorded, &answer](ServedModel& model) { Check(model, recorded->task, answer); });
    }
  }
  origin.record = DumpJson(shown);
  return origin;
}

}  // namespace mlac
