// libmlac.so as a caller sees it, through mlac.h alone; what it should give is what the program prints.
#include "capi/mlac.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cfenv>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "base/thread_team.h"
#include "tests/faults/failing_new.h"
#include "tests/support/program.h"
#include "tests/support/system_faults.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;
using test::FailingNew;
using testing::HasSubstr;

std::string Family(const std::string& name) { return MLAC_TEST_FIXTURES "/families/" + name; }
std::string Plain(const std::string& name) { return MLAC_TEST_FIXTURES "/models/" + name; }

// "invalid_argument: message (hint)", "" for no error. Frees it.
std::string Taken(mlac_status status, mlac_error* error) {
  EXPECT_EQ(status == MLAC_OK, error == nullptr);
  if (error == nullptr) return "";
  EXPECT_EQ(status, mlac_error_status(error));
  const std::string hint = mlac_error_hint(error);
  std::string text = std::string(mlac_status_name(status)) + ": " + mlac_error_message(error) + (hint.empty() ? "" : " (" + hint + ")");
  mlac_error_free(error);
  return text;
}

// A model that is open as long as it lives. Its calls give the answer, or what went wrong.
class CModel {
 public:
  explicit CModel(const std::string& folder, const char* options = R"({"threads": 2})") {
    mlac_error* error = nullptr;
    const mlac_status status = mlac_open(folder.c_str(), options, &handle_, &error);
    error_ = mlac::Taken(status, error);
  }
  CModel(const CModel&) = delete;
  CModel& operator=(const CModel&) = delete;
  ~CModel() { mlac_close(handle_); }

  mlac_model* handle() const { return handle_; }
  const std::string& error() const { return error_; }  // of opening

  std::string Run(const char* task, const std::string& request) const {
    char* answer = nullptr;
    mlac_error* error = nullptr;
    const mlac_status status = mlac_run(handle_, task, request.c_str(), &answer, &error);
    return Taken(status, answer, error);
  }
  std::string Describe() const {
    char* description = nullptr;
    mlac_error* error = nullptr;
    const mlac_status status = mlac_describe(handle_, &description, &error);
    return Taken(status, description, error);
  }
  std::vector<float> Embed(const std::vector<std::string>& texts) const {
    size_t size = 0;
    EXPECT_EQ(mlac_embedding_size(handle_, &size, nullptr), MLAC_OK);
    std::vector<float> vectors(texts.size() * size);
    std::vector<const char*> pointers;
    std::vector<size_t> lengths;
    for (const std::string& text : texts) pointers.push_back(text.data()), lengths.push_back(text.size());
    mlac_error* error = nullptr;
    const mlac_status status = mlac_embed(handle_, pointers.data(), lengths.data(), texts.size(), vectors.data(), vectors.size(), &error);
    EXPECT_EQ(mlac::Taken(status, error), "");
    return vectors;
  }

 private:
  static std::string Taken(mlac_status status, char* text, mlac_error* error) {
    if (status != MLAC_OK) {
      EXPECT_EQ(text, nullptr);
      return mlac::Taken(status, error);
    }
    const std::string taken = text;
    mlac_free(text);
    return taken;
  }

  mlac_model* handle_ = nullptr;
  std::string error_;
};

TEST(FailingNew, FailsTheAllocationThatItIsTold) {
  for (const size_t nth : {0, 1, 2}) {
    size_t num_made = 0;
    const FailingNew failing(nth);
    for (size_t i = 0; i < 3; ++i) {
      try {
        const std::vector<char> made(100);
        num_made += made.size() == 100;
      } catch (const std::bad_alloc&) {
        EXPECT_EQ(i, nth);
      }
    }
    EXPECT_EQ(num_made, 2u);
    EXPECT_TRUE(failing.struck());
  }
}

// A task as it is asked for here, and on the command line.
struct Case {
  std::string folder;
  const char* task;
  std::string request;
  std::vector<std::string> arguments;
};

