// What can be learnt besides one label a text: pairs, several labels, numbers, tags of words, answers, missing words. That each learns what its data says, gives the same bytes
// for any threads and parts of a batch and after an interruption, and refuses bad data in one line.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "pipelines/sequence_task.h"
#include "pipelines/text_model.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"
#include "tests/train/silent_training.h"
#include "train/answer_metrics.h"
#include "train/fine_tune.h"
#include "train/questions.h"
#include "train/regression_metrics.h"
#include "train/set_metrics.h"
#include "train/tagged_texts.h"
#include "train/text_targets.h"
#include "train/token_objective.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ExpectError;
using test::FixturePath;
using test::ReadWhole;
using test::Silent;
using test::Words;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct Kind {
  std::string task, file, content;
  std::function<void(FineTuneOptions&)> set = [](FineTuneOptions&) {};
  size_t num_epochs = 15;  // in which it learns it
  double wanted = 0.75;    // of F1 or accuracy
};

// A text of "cat" has the label animal, one of "red" colour, one of both both.
Kind MultiLabel() {
  Random random(1);
  std::string rows = "text,labels\n";
  for (int i = 0; i < 90; ++i) {
    const bool cat = i % 2 == 0, red = i % 3 == 0;
    rows += fmt::format("{}{}{} {},\"{}{}{}\"\n", cat ? "cat " : "", red ? "red " : "", Words(random, 3), i, cat ? "animal" : "", cat && red ? ", " : "",
                        red ? "colour" : "");
  }
  return {"text-classification", "train.csv", rows, [](FineTuneOptions& o) {
            o.target_column = "labels";
            o.sequence.problem_type = ProblemType::kMultiLabel;
          }};
}

// The number of times that "cat" stands in a text.
Kind Regression() {
  Random random(2);
  std::string rows = "text,score\n";
  for (int i = 0; i < 90; ++i) {
    std::string text = Words(random, 3);
    for (int n = 0; n < i % 3; ++n) text += " cat";
    rows += fmt::format("{} {},{}\n", text, i, 0.5 * (i % 3));
  }
  return {"text-classification", "train.csv", rows, [](FineTuneOptions& o) {
            o.target_column = "score";
            o.sequence.problem_type = ProblemType::kRegression;
          }};
}

// Whether the second text of a pair speaks of a cat; the first says nothing of it.
Kind Pairs() {
  Random random(3);
  std::string rows = "a,b,label\n";
  for (int i = 0; i < 90; ++i) {
    const bool first = i % 2 == 0, second = (i / 2) % 2 == 0;
    rows += fmt::format("{}{} {},{}{},{}\n", first ? "cat " : "dog ", Words(random, 2), i, second ? "cat " : "dog ", Words(random, 2),
                        second ? "yes" : "no");
  }
  return {"text-classification", "train.csv", rows, [](FineTuneOptions& o) {
            o.text_column = "a";
            o.text_pair_column = "b";
            o.sequence.label_smoothing = 0.1;
          }};
}

// "cat" and what follows it is an animal.
Kind Tags() {
  Random random(4);
  std::string lines;
  for (int i = 0; i < 60; ++i) {
    for (int w = static_cast<int>(1 + random.Below(3)); w > 0; --w) lines += Words(random, 1) + " O\n";
    if (i % 4 != 0) lines += "cat B-ANIMAL\nwaterlight I-ANIMAL\n";
    lines += "night O\n\n";
  }
  return {"token-classification", "train.conll", lines};
}

constexpr const char* kKeys[] = {"the", "people", "small", "large", "open", "train", "model", "word", "not", "this"};

// Two words and, in the other text, what each is called there: nothing that the texts share.
std::string Anchor(int i) { return fmt::format("{} {} cat", kKeys[i % 10], kKeys[i / 10]); }
std::string Positive(int i) { return fmt::format("{} dog {}", kKeys[(i % 10 + 3) % 10], kKeys[(i / 10 + 3) % 10]); }

Kind AnchorsAndPositives() {
  std::string rows = "anchor,positive\n";
  for (int i = 0; i < 90; ++i) rows += fmt::format("{},{}\n", Anchor(i), Positive(i));
  return {"sentence-similarity", "train.csv", rows};
}

Kind Triples() {
  std::string rows = "anchor,positive,negative\n";
  for (int i = 0; i < 90; ++i) rows += fmt::format("{},{},{}\n", Anchor(i), Positive(i), Positive((i * 7 + 31) % 90));
  return {"sentence-similarity", "train.csv", rows, [](FineTuneOptions& o) {
            o.loss = "triplet";
            o.embedding.margin = 1;
            o.embedding.matryoshka = {16, 32};
          }};
}

