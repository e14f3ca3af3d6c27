#include "serve/inputs.h"

#include <fmt/format.h>

#include "serve/text_options.h"

namespace mlac {
namespace {

using Kind = JsonValue::Kind;

constexpr const char* kSeveralTexts = R"(several texts are [["a"], ["b"]])";

HttpError EmptyError(const JsonValue& value) {
  return HttpError(400, fmt::format("'{}' cannot be empty", value.path()), value.path()).Because("empty_input");
}

std::string ReadText(JsonValue& value) {
  std::string text = value.String();
  if (text.empty()) throw EmptyError(value);
  return text;
}

void CheckCount(const JsonValue& list, size_t count, const InputLimits& limits) {
  if (count > limits.max_inputs)
    throw HttpError(limits.too_many_status, fmt::format("'{}' has more than {} inputs", list.path(), limits.max_inputs), list.path(),
                    "send them in several requests")
        .Because("too_many_inputs");
}

// The item, and the ids behind it.
void AppendIds(JsonValue& item, const InputLimits& limits, std::vector<int32_t>& ids) {
  item.AppendIntegers(0, static_cast<int64_t>(limits.vocab_size) - 1, ids);
}

std::vector<int32_t> ReadIds(JsonValue& list, const InputLimits& limits) {
  std::vector<int32_t> ids;
  list.ForEachItem([&](JsonValue& item) { AppendIds(item, limits, ids); });
  if (ids.empty()) throw EmptyError(list);
  return ids;
}

// A text or a pair. where: the list that the texts stood in.
void AppendTexts(const JsonValue& where, std::vector<std::string>& texts, std::vector<InferenceInput>& inputs) {
  if (texts.empty()) throw EmptyError(where);
  if (texts.size() == 1) {
    inputs.emplace_back(std::move(texts[0]));
  } else {
    inputs.emplace_back(std::pair(std::move(texts[0]), std::move(texts[1])));
  }
}

}  // namespace

Inputs ReadInputs(JsonValue& value, const InputLimits& limits) {
  Inputs result;
  if (value.kind() == Kind::kString) {
    result.inputs.emplace_back(ReadText(value));
    return result;
  }
  if (value.kind() != Kind::kArray) throw value.Error("a text, a list of token ids, or a list of those");
  std::vector<int32_t> ids;  // if the list itself is one input
  value.ForEachItem([&](JsonValue& item) {
    if (item.kind() == Kind::kNumber && result.inputs.empty()) {
      AppendIds(item, limits, ids);
      return;
    }
    if (!ids.empty()) throw item.Error("a token id, as those before it");
    CheckCount(value, result.inputs.size() + 1, limits);
    if (item.kind() == Kind::kString) {
      result.inputs.emplace_back(ReadText(item));
    } else if (item.kind() == Kind::kArray) {
      result.inputs.emplace_back(ReadIds(item, limits));
    } else {
      throw item.Error("a text or a list of token ids");
    }
  });
  result.is_batch = ids.empty();
  if (!ids.empty()) result.inputs.emplace_back(std::move(ids));
  if (result.inputs.empty()) throw EmptyError(value);
  return result;
}

Inputs ReadTextsOrPairs(JsonValue& value, const InputLimits& limits) {
  Inputs result;
  const auto read_one = [&](JsonValue& item, std::string_view must_be) {
    std::vector<std::string> texts;
    if (item.kind() == Kind::kString) {
      texts.push_back(ReadText(item));
    } else if (item.kind() == Kind::kObject) {
      std::string pair;
      item.ForEachField([&](std::string_view name, JsonValue& field) {
        if (name == "text") texts.insert(texts.begin(), ReadText(field));
        if (name == "text_pair" && field.kind() != Kind::kNull) pair = ReadText(field);
      });
      if (texts.empty()) throw item.Error("an object with a 'text'");
      if (!pair.empty()) texts.push_back(std::move(pair));
    } else {
      throw item.Error(must_be);
    }
    AppendTexts(item, texts, result.inputs);
  };
  if (value.kind() != Kind::kArray) {
    read_one(value, "a text, {text, text_pair}, or a list of those");
    return result;
  }
  value.ForEachItem([&](JsonValue& item) {
    CheckCount(value, result.inputs.size() + 1, limits);
    if (item.kind() != Kind::kArray) return read_one(item, "a text, {text, text_pair}, [text] or [text, text]");
    std::vector<std::string> texts;
    item.ForEachItem([&](JsonValue& part) {
      if (texts.size() == 2) throw item.Error("[text] or [text, text]");
      texts.push_back(ReadText(part));
    });
    AppendTexts(item, texts, result.inputs);
  });
  result.is_batch = true;
  if (result.inputs.empty()) throw EmptyError(value);
  return result;
}

std::vector<TextInput> ToTexts(Inputs inputs) {
  std::vector<TextInput> texts;
  for (InferenceInput& input : inputs.inputs) {
    TextInput& text = texts.emplace_back();
    text.place = inputs.is_batch ? fmt::format("inputs[{}]", texts.size() - 1) : "inputs";
    if (auto* pair = std::get_if<std::pair<std::string, std::string>>(&input)) {
      text.text = std::move(pair->first);
      text.pair = std::move(pair->second);
    } else {
      text.text = std::move(std::get<std::string>(input));
    }
  }
  return texts;
}

Inputs ReadPredictInputs(JsonValue& value, const InputLimits& limits) {
  constexpr std::string_view kMustBe = "a text, a pair of texts, or a list of [text] and [text, text]";
  Inputs result;
  if (value.kind() == Kind::kString) {
    result.inputs.emplace_back(ReadText(value));
    return result;
  }
  if (value.kind() != Kind::kArray) throw value.Error(kMustBe);
  std::vector<std::string> texts;  // if the list itself is one input
  value.ForEachItem([&](JsonValue& item) {
    if (item.kind() == Kind::kString && result.inputs.empty()) {
      if (texts.size() == 2)
        throw HttpError(kHubFieldStatus, fmt::format("'{}' has more than two texts in one list; two are a pair", value.path()),
                        value.path(), kSeveralTexts)
            .Because("several_texts");
      texts.push_back(ReadText(item));
      return;
    }
    if (!texts.empty()) throw item.Error("a text, as the one before it");
    if (item.kind() != Kind::kArray) throw item.Error("[text] or [text, text]");
    CheckCount(value, result.inputs.size() + 1, limits);
    std::vector<std::string> parts;
    item.ForEachItem([&](JsonValue& part) {
      if (parts.size() == 2) throw item.Error("[text] or [text, text]");
      parts.push_back(ReadText(part));
    });
    AppendTexts(item, parts, result.inputs);
  });
  result.is_batch = texts.empty();
  if (texts.size() == 2 && limits.reads_single_texts)
    throw HttpError(
        kHubFieldStatus,
        fmt::format("'{}' has two texts in one list, which are one pair here; the model was trained on single texts", value.path()),
        value.path(), kSeveralTexts)
        .Because("several_texts");
  if (!texts.empty()) AppendTexts(value, texts, result.inputs);
  if (result.inputs.empty()) throw EmptyError(value);
  return result;
}

std::vector<std::string> ReadTexts(JsonValue& value, const InputLimits& limits) {
  std::vector<std::string> texts;
  if (value.kind() == Kind::kString) {
    texts.push_back(value.String());  // TEI makes tokens of nothing too
    return texts;
  }
  if (value.kind() != Kind::kArray) throw value.Error("a text or a list of texts");
  value.ForEachItem([&](JsonValue& item) {
    CheckCount(value, texts.size() + 1, limits);
    texts.push_back(item.String());
  });
  if (texts.empty()) throw EmptyError(value);
  return texts;
}

}  // namespace mlac