std::vector<Case> Cases() {
  return {
      {Plain("st_mean"), "feature-extraction", R"({"inputs": ["a cat", "the dog sat", ""]})", {"a cat", "the dog sat", ""}},
      {Plain("st_mean"), "feature-extraction", R"({"inputs": ["a cat"], "parameters": {"tokens": true}})", {"--tokens", "a cat"}},
      {Plain("st_mean"),
       "feature-extraction",
       R"({"inputs": [{"text": "a cat", "text_pair": "a dog"}]})",
       {"--text-pair", "a dog", "a cat"}},
      {Plain("st_mean"),
       "feature-extraction",
       R"({"inputs": [{"text": "a cat", "text_pair": "b"}], "parameters": {"prompt": "the light "}})",
       {"--prompt", "the light ", "--text-pair", "b", "a cat"}},
      {Plain("st_mean"),
       "feature-extraction",
       R"({"inputs": ["a cat"], "parameters": {"prompt_name": "document"}})",
       {"--prompt-name", "document", "a cat"}},
      {Plain("st_mean"),
       "sentence-similarity",
       R"({"inputs": {"sentences": ["the dog"], "source_sentence": "a cat"}, "parameters": {"prompt": "the light "}})",
       {"--prompt", "the light ", "a cat", "the dog"}},
      {Plain("st_mean"),
       "sentence-similarity",
       R"({"inputs": {"sentences": ["the dog", "é 你 😀"], "source_sentence": "a cat"}})",
       {"a cat", "the dog", "é 你 😀"}},
      {Plain("classifier"), "text-classification", R"({"inputs": ["a cat", "a dog"]})", {"a cat", "a dog"}},
      {Plain("classifier"),
       "text-classification",
       R"({"inputs": ["a cat"], "parameters": {"top_k": "all", "function_to_apply": "sigmoid"}})",
       {"--top-k", "all", "--function-to-apply", "sigmoid", "a cat"}},
      {Plain("classifier"), "text-classification", R"({"inputs": ["a cat"], "parameters": {"top_k": 2}})", {"--top-k", "2", "a cat"}},
      {Family("bert_tokens"), "token-classification", R"({"inputs": ["the cat was not there"]})", {"the cat was not there"}},
      {Family("bert_tokens"),
       "token-classification",
       R"({"inputs": ["the cat was not there"], "parameters": {"aggregation_strategy": "first", "ignore_labels": ["I-PER"], "stride": 1}})",
       {"--aggregation-strategy", "first", "--ignore-labels", "I-PER", "--stride", "1", "the cat was not there"}},
      {Family("bert_qa"),
       "question-answering",
       R"({"inputs": [{"question": "where is the cat", "context": "the cat sat on the mat"}]})",
       {"--question", "where is the cat", "the cat sat on the mat"}},
      {Family("bert_qa"),
       "question-answering",
       R"({"inputs": [{"question": "where is the cat", "context": "the cat sat on the mat"}],
           "parameters": {"top_k": 3, "max_answer_len": 4, "max_seq_len": 20, "doc_stride": 2, "handle_impossible_answer": true, "align_to_words": false}})",
       {"--question", "where is the cat", "--top-k", "3", "--max-answer-len", "4", "--max-seq-len", "20", "--doc-stride", "2",
        "--handle-impossible-answer", "--no-align-to-words", "the cat sat on the mat"}},
      {Family("distilbert_masked_lm"),
       "fill-mask",
       R"({"inputs": ["the [MASK] sat", "a [MASK] is a [MASK]"]})",
       {"the [MASK] sat", "a [MASK] is a [MASK]"}},
      {Family("distilbert_masked_lm"),
       "fill-mask",
       R"({"inputs": ["the [MASK] sat"], "parameters": {"top_k": 2, "targets": ["the", "a"]}})",
       {"--top-k", "2", "--targets", "the,a", "the [MASK] sat"}},
      {Family("electra_nli"),
       "zero-shot-classification",
       R"({"inputs": ["the cat sat"], "parameters": {"candidate_labels": ["cats", "dogs"], "hypothesis_template": "it is {}", "multi_label": true}})",
       {"--labels", "cats,dogs", "--hypothesis-template", "it is {}", "--multi-label", "the cat sat"}},
      {Family("mpnet_reranker"),
       "text-ranking",
       R"({"query": "a cat", "texts": ["the dog", "the cat", "a tree"]})",
       {"--query", "a cat", "the dog", "the cat", "a tree"}},
      {Family("mpnet_reranker"),
       "text-ranking",
       R"({"query": "a cat", "texts": ["the dog", "the cat", "a tree"], "parameters": {"top_k": 2, "raw_scores": true}})",
       {"--query", "a cat", "--top-k", "2", "--raw-scores", "the dog", "the cat", "a tree"}},
  };
}