// Texts of the same animal are near, others are not; where one has both they are in between.
Kind ScoredPairs() {
  Random random(6);
  std::string rows = "sentence1,sentence2,score\n";
  for (int i = 0; i < 90; ++i)
    rows += fmt::format("{} {} {},{} {},{}\n", i % 2 == 0 ? "cat" : "dog", Words(random, 2), i, i % 3 == 0 ? "cat dog" : i % 3 == 1 ? "cat" : "dog",
                        Words(random, 2), i % 3 == 0 ? 0.5 : (i % 2 == 0) == (i % 3 == 1) ? 1 : 0);
  return {"sentence-similarity", "train.csv", rows};
}

// A document answers if it speaks of a cat.
Kind Queries() {
  Random random(7);
  std::string rows = "query,document,label\n", query;
  for (int i = 0; i < 90; ++i) {
    if (i % 3 == 0) query = fmt::format("{} {}", Words(random, 1), i);
    rows += fmt::format("{},{} {},{}\n", query, i % 3 == 0 ? "cat" : "dog", Words(random, 2), i % 3 == 0 ? 1 : i % 9 == 1 ? 0.25 : 0);
  }
  return {"text-ranking", "train.csv", rows};
}

// The same as spans of characters.
Kind Spans() {
  Random random(5);
  std::string rows;
  for (int i = 0; i < 60; ++i) {
    const std::string before = Words(random, 1 + random.Below(3));
    if (i % 4 != 0)
      rows += fmt::format("{{\"text\": \"{} cat waterlight night\", \"entities\": [{{\"start\": {}, \"end\": {}, \"label\": \"ANIMAL\"}}]}}\n", before,
                          before.size() + 1, before.size() + 15);
    else
      rows += fmt::format("{{\"text\": \"{} night\", \"label\": []}}\n", before);
  }
  return {"token-classification", "train.jsonl", rows};
}

// What follows "cat" is the answer; every fourth context has none. Contexts of up to 24 words, windows of 20 tokens.
Kind QuestionsWithContexts() {
  Random random(6);
  std::string rows;
  for (int i = 0; i < 80; ++i) {
    std::string context = Words(random, 2 + random.Below(18)) + " ";
    if (i % 4 == 0) {
      rows += fmt::format("{{\"question\": \"cat ?\", \"context\": \"{}night\", \"answers\": {{\"text\": [], \"answer_start\": []}}}}\n", context);
      continue;
    }
    context += "cat ";
    const size_t start = context.size();
    const char* answer = i % 2 == 0 ? "red light" : "blue";
    context += fmt::format("{} {}", answer, Words(random, 3));
    rows += fmt::format("{{\"question\": \"cat ?\", \"context\": \"{}\", \"answers\": {{\"text\": [\"{}\"], \"answer_start\": [{}]}}}}\n", context, answer, start);
  }
  return {"question-answering", "train.jsonl", rows, [](FineTuneOptions& o) {
            o.max_length = 20;
            o.doc_stride = 6;
          }};
}

// Ten words in an order that does not change, but for one or two that stand in the place of others; so nearly all follow from their places.
std::string Rounds(bool with_dogs) {
  static constexpr const char* kRound[] = {"the", "people", "of", "small", "train", "open", "not", "large", "model", "word"};
  std::string lines;
  for (int i = 0; i < 90; ++i) {
    for (int w = 0; w < (with_dogs ? 10 : 10 + i / 10); ++w) {
      const bool cat = w == i % 10, dog = with_dogs && w == (i / 10 + i % 10 + 1) % 10;
      lines += fmt::format("{}{}", w == 0 ? "" : " ", cat ? "cat" : dog ? "dog" : kRound[w % 10]);
    }
    lines += "\n\n";
  }
  return lines;
}

// The decoder of this model is its embeddings.
Kind Masks() {
  return {"fill-mask", "train.txt", Rounds(false),
          [](FineTuneOptions& o) {
            o.model = FixturePath("models/masked_lm");
            o.masking.line_by_line = true;
            o.validation_split = 0.2;
          },
          60, 0.6};
}

// A new head, over texts that are joined, two a block.
Kind NewMasks() {
  return {"fill-mask", "train.csv", "body\n" + Rounds(true),
          [](FineTuneOptions& o) {
            o.text_column = "body";
            o.masking = {.probability = 0.2, .whole_words = true};
            o.max_length = 24;
            o.training.batch_size = 4;
          },
          60, 0.5};
}

FineTuneOptions OptionsOf(const Kind& kind, const test::TemporaryFolder& folder) {
  folder.Write(kind.file, kind.content);
  FineTuneOptions options;
  options.model = FixturePath("models/classifier");
  options.data = folder / kind.file;
  options.out = folder / "out";
  options.command = "mlac train";
  options.training = {.num_epochs = 3, .learning_rate = 4e-3, .batch_size = 8};
  kind.set(options);
  return options;
}

struct NamedKind {
  const char* name;
  Kind (*make)();
};
void PrintTo(const NamedKind& kind, std::ostream* out) { *out << kind.name; }

