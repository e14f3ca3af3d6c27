#pragma once
// The inputs of a request as OpenAI's and TEI's protocols write them.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/inference_service.h"
#include "serve/json_reader.h"

namespace mlac {

struct Inputs {
  std::vector<InferenceInput> inputs;
  bool is_batch = false;  // a list, even of one
};

struct InputLimits {
  size_t max_inputs;
  int too_many_status;  // TEI says 413, OpenAI 400
  size_t vocab_size;    // token ids are below this
  bool reads_single_texts = false;  // of ServedModel
};

// A text, a list of token ids, or a list of those. Throws HttpError 400 for what is empty, as both protocols do, and the error of the
// field for anything else.
Inputs ReadInputs(JsonValue& value, const InputLimits& limits);

// For /predict: a text, [text, text] (a pair), or [[text], [text, text], ...]. Two texts in one list are refused where the model reads
// single texts: they would be one pair, of which it has learnt none, and who sends them means two.
Inputs ReadPredictInputs(JsonValue& value, const InputLimits& limits);

// For Hugging Face's text-classification: a text, {"text", "text_pair"}, or a list of those and of [text] and [text, text].
Inputs ReadTextsOrPairs(JsonValue& value, const InputLimits& limits);

// For a task of pipelines/: the texts and pairs, each with its place ("inputs[3]") for messages.
std::vector<TextInput> ToTexts(Inputs inputs);

// For /tokenize: a text, or a list of texts.
std::vector<std::string> ReadTexts(JsonValue& value, const InputLimits& limits);

}  // namespace mlac