// What `mlac run TASK --json` prints.
std::string Printed(const Case& asked) {
  std::vector<std::string> arguments = {"run", asked.task, "-m", asked.folder, "--json"};
  arguments.insert(arguments.end(), asked.arguments.begin(), asked.arguments.end());
  const ProgramResult result = RunMlac(arguments);
  EXPECT_EQ(result.status, 0) << result.error;
  std::string out = result.out;
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

TEST(CApi, GivesForEveryTaskWhatTheProgramPrints) {
  std::set<std::string> tasks;
  for (const Case& asked : Cases()) {
    const CModel model(asked.folder);
    ASSERT_EQ(model.error(), "");
    EXPECT_EQ(model.Run(asked.task, asked.request), Printed(asked)) << asked.task << " " << asked.request;
    tasks.insert(asked.task);
  }
  EXPECT_EQ(tasks.size(), 8u);
}

TEST(CApi, AnswersOneInputWithoutAList) {
  const CModel classifier(Plain("classifier")), answers(Family("bert_qa"));
  EXPECT_EQ("[" + classifier.Run("text-classification", R"({"inputs": "a cat"})") + "]",
            classifier.Run("text-classification", R"({"inputs": ["a cat"]})"));
  const std::string one = R"({"question": "where", "context": "the cat sat on the mat"})";
  EXPECT_EQ("[" + answers.Run("question-answering", R"({"inputs": )" + one + "}") + "]",
            answers.Run("question-answering", R"({"inputs": [)" + one + "]}"));
}

TEST(CApi, GivesAsManyTextsAsWantedInTurnsWithTheBitsOfOne) {
  const CModel model(Plain("st_mean"));
  std::vector<std::string> texts;
  for (size_t i = 0; i < 600; ++i) texts.push_back("the cat number " + std::to_string(i));  // three turns
  const std::vector<float> vectors = model.Embed(texts);
  const json listed = json::parse(model.Run("feature-extraction", json{{"inputs", texts}}.dump()));
  const size_t size = vectors.size() / texts.size();
  ASSERT_EQ(listed.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<float> alone = model.Embed({texts[i]}), in_list = listed[i].get<std::vector<float>>();
    EXPECT_EQ(std::memcmp(alone.data(), vectors.data() + i * size, size * sizeof(float)), 0) << i;
    EXPECT_EQ(alone, in_list) << i;
  }
}

TEST(CApi, AnswersALongContextInSeveralTurnsWithTheBitsOfTheProgram) {
  std::string context = "the cat sat";
  for (size_t i = 0; i < 800; ++i) context += " on the mat number " + std::to_string(i);  // 2,048 tokens a turn
  const json request = {{"inputs", {{{"question", "where is the cat"}, {"context", context}}}}, {"parameters", {{"top_k", 3}}}};
  const Case asked = {Family("bert_qa"), "question-answering", request.dump(), {"--question", "where is the cat", "--top-k", "3", context}};
  EXPECT_EQ(CModel(asked.folder).Run(asked.task, asked.request), Printed(asked));
}

TEST(CApi, EmbedsTextsByLengthOrUpToTheirZeroAndTouchesNothingBehind) {
  const CModel model(Plain("st_mean"));
  size_t size = 0;
  ASSERT_EQ(mlac_embedding_size(model.handle(), &size, nullptr), MLAC_OK);
  const char* const texts[] = {"a cat and more", "the dog"};
  const size_t lengths[] = {5, 7};
  std::vector<float> by_length(2 * size + 1, -7), by_zero(2 * size + 1, -7);
  ASSERT_EQ(mlac_embed(model.handle(), texts, lengths, 2, by_length.data(), by_length.size(), nullptr), MLAC_OK);
  const char* const shorter[] = {"a cat", "the dog"};
  ASSERT_EQ(mlac_embed(model.handle(), shorter, nullptr, 2, by_zero.data(), by_zero.size(), nullptr), MLAC_OK);
  EXPECT_EQ(by_length, by_zero);
  EXPECT_EQ(by_zero.back(), -7);
  EXPECT_EQ(mlac_embed(model.handle(), nullptr, nullptr, 0, nullptr, 0, nullptr), MLAC_OK);
  mlac_error* error = nullptr;
  const mlac_status status = mlac_embed(model.handle(), texts, lengths, 2, by_length.data(), 2 * size - 1, &error);
  EXPECT_EQ(Taken(status, error), "invalid_argument: 'vectors' has room for " + std::to_string(2 * size - 1) +
                                      " floats; 2 texts give vectors of " + std::to_string(size) + " each");
}

TEST(CApi, DescribesAModel) {
  const CModel model(Plain("classifier"), R"({"threads": 2, "max_length": 4, "truncate": true})");
  ASSERT_EQ(model.error(), "");
  json described = json::parse(model.Describe());
  EXPECT_EQ(described.at("folder"), Plain("classifier"));
  EXPECT_EQ(described.at("tasks"), json::parse(R"(["feature-extraction", "sentence-similarity", "text-classification"])"));
  EXPECT_GT(described.at("labels").size(), 1u);
  EXPECT_EQ(described.at("threads"), 2);
  EXPECT_EQ(described.at("max_length"), 4);
  EXPECT_EQ(described.at("dtype"), "f32");
  EXPECT_EQ(described.at("truncated"), 0);
  model.Run("text-classification", R"({"inputs": ["the cat", "the cat sat on the mat"]})");
  model.Embed({"the cat sat on the mat", "the cat"});
  EXPECT_EQ(json::parse(model.Describe()).at("truncated"), 2);
}

TEST(CApi, ItsNumbersAreThoseOfTheFirstVersion) {
  const std::pair<mlac_status, std::string> known[] = {
      {0, "ok"},          {1, "invalid_argument"}, {2, "invalid_input"},      {3, "not_found"}, {4, "already_exists"},
      {5, "unsupported"}, {6, "too_large"},        {7, "resource_exhausted"}, {8, "io"},        {9, "cancelled"},
      {10, "internal"},   {11, "unknown"},         {-1, "unknown"},
  };
  for (const auto& [status, name] : known) EXPECT_EQ(mlac_status_name(status), name);
  const int named[] = {MLAC_OK,          MLAC_INVALID_ARGUMENT, MLAC_INVALID_INPUT,      MLAC_NOT_FOUND, MLAC_ALREADY_EXISTS,
                       MLAC_UNSUPPORTED, MLAC_TOO_LARGE,        MLAC_RESOURCE_EXHAUSTED, MLAC_IO,        MLAC_CANCELLED,
                       MLAC_INTERNAL};
  for (int i = 0; i <= 10; ++i) EXPECT_EQ(named[i], i);
  EXPECT_EQ("mlac " + std::string(mlac_version()) + "\n", RunMlac({"--version"}).out);
}

TEST(CApi, SaysWhatIsWrongWithARequest) {
  const CModel classifier(Plain("classifier")), answers(Family("bert_qa")), entities(Family("bert_tokens")),
      embedder(Plain("st_mean"), R"({"max_length": 6})"), ranker(Family("mpnet_reranker")), entails(Family("electra_nli"));
  const struct {
    const CModel& model;
    const char* task;
    std::string request, expected;
  } cases[] = {
      {classifier, "text-classificaton", "{}", "not_found: there is no task 'text-classificaton' (did you mean 'text-classification'?)"},
      {classifier, "translation", "{}",
       "not_found: there is no task 'translation' (there are feature-extraction, fill-mask, question-answering, sentence-similarity, "
       "text-classification, "
       "text-ranking, token-classification, zero-shot-classification)"},
      {classifier, "text-classification", "", "invalid_input: 'request': no valid JSON at byte 0: the body is empty"},
      {classifier, "text-classification", "[]", "invalid_input: 'request': the body must be a JSON object (byte 0)"},
      {classifier, "text-classification", R"({"inputs": ["a"], })",
       "invalid_input: 'request': no valid JSON at byte 18: not what may stand here"},
      {classifier, "text-classification", "{\"inputs\": \"\xff\"}",
       "invalid_input: 'request': no valid JSON at byte 12: bytes that are no UTF-8"},
      {classifier, "text-classification", R"({"inputs": "a", "inputs": "a"})",
       "invalid_input: 'request': no valid JSON at byte 16: a name that stands twice in its object"},
      {classifier, "text-classification", "{}", "invalid_argument: 'inputs' is missing or empty"},
      {classifier, "text-classification", R"({"inputs": []})", "invalid_argument: 'inputs' is missing or empty"},
      {classifier, "text-classification", R"({"inputs": null})", "invalid_argument: 'inputs' is missing or empty"},
      {classifier, "text-classification", R"({"input": "a"})",
       "invalid_argument: 'request': no field is called 'input' (did you mean 'inputs'?)"},
      {classifier, "text-classification", R"({"inputs": ["a", 1]})",
       R"(invalid_argument: 'inputs[1]' must be a text, {"text", "text_pair"}, or a list of those, is a number (byte 17))"},
      {classifier, "text-classification", R"({"inputs": [{"text": "a"}]})", "invalid_argument: 'inputs[0].text_pair' is missing"},
      {classifier, "text-classification", R"({"inputs": "a", "parameters": {"topk": 1}})",
       "invalid_argument: 'parameters': no field is called 'topk' (did you mean 'top_k'?)"},
      {classifier, "text-classification", R"({"inputs": "a", "parameters": {"top_k": 0}})",
       "invalid_argument: 'parameters.top_k' must be an integer from 1 to 2147483647, is 0 (byte 40)"},
      {classifier, "text-classification", R"({"inputs": "a", "parameters": {"top_k": "many"}})",
       "invalid_argument: 'parameters.top_k' must be one of 'all' (byte 40)"},
      {classifier, "text-classification", R"({"inputs": "a", "parameters": {"function_to_apply": "tanh"}})",
       "invalid_argument: 'parameters.function_to_apply' must be one of 'none', 'sigmoid', 'softmax' (byte 52)"},
      {classifier, "fill-mask", R"({"inputs": "a"})",
       "unsupported: " + Plain("classifier") +
           ": the model has no head for fill-mask; it can do feature-extraction, sentence-similarity, text-classification (`mlac train "
           "fill-mask` makes one)"},
      {answers, "question-answering", R"({"inputs": "a"})",
       R"(invalid_argument: 'inputs' must be {"question", "context"} or a list of those, is a string (byte 11))"},
      {answers, "question-answering", R"({"inputs": {"question": "a"}})", "invalid_argument: 'inputs.context' is missing"},
      {answers, "question-answering", R"({"inputs": {"context": "a"}})", "invalid_argument: 'inputs.question' is missing"},
      {entities, "token-classification", R"({"inputs": "a", "parameters": {"stride": 1}})",
       "invalid_argument: token-classification: windows overlap, so their entities have to be joined ('stride' needs an "
       "'aggregation_strategy' other than none)"},
      {embedder, "sentence-similarity", R"({"inputs": {"source_sentence": "a"}})",
       "invalid_argument: 'inputs.sentences' is missing or empty"},
      {embedder, "sentence-similarity", R"({"inputs": {"sentences": ["a"]}})", "invalid_argument: 'inputs.source_sentence' is missing"},
      {ranker, "text-ranking", R"({"texts": ["a"]})", "invalid_argument: 'query' is missing or empty"},
      {ranker, "text-ranking", R"({"query": "a"})", "invalid_argument: 'texts' is missing or empty"},
      {ranker, "text-ranking", R"({"query": "a", "texts": "a"})",
       "invalid_argument: 'texts' must be a list of texts, is a string (byte 24)"},
      {entails, "zero-shot-classification", R"({"inputs": "a"})",
       "invalid_argument: zero-shot-classification: expected at least one label, found none"},
  };
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  std::vector<std::string> found;
  for (const auto& asked : cases) found.push_back(asked.model.Run(asked.task, asked.request));
  EXPECT_EQ(testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr(), "");
  for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], cases[i].expected);
  EXPECT_THAT(embedder.Run("feature-extraction", R"({"inputs": ["a", "the cat sat on the mat"]})"), HasSubstr("too_large: inputs[1]: "));
  EXPECT_THAT(embedder.Run("feature-extraction", R"({"inputs": ["a", "the cat sat on the mat"]})"), HasSubstr("('truncate' cuts it)"));
}