class TaskKinds : public testing::TestWithParam<NamedKind> {
 protected:
  FineTuneOptions Options(const Kind& kind) { return OptionsOf(kind, folder); }

  static std::map<std::string, std::string> ContentOf(const std::string& path) {
    std::map<std::string, std::string> content;
    for (const auto& entry : fs::recursive_directory_iterator(path))
      if (entry.is_regular_file()) content[fs::relative(entry.path(), path).string()] = ReadWhole(entry.path().string());
    return content;
  }

  test::TemporaryFolder folder;
  Silent observer;
};

TEST_P(TaskKinds, LearnWhatTheDataSaysAndOpenAgain) {
  const Kind kind = GetParam().make();
  FineTuneOptions options = Options(kind);
  options.training.num_epochs = kind.num_epochs;
  options.training.patience = 0;
  const FineTuneResult result = FineTune(kind.task, options, observer, observer.stop);
  const json metrics = json::parse(result.metrics_json);
  EXPECT_EQ(ReadJsonFile(options.out + "/metrics.json"), metrics);
  if (options.sequence.problem_type == ProblemType::kRegression) {
    EXPECT_GT(metrics.at("pearson").get<double>(), 0.9) << metrics;
  } else if (!metrics.contains("ndcg_at_10")) {  // of rankings below: among the few that are set aside chance is good
    EXPECT_GT(metrics.at(metrics.contains("f1") ? "f1" : metrics.contains("spearman") ? "spearman" : "accuracy").get<double>(), kind.wanted) << metrics;
  }
  const EvaluationResult again = Evaluate({.model = options.out, .data = options.data, .text_column = options.text_column,
                                           .target_column = options.target_column, .text_pair_column = options.text_pair_column,
                                           .max_length = options.max_length, .doc_stride = options.doc_stride,
                                           .line_by_line = options.masking.line_by_line});
  EXPECT_EQ(Evaluate(EvaluationAsTrained(options.out, "", options.data)).metrics_json, again.metrics_json)
      << "columns and windows are those of the training";
  EXPECT_EQ(again.figures.figures.front().name, result.figures.figures.front().name);
  EXPECT_GT(again.figures.num_examples, result.figures.num_examples);
  const json all = json::parse(again.metrics_json);
  if (all.contains("recall_at_10") && all.contains("accuracy")) {  // triples: chance is 0.5
    EXPECT_GT(all.at("accuracy").get<double>(), 0.7) << all;
  } else if (all.contains("recall_at_10")) {  // among 90 positives: chance is 0.05
    EXPECT_GT(all.at("ndcg_at_10").get<double>(), 0.2) << all;
  } else if (all.contains("ndcg_at_10")) {
    EXPECT_GT(all.at("ndcg_at_10").get<double>(), 0.75) << all;
  }
  TextModel model(options.out);
  model.Require(kind.task);
}

TEST_P(TaskKinds, WriteTheSameBytesForAnyThreadsPartsAndInterruptions) {
  const Kind kind = GetParam().make();
  FineTuneOptions options = Options(kind);
  FineTune(kind.task, options, observer, observer.stop);
  const std::map<std::string, std::string> expected = ContentOf(options.out);
  options.training.num_threads = 2;
  options.training.max_tokens = 30;
  options.training.gradient_checkpointing = true;
  options.out = folder / "again";
  FineTune(kind.task, options, observer, observer.stop);
  EXPECT_EQ(ContentOf(options.out), expected) << "2 threads, parts of 30 tokens, gradient checkpointing";
  options.out = folder / "broken";
  observer.stop_after = 7;
  try {
    FineTune(kind.task, options, observer, observer.stop);
    FAIL() << "was not interrupted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled) << error.message();
  }
  observer.stop = false;
  observer.stop_after = 0;
  options.resume = true;
  FineTune(kind.task, options, observer, observer.stop);
  EXPECT_EQ(observer.resumed, 7u);
  EXPECT_EQ(ContentOf(options.out), expected) << "resumed";
}

// The decoder of fill-mask shares its weight with the embeddings, the vectors of sentence-similarity are computed twice, and rows wait from part to part.
TEST_P(TaskKinds, WriteTheSameBytesInBf16ForAnyThreadsAndParts) {
  const Kind kind = GetParam().make();
  FineTuneOptions options = Options(kind);
  options.training.num_epochs = 1;
  FineTune(kind.task, options, observer, observer.stop);
  const std::map<std::string, std::string> f32 = ContentOf(options.out);
  options.training.dtype = DType::kBF16;
  options.out = folder / "bf16";
  FineTune(kind.task, options, observer, observer.stop);
  const std::map<std::string, std::string> expected = ContentOf(options.out);
  EXPECT_NE(expected.at("model.safetensors"), f32.at("model.safetensors"));
  EXPECT_THAT(ReadJsonFile(options.out + "/training.json").at("parameters").at("products").get<std::string>(), testing::StartsWith("bf16 "));
  EXPECT_THAT(expected.at("README.md"), testing::HasSubstr("| products | bf16 "));
  options.training.num_threads = 3;
  options.training.max_tokens = 30;
  options.training.gradient_checkpointing = true;
  options.out = folder / "again";
  FineTune(kind.task, options, observer, observer.stop);
  EXPECT_EQ(ContentOf(options.out), expected) << "3 threads, parts of 30 tokens, gradient checkpointing";
}

