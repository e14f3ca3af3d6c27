#pragma once
// Requests as huggingface_hub's InferenceClient and the containers of Hugging Face send them: {"inputs", "parameters"}, the task being that
// of the model. One file a task, hub_NAME.cc, and one line in hub_form.cc.
#include "serve/model_routes.h"

namespace mlac {

// POST / and POST /models/{model}, and POST /invocations of SageMaker with its twin. models outlives the routes.
void AddHubRoutes(HttpRouter& router, const ModelSet& models);

// Whether the body is an object that has this name, at its top. Throws HttpError 400 for a body that is no JSON.
bool HasName(const std::string& body, std::string_view name);

// {"inputs": text or list, options at the top or in "parameters"} gives [[...], ...]; with an object {"source_sentence", "sentences"} as
// inputs it is HubSentenceSimilarity.
void HubFeatureExtraction(ModelCall call, HttpResponder responder);
// {"inputs": {"source_sentence", "sentences"}, "parameters": {...}} gives [0.61, ...]. Also text-embeddings-inference's /similarity.
void HubSentenceSimilarity(ModelCall call, HttpResponder responder);
// {"inputs": text, {"text", "text_pair"} or a list of those, "parameters": {"top_k", "function_to_apply", ...}} gives [[{"score", "label"},
// ...], ...].
void HubTextClassification(ModelCall call, HttpResponder responder);
// {"inputs": text or list, "parameters": {"candidate_labels", "hypothesis_template", "multi_label"}} gives [{"label", "score"}, ...], the
// best first, of a list one for each text.
void HubZeroShotClassification(ModelCall call, HttpResponder responder);
// {"inputs": text or list, "parameters": {"aggregation_strategy", "ignore_labels", "stride"}} gives the entities, of a list one list for
// each.
void HubTokenClassification(ModelCall call, HttpResponder responder);
// {"inputs": {"question", "context"} or a list of those, "parameters": {"top_k", "max_answer_len", "max_seq_len", "doc_stride",
// "handle_impossible_answer", "align_to_words"}} gives {"score", "start", "end", "answer"}, or a list of those.
void HubQuestionAnswering(ModelCall call, HttpResponder responder);
// {"inputs": text or list, "parameters": {"top_k", "targets"}} gives [{"score", "token", "token_str", "sequence"}, ...] for a text with one
// mask.
void HubFillMask(ModelCall call, HttpResponder responder);
// {"query", "texts", "raw_scores", "return_text", ...} gives [{"index", "score"}, ...], the best first. Also text-embeddings-inference's
// /rerank.
void HubTextRanking(ModelCall call, HttpResponder responder);

}  // namespace mlac