TEST(CApi, OpensAnAdapterOverAModel) {
  const std::string base = Plain("classifier"), adapter = MLAC_TEST_FIXTURES "/adapters/bert";
  const CModel adapted(base, json({{"threads", 2}, {"adapter", adapter}}).dump().c_str()), plain(base);
  ASSERT_EQ(adapted.error(), "");
  const ProgramResult printed = RunMlac({"run", "text-classification", "-m", base, "--adapter", adapter, "--json", "the cat"});
  const std::string request = R"({"inputs": ["the cat"]})";
  EXPECT_EQ(adapted.Run("text-classification", request) + "\n", printed.out);
  EXPECT_NE(adapted.Run("text-classification", request), plain.Run("text-classification", request));
  EXPECT_EQ(json::parse(adapted.Describe()).at("adapter"), adapter);
  EXPECT_FALSE(json::parse(plain.Describe()).contains("adapter"));
  EXPECT_THAT(CModel(adapter).error(), HasSubstr("is an adapter, not a model (give the model that it was made for, and it as 'adapter'"));
  EXPECT_THAT(CModel(base, R"({"adapter": "/absent"})").error(), HasSubstr("/absent"));
  EXPECT_EQ(CModel(base, R"({"adapter": 7})").error(), "invalid_argument: 'adapter' must be a string, is a number (byte 12)");
}