// With the bytes of one adapter for any threads and parts, gradients gathered from two batches a step included.
TEST_P(TaskKinds, TrainAnAdapterThatOpensWithItsBase) {
  const Kind kind = GetParam().make();
  FineTuneOptions options = Options(kind);
  options.test = options.data;
  options.lora = {.rank = 2};
  options.training.num_epochs = 2;
  options.training.batch_size = 4;
  options.training.gradient_accumulation = 2;
  if (kind.task == "fill-mask" && options.model == FixturePath("models/classifier")) {
    EXPECT_THROW(FineTune(kind.task, options, observer, observer.stop), Error) << "an adapter cannot hold the new head";
    return;
  }
  const FineTuneResult result = FineTune(kind.task, options, observer, observer.stop);
  EXPECT_THAT(observer.codes, Not(Contains("new_head")));
  const std::map<std::string, std::string> expected = ContentOf(options.out);
  EXPECT_FALSE(expected.contains("model.safetensors"));
  const EvaluationResult again = Evaluate({.model = options.model, .adapter = options.out, .data = options.data, .text_column = options.text_column,
                                           .target_column = options.target_column, .text_pair_column = options.text_pair_column,
                                           .max_length = options.max_length, .doc_stride = options.doc_stride,
                                           .line_by_line = options.masking.line_by_line});
  EXPECT_EQ(again.figures.figures.front().name, result.figures.figures.front().name);
  EXPECT_NEAR(again.figures.figures.front().value, result.figures.figures.front().value, 1e-9);
  options.training.num_threads = 2;
  options.training.max_tokens = 30;
  options.out = folder / "again";
  FineTune(kind.task, options, observer, observer.stop);
  EXPECT_EQ(ContentOf(options.out), expected) << "2 threads, parts of 30 tokens";
}

INSTANTIATE_TEST_SUITE_P(All, TaskKinds,
                         testing::Values(NamedKind{"MultiLabel", MultiLabel}, NamedKind{"Regression", Regression}, NamedKind{"Pairs", Pairs},
                                         NamedKind{"Tags", Tags}, NamedKind{"Spans", Spans}, NamedKind{"QuestionsWithContexts", QuestionsWithContexts},
                                         NamedKind{"Masks", Masks}, NamedKind{"NewMasks", NewMasks},
                                         NamedKind{"AnchorsAndPositives", AnchorsAndPositives}, NamedKind{"Triples", Triples},
                                         NamedKind{"ScoredPairs", ScoredPairs}, NamedKind{"Queries", Queries}),
                         [](const testing::TestParamInfo<NamedKind>& info) { return std::string(info.param.name); });

// What is measured is what a user gets: the windows, the alignment to words and the choice of the empty answer are those of the task.
TEST(QuestionAnswering, IsMeasuredByTheAnswersThatTheTaskGives) {
  const test::TemporaryFolder folder;
  const Kind kind = QuestionsWithContexts();
  const FineTuneOptions options = OptionsOf(kind, folder);
  Silent observer;
  FineTune(kind.task, options, observer, observer.stop);
  const EvaluationResult result = Evaluate({.model = options.out, .data = options.data, .max_length = options.max_length, .doc_stride = options.doc_stride});
  TextModel model(options.out);
  const std::unique_ptr<Task> task = MakeQuestionAnswering(
      {.format = OutputFormat::kJson, .max_answer_length = 30, .doc_stride = options.doc_stride, .handle_impossible_answer = true});
  const Questions questions = ReadQuestions(options.data);
  std::string out;
  task->Begin(out);
  for (size_t i = 0; i < questions.size(); ++i)
    task->Add(model, std::vector<TextInput>{{.text = questions.texts.texts[i], .pair = questions.texts.pairs[i]}}, out);
  task->End(out);
  const json answers = json::parse(out);
  ASSERT_EQ(answers.size(), questions.size());
  std::vector<AnswerScore> scores;
  for (size_t i = 0; i < questions.size(); ++i) {
    std::vector<std::string> gold;
    for (const GoldAnswer& answer : questions.answers[i]) gold.push_back(answer.text);
    scores.push_back(ScoreAnswer(answers[i].at("answer").get<std::string>(), gold));
  }
  EXPECT_EQ(ComputeAnswerMetrics(scores).figures.front().value, result.figures.figures.front().value);
  EXPECT_GT(result.figures.figures.front().value, 0);
}