// What sentence-transformers puts before each text counts in every way to ask for vectors; a request can say otherwise.
TEST(CApi, PutsTheDefaultPromptOfTheFolderBeforeTexts) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(Plain("st_mean"), folder.path(), std::filesystem::copy_options::recursive);
  folder.Write("config_sentence_transformers.json",
               R"({"prompts": {"query": "the light ", "document": ""}, "default_prompt_name": "query"})");
  folder.Write("1_Pooling/config.json", R"({"pooling_mode": "mean", "include_prompt": false})");
  const CModel model(folder.path());
  ASSERT_EQ(model.error(), "");
  const auto vector = [&](const std::string& parameters) {
    return json::parse(model.Run("feature-extraction", R"({"inputs": "a cat", "parameters": )" + parameters + "}"))
        .get<std::vector<float>>();
  };
  EXPECT_EQ(model.Embed({"a cat"}), vector("{}"));
  EXPECT_EQ(vector("{}"), vector(R"({"prompt_name": "query"})"));
  EXPECT_EQ(vector("{}"), vector(R"({"prompt": "the light "})"));
  EXPECT_EQ(vector(R"({"prompt": ""})"), vector(R"({"prompt_name": "document"})"));
  EXPECT_EQ(vector(R"({"prompt": ""})"), CModel(Plain("st_mean")).Embed({"a cat"}));
  const auto printed = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"run", "feature-extraction", "-m", folder.path(), "--json", "a cat"});
    return json::parse(RunMlac(options).out)[0].get<std::vector<float>>();
  };
  EXPECT_EQ(printed({}), vector("{}"));
  EXPECT_EQ(printed({"--prompt", ""}), vector(R"({"prompt": ""})"));
  EXPECT_EQ(printed({"--prompt-name", "document"}), vector(R"({"prompt": ""})"));
  EXPECT_NE(vector("{}"), vector(R"({"prompt": ""})"));
  EXPECT_EQ(model.Run("feature-extraction", R"({"inputs": "a", "parameters": {"prompt_name": "passage"}})"),
            "invalid_argument: no prompt of the model is called 'passage' (it has 'document', 'query')");
  EXPECT_EQ(model.Run("feature-extraction", R"({"inputs": "a", "parameters": {"prompt_name": "query", "prompt": ""}})"),
            "invalid_argument: 'prompt' and 'prompt_name' exclude each other (the name stands for a prompt of the model)");
}

TEST(CApi, SaysWhyAModelDoesNotOpen) {
  const test::TemporaryFolder folder;
  folder.Write("broken/config.json", "{");
  EXPECT_THAT(CModel(folder / "absent").error(), HasSubstr("not_found: "));
  EXPECT_THAT(CModel(folder / "broken").error(), HasSubstr("invalid_input: "));
  const std::string good = Plain("st_mean");
  EXPECT_EQ(CModel(good, R"({"thread": 1})").error(), "invalid_argument: 'options': no field is called 'thread' (did you mean 'threads'?)");
  EXPECT_EQ(CModel(good, R"({"threads": 0})").error(), "invalid_argument: 'threads' must be an integer from 1 to 1024, is 0 (byte 12)");
  EXPECT_EQ(CModel(good, R"({"threads": 1025})").error(),
            "invalid_argument: 'threads' must be an integer from 1 to 1024, is 1025 (byte 12)");
  EXPECT_EQ(CModel(good, R"({"dtype": "f16"})").error(), "invalid_argument: 'dtype' must be one of 'f32', 'bf16' (byte 10)");
  EXPECT_THAT(CModel(good, R"({"max_length": 100000})").error(), HasSubstr("invalid_argument: 'max_length' 100000 is above the model's"));
  EXPECT_EQ(CModel(good, R"({"dtype": "bf16", "allow_slow": true})").error(), "");
  EXPECT_EQ(CModel(good, nullptr).error(), "");
  EXPECT_THAT(CModel(good, "threads").error(), HasSubstr("invalid_input: 'options': "));
}