TEST(FillMask, SaysWhereItMakesANewHead) {
  const test::TemporaryFolder folder;
  const Kind kind = Masks();
  FineTuneOptions options = OptionsOf(kind, folder);
  options.training.num_epochs = 1;
  Silent with_head, without_head;
  FineTune(kind.task, options, with_head, with_head.stop);
  EXPECT_THAT(with_head.codes, Not(Contains("new_head")));
  EXPECT_THAT(ReadWhole(options.out + "/README.md"), Not(HasSubstr("head was made new")));
  options.model = FixturePath("models/classifier");
  options.out = folder / "new";
  FineTune(kind.task, options, without_head, without_head.stop);
  EXPECT_THAT(without_head.codes, Contains("new_head"));
  EXPECT_THAT(ReadWhole(options.out + "/README.md"), HasSubstr("head was made new"));
}

// A block of words that are all unknown has nothing to guess: its rows, all zeros, must not shift those of others in sums of bf16.
TEST(FillMask, WritesTheSameBytesInBf16WhereABlockHasNothingToGuess) {
  const test::TemporaryFolder folder;
  Kind kind = Masks();
  std::string lines;
  size_t count = 0;
  for (size_t begin = 0; begin < kind.content.size(); ++count) {
    const size_t end = kind.content.find('\n', begin) + 1;
    lines += kind.content.substr(begin, end - begin);
    if (count % 3 == 0) lines += "\u2603\n";
    begin = end;
  }
  kind.content = lines;
  FineTuneOptions options = OptionsOf(kind, folder);
  options.validation_split = 0;
  options.training.num_epochs = 1;
  options.training.dtype = DType::kBF16;
  Silent observer;
  FineTune(kind.task, options, observer, observer.stop);
  const std::string expected = ReadWhole(options.out + "/model.safetensors");
  for (const size_t max_tokens : {1, 20}) {
    options.training.max_tokens = max_tokens;
    options.out = folder / fmt::format("parts of {}", max_tokens);
    FineTune(kind.task, options, observer, observer.stop);
    EXPECT_TRUE(ReadWhole(options.out + "/model.safetensors") == expected) << "parts of " << max_tokens << " tokens";
  }
}

// What is written opens as what was trained: the same figures of the same file, whatever stands behind the encoder.
TEST(SentenceFolders, GiveTheFiguresOfTheTrainedModel) {
  const test::TemporaryFolder folder;
  Silent observer;
  for (const char* base : {"models/classifier", "models/st_mean", "models/st_cls_dense", "models/st_version_two", "families/mpnet"})
    for (const Kind& kind : {AnchorsAndPositives(), Queries()}) {
      SCOPED_TRACE(fmt::format("{} of {}", kind.task, base));
      folder.Write(kind.file, kind.content);
      FineTuneOptions options;
      options.model = FixturePath(base);
      options.data = options.test = folder / kind.file;
      options.out = folder / fmt::format("{}-{}", kind.task, fs::path(base).filename().string());
      options.max_length = 20;
      options.training = {.num_epochs = 1, .learning_rate = 1e-3, .batch_size = 16};
      const FineTuneResult result = FineTune(kind.task, options, observer, observer.stop);
      EXPECT_EQ(Evaluate({.model = options.out, .data = options.test}).metrics_json, result.metrics_json);
      const TextModel model(options.out), before(options.model);
      EXPECT_EQ(model.max_length(), 20u);
      model.Require(kind.task);
      if (kind.task == "text-ranking") {
        EXPECT_EQ(ReadJsonFile(options.out + "/config.json").at("sentence_transformers").at("activation_fn"), "torch.nn.modules.activation.Sigmoid");
        continue;
      }
      EXPECT_EQ(model.embedding_size(), before.embedding_size());
      EXPECT_EQ(model.sentence_encoder().pooling(), before.sentence_encoder().pooling());
      EXPECT_EQ(model.sentence_encoder().normalizes(), before.sentence_encoder().normalizes());
      EXPECT_EQ(ReadJsonFile(options.out + "/sentence_bert_config.json").at("max_seq_length"), 20);
    }
}

// A base that puts a prompt before each text learns behind it: so it is used, and so it is measured.
TEST(SentenceFolders, LearnBehindThePromptOfTheirBase) {
  const test::TemporaryFolder folder;
  const Kind kind = AnchorsAndPositives();
  folder.Write(kind.file, kind.content);
  std::set<std::string> weights;
  for (const auto& [prompt, include_prompt] : {std::pair{"", true}, {"the large model ", true}, {"the large model ", false}}) {
    SCOPED_TRACE(fmt::format("'{}', include_prompt {}", prompt, include_prompt));
    const std::string name = fmt::format("base{}", weights.size()), base = folder / name;
    fs::copy(FixturePath("models/st_mean"), base, fs::copy_options::recursive);
    folder.Write(name + "/1_Pooling/config.json",
                 fmt::format(R"({{"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": {}}})", include_prompt));
    folder.Write(name + "/config_sentence_transformers.json",
                 fmt::format(R"({{"prompts": {{"usual": "{}"}}, "default_prompt_name": "usual"}})", prompt));
    FineTuneOptions options;
    options.model = base;
    options.data = options.test = folder / kind.file;
    options.out = folder / fmt::format("out{}", weights.size());
    options.training = {.num_epochs = 1, .learning_rate = 1e-3, .batch_size = 16};
    Silent observer;
    const FineTuneResult result = FineTune(kind.task, options, observer, observer.stop);
    EXPECT_EQ(Evaluate({.model = options.out, .data = options.test}).metrics_json, result.metrics_json);
    EXPECT_TRUE(weights.insert(test::ReadWhole(options.out + "/model.safetensors")).second) << "it makes a difference";
    EXPECT_EQ(ReadJsonFile(options.out + "/training.json").at("parameters").contains("prompt"), *prompt != '\0');
  }
}

TEST(SentenceSimilarity, RefusesALossForOtherData) {
  const test::TemporaryFolder folder;
  Silent observer;
  FineTuneOptions options;
  options.model = FixturePath("models/classifier");
  options.data = folder.Write("train.csv", AnchorsAndPositives().content);
  options.out = folder / "out";
  const auto refused = [&](const std::string& loss, const std::string& message) {
    options.loss = loss;
    ExpectError(ErrorCode::kInvalidArgument, message, [&] { FineTune("sentence-similarity", options, observer, observer.stop); });
    EXPECT_FALSE(fs::exists(options.out));
  };
  refused("triplet", "--loss triplet: expected triples (columns such as anchor, positive, negative), found pairs in train.csv");
  refused("cosent", "--loss cosent: expected scored pairs (columns such as sentence1, sentence2, score), found pairs in train.csv");
  refused("contrastive", "there is no loss 'contrastive'; known are multiple-negatives-ranking, cosent and triplet");
  options.data = folder.Write("scored.csv", ScoredPairs().content);
  refused("multiple-negatives-ranking",
          "--loss multiple-negatives-ranking: expected pairs or triples (columns such as anchor, positive, negative), found scored pairs in scored.csv");
  options.loss = "";
  options.embedding.matryoshka = {16, 33};
  refused("", "--matryoshka 33: expected sizes from 1 to 32, that of the model's vectors");
}

TEST(SentenceSimilarity, StopsAtWeightsThatAreNotFinite) {
  const test::TemporaryFolder folder;
  Silent observer;
  FineTuneOptions options;
  options.model = FixturePath("models/classifier");
  options.data = folder.Write("train.csv", AnchorsAndPositives().content);
  options.out = folder / "out";
  options.training = {.num_epochs = 2, .learning_rate = 1e30, .batch_size = 8, .max_grad_norm = 0, .warmup = 0};
  try {
    FineTune("sentence-similarity", options, observer, observer.stop);
    FAIL() << "was not stopped";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_THAT(error.message(), testing::AllOf(testing::StartsWith("step 2: "), testing::HasSubstr("the batch is train.csv lines ")));
  }
}

// The decoder is the embeddings, which do not learn; the rest of the head does. Its new weights are no new head.
TEST(FillMask, LearnsAnAdapterOfTheSameBytesInParts) {
  const test::TemporaryFolder folder;
  const Kind kind = Masks();
  FineTuneOptions options = OptionsOf(kind, folder);
  options.lora.rank = 4;
  Silent observer;
  FineTune(kind.task, options, observer, observer.stop);
  EXPECT_THAT(observer.codes, Not(Contains("new_head")));
  const std::string whole = options.out;
  options.training.max_tokens = 30;
  options.out = folder / "parts";
  FineTune(kind.task, options, observer, observer.stop);
  EXPECT_EQ(ReadWhole(options.out + "/adapter_model.safetensors"), ReadWhole(whole + "/adapter_model.safetensors"));
  EXPECT_EQ(ReadWhole(options.out + "/metrics.json"), ReadWhole(whole + "/metrics.json"));
}

TEST(TextTargets, SplitsLabelsAndListsThemOnce) {
  EXPECT_THAT(SplitLabels(" a, b ,a,, c", ","), ElementsAre("a", "b", "c"));
  EXPECT_THAT(SplitLabels("a|b, c", "|"), ElementsAre("a", "b, c"));
  EXPECT_THAT(SplitLabels("", ","), IsEmpty());
  EXPECT_THAT(SplitLabels(std::string("a, b") + kListSeparator + "c", ","), ElementsAre("a, b", "c"));
}