TEST(CApi, RefusesNullWhereSomethingHasToBe) {
  const CModel model(Plain("st_mean"));
  mlac_model* opened = nullptr;
  mlac_error* error = nullptr;
  char* text = nullptr;
  size_t size = 0;
  float number = 0;
  const char* const none[] = {nullptr};
  const std::string request = R"({"inputs": "a"})";
  const auto refusal = [&](mlac_status status) { return Taken(status, std::exchange(error, nullptr)); };  // error is read after the call
  EXPECT_EQ(refusal(mlac_open(nullptr, nullptr, &opened, &error)), "invalid_argument: 'folder' is NULL");
  EXPECT_EQ(refusal(mlac_open("folder", nullptr, nullptr, &error)), "invalid_argument: 'model' is NULL");
  EXPECT_EQ(refusal(mlac_describe(nullptr, &text, &error)), "invalid_argument: 'model' is NULL");
  EXPECT_EQ(refusal(mlac_describe(model.handle(), nullptr, &error)), "invalid_argument: 'description' is NULL");
  EXPECT_EQ(refusal(mlac_run(nullptr, "feature-extraction", request.c_str(), &text, &error)), "invalid_argument: 'model' is NULL");
  EXPECT_EQ(refusal(mlac_run(model.handle(), nullptr, request.c_str(), &text, &error)), "invalid_argument: 'task' is NULL");
  EXPECT_EQ(refusal(mlac_run(model.handle(), "feature-extraction", nullptr, &text, &error)), "invalid_argument: 'request' is NULL");
  EXPECT_EQ(refusal(mlac_run(model.handle(), "feature-extraction", request.c_str(), nullptr, &error)),
            "invalid_argument: 'answer' is NULL");
  EXPECT_EQ(refusal(mlac_embedding_size(nullptr, &size, &error)), "invalid_argument: 'model' is NULL");
  EXPECT_EQ(refusal(mlac_embedding_size(model.handle(), nullptr, &error)), "invalid_argument: 'size' is NULL");
  EXPECT_EQ(refusal(mlac_embed(nullptr, none, nullptr, 1, &number, 1, &error)), "invalid_argument: 'model' is NULL");
  EXPECT_EQ(refusal(mlac_embed(model.handle(), nullptr, nullptr, 1, &number, 1, &error)), "invalid_argument: 'texts' is NULL");
  EXPECT_EQ(refusal(mlac_embed(model.handle(), none, nullptr, 1, nullptr, 1, &error)), "invalid_argument: 'vectors' is NULL");
  std::vector<float> vector(1000);
  EXPECT_EQ(refusal(mlac_embed(model.handle(), none, nullptr, 1, vector.data(), vector.size(), &error)),
            "invalid_argument: 'texts[0]' is NULL");
  const char* const broken[] = {"a", "b\xff"};
  EXPECT_EQ(refusal(mlac_embed(model.handle(), broken, nullptr, 2, vector.data(), vector.size(), &error)),
            "invalid_argument: 'texts[1]' is not UTF-8 (byte 1)");
  EXPECT_EQ(mlac_describe(nullptr, &text, nullptr), MLAC_INVALID_ARGUMENT);  // nobody has to take the error
  EXPECT_EQ(text, nullptr);
  EXPECT_EQ(opened, nullptr);
  EXPECT_EQ(mlac_close(nullptr), MLAC_OK);
  mlac_error_free(nullptr);
  mlac_free(nullptr);
  EXPECT_EQ(mlac_error_status(nullptr), MLAC_OK);
  EXPECT_STREQ(mlac_error_message(nullptr), "");
  EXPECT_STREQ(mlac_error_hint(nullptr), "");
}

TEST(CApi, KnowsAModelThatIsClosedOrWasNeverOpen) {
  mlac_model* model = nullptr;
  ASSERT_EQ(mlac_open(Plain("st_mean").c_str(), nullptr, &model, nullptr), MLAC_OK);
  EXPECT_EQ(mlac_close(model), MLAC_OK);
  EXPECT_EQ(mlac_close(model), MLAC_INVALID_ARGUMENT);
  const CModel other(Plain("st_mean"));
  EXPECT_NE(other.handle(), model);
  size_t size = 0;
  const auto refusal = [&](mlac_model* handle) {
    mlac_error* error = nullptr;
    const mlac_status status = mlac_embedding_size(handle, &size, &error);
    return Taken(status, error);
  };
  EXPECT_EQ(refusal(model), "invalid_argument: 'model' is closed");
  EXPECT_EQ(refusal(reinterpret_cast<mlac_model*>(&size)), "invalid_argument: 'model' is no model that mlac_open gave");
  EXPECT_EQ(size, 0u);
}

// Texts of all kinds from many threads at once, and a model that is closed among them.
TEST(CApi, AnswersSeveralThreadsWithTheBitsOfOne) {
  constexpr size_t kThreads = 8, kRounds = 5;
  std::map<std::string, std::unique_ptr<CModel>> models;
  std::vector<std::pair<Case, std::string>> expected;
  for (const Case& asked : Cases()) {
    if (!models.contains(asked.folder)) models.emplace(asked.folder, std::make_unique<CModel>(asked.folder));
    expected.emplace_back(asked, Printed(asked));
  }
  const CModel& embedder = *models.at(Plain("st_mean"));
  const std::vector<std::string> texts = {"a cat", "the dog sat on the mat", "trees"};
  const std::vector<float> vectors = embedder.Embed(texts);
  std::atomic<size_t> num_wrong = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (size_t round = 0; round < kRounds * expected.size(); ++round) {
        const auto& [asked, answer] = expected[(round + t * 3) % expected.size()];
        num_wrong += models.at(asked.folder)->Run(asked.task, asked.request) != answer;
        num_wrong += embedder.Embed(texts) != vectors;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_wrong, 0u);
}

// Of a thread: how it rounds, and on x86 whether it takes denormal numbers for zero, which is how a library built with -ffast-math leaves it.
class OddArithmetic {
 public:
  OddArithmetic() {
    std::fegetenv(&before_);
    std::fesetround(FE_UPWARD);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | kFlushed);
#endif
  }
  OddArithmetic(const OddArithmetic&) = delete;
  OddArithmetic& operator=(const OddArithmetic&) = delete;
  ~OddArithmetic() { std::fesetenv(&before_); }

  static bool IsThere() {
#if defined(__x86_64__)
    if ((_mm_getcsr() & kFlushed) != kFlushed) return false;
#endif
    return std::fegetround() == FE_UPWARD;
  }

 private:
  static constexpr unsigned kFlushed = 0x8040;  // MXCSR's FTZ and DAZ
  std::fenv_t before_;
};

TEST(CApi, AnswersDoNotDependOnHowTheCallerRounds) {
  const std::vector<std::string> texts = {"a cat", "the dog sat on the mat", "trees"};
  const CModel model(Plain("st_mean"));
  const std::vector<float> expected = model.Embed(texts);
  std::vector<float> found, found_of_new;
  bool stays;
  {
    const OddArithmetic odd;
    found = model.Embed(texts);
    found_of_new = CModel(Plain("st_mean")).Embed(texts);  // its threads are made here
    stays = OddArithmetic::IsThere();
  }
  EXPECT_TRUE(stays);
  EXPECT_TRUE(found == expected);
  EXPECT_TRUE(found_of_new == expected);
  EXPECT_TRUE(model.Embed(texts) == expected);
}

TEST(CApi, AModelMayBeClosedWhileOthersAskIt) {
  mlac_model* model = nullptr;
  ASSERT_EQ(mlac_open(Plain("classifier").c_str(), R"({"threads": 2})", &model, nullptr), MLAC_OK);
  std::atomic<size_t> num_answers = 0;
  std::vector<std::string> refusals(4);
  std::vector<std::thread> threads;
  for (std::string& refusal : refusals)
    threads.emplace_back([&] {
      while (refusal.empty()) {
        char* answer = nullptr;
        mlac_error* error = nullptr;
        const mlac_status status = mlac_run(model, "text-classification", R"({"inputs": ["a cat", "a dog"]})", &answer, &error);
        if (status != MLAC_OK) {
          refusal = mlac_error_message(error);
          mlac_error_free(error);
        }
        mlac_free(answer);
        num_answers += status == MLAC_OK;
      }
    });
  while (num_answers < 20) std::this_thread::yield();
  EXPECT_EQ(mlac_close(model), MLAC_OK);
  for (std::thread& thread : threads) thread.join();
  for (const std::string& refusal : refusals) EXPECT_EQ(refusal, "'model' is closed");
}

TEST(CApi, RefusesAModelInAForkedProcessInsteadOfWaitingForItsThreads) {
  const CModel model(Plain("st_mean"));
  model.Embed({"a"});
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    size_t size = 0;
    mlac_error* error = nullptr;
    const bool refused = mlac_embedding_size(model.handle(), &size, &error) == MLAC_UNSUPPORTED &&
                         std::string_view(mlac_error_message(error)).find("forked") != std::string_view::npos;
    const bool closed = mlac_close(model.handle()) == MLAC_OK && mlac_close(model.handle()) == MLAC_INVALID_ARGUMENT;
    _exit(refused && closed ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(model.Embed({"a"}).size(), model.Embed({"b"}).size());
}

TEST(CApi, GivesNoVectorsOfBrokenWeights) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(Plain("st_mean"), folder.path(), std::filesystem::copy_options::recursive);
  std::string weights = test::ReadWhole(folder / "model.safetensors");
  uint64_t header_size = 0;
  std::memcpy(&header_size, weights.data(), sizeof header_size);
  std::fill(weights.begin() + static_cast<ptrdiff_t>(8 + header_size), weights.end(), '\xff');  // NaN
  folder.Write("model.safetensors", weights);
  const CModel model(folder.path());
  ASSERT_EQ(model.error(), "");
  const std::string refusal =
      "invalid_input: the model gave a number that is not finite (its weights are broken, or overflow on these texts)";
  EXPECT_EQ(model.Run("feature-extraction", R"({"inputs": "a cat"})"), refusal);
  const char* text = "a cat";
  std::vector<float> vector(32);
  mlac_error* error = nullptr;
  const mlac_status status = mlac_embed(model.handle(), &text, nullptr, 1, vector.data(), vector.size(), &error);
  EXPECT_EQ(mlac::Taken(status, error), refusal);
}