TEST(TextTargets, NamesTheRowOfWhatCannotBe) {
  LabelledTexts texts;
  texts.source = "train.csv";
  texts.texts = {"x", "y"};
  texts.lines = {2, 3};
  texts.labels = {0, 0};
  texts.targets = {"1.5", "much"};
  ExpectError(ErrorCode::kInvalidInput, "train.csv line 3: expected a number, found 'much'",
              [&] { ReadTargets(texts, ProblemType::kRegression, {"score"}, ","); });
  texts.targets[1] = "nan";
  ExpectError(ErrorCode::kInvalidInput, "train.csv line 3: expected a number, found 'nan'",
              [&] { ReadTargets(texts, ProblemType::kRegression, {"score"}, ","); });
  texts.targets[1] = "3,5";
  EXPECT_EQ(ExpectError(ErrorCode::kInvalidInput, "train.csv line 3: expected a number, found '3,5'",
                        [&] { ReadTargets(texts, ProblemType::kRegression, {"score"}, ","); })
                .hint(),
            "a decimal comma? Write 3.5");
  texts.targets[1] = " ";
  EXPECT_EQ(ExpectError(ErrorCode::kInvalidInput, "train.csv line 3: expected a number, found ' '",
                        [&] { ReadTargets(texts, ProblemType::kRegression, {"score"}, ","); })
                .hint(),
            "give the row a number, or leave such rows out with --skip-unlabelled");
  texts.targets = {"a", "a,bb"};
  ExpectError(ErrorCode::kInvalidInput, "train.csv line 3: expected labels that stand in the training data, found 'bb'",
              [&] { ReadTargets(texts, ProblemType::kMultiLabel, {"a", "b"}, ","); });
}

TEST(TaggedTexts, ReadsConllAndListsAlike) {
  const test::TemporaryFolder folder;
  folder.Write("a.conll", "-DOCSTART- O\n\nEU NNP B-ORG\nrejects VBZ O\r\n\n\nPeter\tB-PER\n");
  folder.Write("a.jsonl", "{\"tokens\": [\"EU\", \"rejects\"], \"tags\": [\"B-ORG\", \"O\"]}\n{\"tags\": [\"B-PER\"], \"tokens\": [\"Peter\"]}\n");
  const TaggedTexts conll = ReadTaggedTexts(folder / "a.conll"), lists = ReadTaggedTexts(folder / "a.jsonl");
  EXPECT_THAT(conll.texts.texts, ElementsAre("EU rejects", "Peter"));
  EXPECT_EQ(lists.texts.texts, conll.texts.texts);
  EXPECT_THAT(conll.texts.lines, ElementsAre(3, 7));
  ASSERT_EQ(conll.words[0].size(), 2u);
  EXPECT_EQ(conll.words[0][1].begin, 3u);
  EXPECT_EQ(conll.words[0][1].end, 10u);
  EXPECT_THAT(TagsOf(conll), ElementsAre("O", "B-ORG", "B-PER"));
  // Under other names, and beside the text that they are the words of.
  const auto same = [&](const std::string& row, const TagColumns& columns = {}) {
    const TaggedTexts found = ReadTaggedTexts(folder.Write("b.jsonl", row + "\n"), columns);
    EXPECT_THAT(found.texts.texts, ElementsAre("EU rejects")) << row;
    EXPECT_THAT(TagsOf(found), ElementsAre("O", "B-ORG")) << row;
  };
  same(R"({"tokens": ["EU", "rejects"], "ner_tags": ["B-ORG", "O"]})");
  same(R"({"words": ["EU", "rejects"], "labels": ["B-ORG", "O"]})");
  same(R"({"text": "EU  rejects", "tokens": ["EU", "rejects"], "ner_tags": ["B-ORG", "O"]})");
  same(R"({"text": "EU  rejects", "words": ["EU", "rejects"], "labels": ["B-ORG", "O"]})");
  same(R"({"tokens": ["EU", "rejects"], "tags": ["X", "X"], "mine": ["B-ORG", "O"]})", {.tags = "mine"});
  const std::string spans = R"({"text": "EU rejects", "tokens": ["E", "U", "rejects"], "labels": [[0, 2, "ORG"]]})";
  EXPECT_EQ(ReadTaggedTexts(folder.Write("c.jsonl", spans + "\n")).words[0].size(), 2u) << "labels of spans";
  EXPECT_EQ(TagsOf(lists), TagsOf(conll));
}

TEST(TaggedTexts, RefusesBadFilesWithTheirLine) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::string& name, const std::string& content, ErrorCode code, const std::string& message) {
    folder.Write(name, content);
    ExpectError(code, (folder / name) + ": " + message, [&] { ReadTaggedTexts(folder / name); });
  };
  refused("a.conll", "EU B-ORG\nrejects\n", ErrorCode::kInvalidInput, "line 2: expected a word and its tag, found 'rejects' alone");
  refused("b.conll", "\n\n", ErrorCode::kInvalidInput, "expected sentences of words with tags, found none");
  refused("a.jsonl", "{\"tokens\": [\"EU\"], \"tags\": [\"O\", \"O\"]}\n", ErrorCode::kInvalidInput, "line 1: 1 tokens have 2 tags");
  refused("b.jsonl", "{\"tokens\": [\"EU\"], \"tags\": [[\"O\"]]}\n", ErrorCode::kInvalidInput,
          "line 1: expected a string, a number or a boolean under 'tags', found an array in the list");
  refused("a.csv", "a,b\n", ErrorCode::kUnsupported, "expected words with tags in a file that ends in .conll, .iob, .bio, .txt or .jsonl");
}