// Whatever lock a thread holds when another one forks, nobody gives it back in the child.
TEST(CApi, AnswersInAProcessThatIsForkedWhileOtherThreadsAreInCalls) {
  const CModel model(Plain("st_mean"));
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      size_t size = 0;
      while (!over) mlac_embedding_size(model.handle(), &size, nullptr);
    });
  for (int round = 0; round < 100 && !HasFailure(); ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // where it waits for ever
      size_t size = 0;
      const bool refused = mlac_embedding_size(model.handle(), &size, nullptr) == MLAC_UNSUPPORTED;
      _exit(refused && mlac_close(model.handle()) == MLAC_OK ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "round " << round << ": " << status;
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(CApi, SurvivesEveryAllocationThatFails) {
  const CModel alone(Plain("classifier"), R"({"threads": 1})"), together(Plain("classifier"), R"({"threads": 2})");
  const std::string request = R"({"inputs": ["a cat", "the dog sat"], "parameters": {"top_k": 2}})";
  const std::string expected = alone.Run("text-classification", request);
  for (const CModel* model : {&alone, &together})
    for (const bool all : {false, true}) {
      size_t num_failed = 0;
      for (size_t nth = 0;; ++nth) {
        char* answer = nullptr;
        mlac_error* error = nullptr;
        mlac_status status;
        bool struck;
        {
          const FailingNew failing(nth, all ? FailingNew::kAllBehind : 1);
          status = mlac_run(model->handle(), "text-classification", request.c_str(), &answer, &error);
          struck = failing.struck();
        }
        if (!struck) {
          ASSERT_EQ(status, MLAC_OK);
          EXPECT_EQ(answer, expected);
          mlac_free(answer);
          break;
        }
        ++num_failed;
        if (status == MLAC_OK) {  // something did without it
          EXPECT_EQ(answer, expected);
          mlac_free(answer);
          continue;
        }
        ASSERT_EQ(status, MLAC_RESOURCE_EXHAUSTED) << nth << ": " << mlac_error_message(error);
        EXPECT_THAT(mlac_error_message(error), testing::StartsWith("out of memory"));
        mlac_error_free(error);
      }
      EXPECT_GT(num_failed, 10u);
      EXPECT_EQ(model->Run("text-classification", request), expected);
    }
}

// In place of a system that gives no more threads.
TEST(ThreadTeam, EndsTheThreadsThatItHasWhereItGetsNoMore) {
  for (size_t nth = 0;; ++nth) {
    const FailingNew failing(nth);
    try {
      const ThreadTeam team(4);
      ASSERT_EQ(team.num_threads(), 4u);
      break;
    } catch (const std::bad_alloc&) {
      ASSERT_LT(nth, 20u);
    }
  }
}

// Small ones are left out: nlohmann's destructors ask for memory and end the process where there is none.
TEST(CApi, SaysOfEveryLargeAllocationThatFailsWhileOpeningThatMemoryIsShort) {
  size_t num_failed = 0;
  for (size_t nth = 0;; ++nth) {
    mlac_model* model = nullptr;
    mlac_error* error = nullptr;
    mlac_status status;
    bool struck;
    {
      const FailingNew failing(nth, /*count=*/1, /*min_bytes=*/1024);
      status = mlac_open(Plain("classifier").c_str(), R"({"threads": 2})", &model, &error);
      struck = failing.struck();
    }
    EXPECT_EQ(mlac_close(model), MLAC_OK);
    if (!struck) break;
    num_failed += status != MLAC_OK;
    EXPECT_TRUE(status == MLAC_OK || status == MLAC_RESOURCE_EXHAUSTED) << nth << ": " << mlac_error_message(error);
    mlac_error_free(error);
  }
  EXPECT_GT(num_failed, 3u);
}

TEST(CApi, SaysThatTheSystemRefusedToRead) {
  for (const char* function : {"open", "fstat", "pread"}) {
    const test::SystemFault fault(function, 0, EIO);
    const CModel model(Plain("st_mean"));
    EXPECT_THAT(model.error(), HasSubstr("io: ")) << function;
  }
}

TEST(CApi, ShowsTheFunctionsOfItsHeaderAndNothingElse) {
  const ProgramResult result = RunProgram({"nm", "-D", "--defined-only", "--format=posix", MLAC_C_LIBRARY});
  ASSERT_EQ(result.status, 0) << result.error;
  std::set<std::string> shown, listed, declared;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);)
    if (const std::string name = line.substr(0, line.find(' ')); name != "MLAC_0") shown.insert(name);
  std::istringstream list(test::ReadWhole(MLAC_SOURCE "/tests/capi/exported_symbols.txt"));
  for (std::string line; std::getline(list, line);) listed.insert(line);
  EXPECT_EQ(shown, listed);
  const std::string header = test::ReadWhole(MLAC_SOURCE "/src/capi/mlac.h");
  const std::regex function(R"(MLAC_API [^;(]*\b(mlac_\w+)\()");
  for (auto match = std::sregex_iterator(header.begin(), header.end(), function); match != std::sregex_iterator(); ++match)
    declared.insert((*match)[1].str() + "@@MLAC_0");
  EXPECT_EQ(declared, listed);
}

}  // namespace
}  // namespace mlac