TEST(Entities, AreThoseOfSeqeval) {
  const auto entities = [](std::vector<std::string> tags) { return EntitiesOf(tags); };
  EXPECT_THAT(entities({"B-PER", "I-PER", "O", "B-LOC"}), ElementsAre(EntitySpan{"PER", 0, 2}, EntitySpan{"LOC", 3, 4}));
  EXPECT_THAT(entities({"I-PER", "I-LOC", "I-LOC", "B-LOC"}), ElementsAre(EntitySpan{"PER", 0, 1}, EntitySpan{"LOC", 1, 3}, EntitySpan{"LOC", 3, 4}));
  EXPECT_THAT(entities({"S-PER", "I-PER", "E-PER", "I-PER"}), ElementsAre(EntitySpan{"PER", 0, 1}, EntitySpan{"PER", 1, 3}, EntitySpan{"PER", 3, 4}));
  EXPECT_THAT(entities({"O", "PER", "PER", "LOC"}), ElementsAre(EntitySpan{"PER", 1, 3}, EntitySpan{"LOC", 3, 4}));
  EXPECT_THAT(entities({"O", "O"}), IsEmpty());
}

double Value(const Figures& figures, const std::string& name) {
  for (const Figure& figure : figures.figures)
    if (figure.name == name) return figure.value;
  return -1;
}

TEST(SetMetrics, AreThoseOfScikitLearn) {
  // f1_score(average="micro"/"macro"), precision_score, recall_score, accuracy_score of these two indicator matrices.
  const std::vector<float> truth = {1, 0, 1, /**/ 0, 1, 0, /**/ 1, 1, 0, /**/ 0, 0, 0}, logits = {2, -1, -1, /**/ -1, 3, 1, /**/ 1, 2, -1, /**/ -2, -1, -3};
  const Figures figures = ComputeSetMetrics(4, CountLabels(truth, logits, 3), {"a", "b", "c"});
  EXPECT_DOUBLE_EQ(Value(figures, "f1"), 0.8);
  EXPECT_DOUBLE_EQ(Value(figures, "precision"), 0.8);
  EXPECT_DOUBLE_EQ(Value(figures, "recall"), 0.8);
  EXPECT_DOUBLE_EQ(Value(figures, "macro_f1"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(Value(figures, "exact_match"), 0.5);
  EXPECT_EQ(figures.per_class[2].support, 1u);
  ASSERT_TRUE(figures.figures[0].interval);
  EXPECT_LE(figures.figures[0].interval->low, 0.8);
  EXPECT_GE(figures.figures[0].interval->high, 0.8);
}

TEST(RegressionMetrics, AreThoseOfScipy) {
  const std::vector<float> truth = {1, 2, 3, 4, 4}, predicted = {1.5f, 1, 3, 5, 4};
  const Figures figures = ComputeRegressionMetrics(truth, predicted);
  EXPECT_NEAR(Value(figures, "mse"), 0.45, 1e-12);
  EXPECT_NEAR(Value(figures, "mae"), 0.5, 1e-12);
  EXPECT_NEAR(Value(figures, "pearson"), 0.9052397658153587, 1e-12);
  EXPECT_NEAR(Value(figures, "spearman"), 0.8720815992723809, 1e-12);
  const std::vector<float> constant(5, 1.0f);
  EXPECT_EQ(Value(ComputeRegressionMetrics(truth, constant), "pearson"), 0);
}

TEST(RegressionMetrics, AreThoseOfTheirRows) {
  const std::vector<float> truth = {1, 2, 3, 4, 4}, predicted = {1.5f, 1, 3, 5, 4};
  const Figures figures = ComputeRegressionMetrics(truth, predicted);
  const std::vector<size_t> all = {0, 1, 2, 3, 4}, some = {1, 3};
  for (const Figure& figure : figures.figures) {
    const RowFigure* by_row = FindByRow(figures, figure.name);
    ASSERT_NE(by_row, nullptr) << figure.name;
    EXPECT_DOUBLE_EQ(RowFigureMeter(*by_row)(all), figure.value) << figure.name;
  }
  EXPECT_DOUBLE_EQ(RowFigureMeter(*FindByRow(figures, "mae"))(some), 1);
  EXPECT_TRUE(ComputeRegressionMetrics(truth, predicted, {.intervals = false}).by_row.empty());
}

}  // namespace
}  // namespace mlac
