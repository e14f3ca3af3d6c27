// What `mlac run` does with models and options that cannot give an answer: one line, and nothing on standard output.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tensor/safetensors.h"
#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::FixturePath;

void ExpectFailure(const std::vector<std::string>& arguments, int status, const std::string& error) {
  const ProgramResult result = RunMlac(arguments);
  EXPECT_EQ(result.status, status);
  EXPECT_EQ(result.error, error);
  EXPECT_EQ(result.out, "");
}

// A copy of the model in which change was called with each tensor.
template <typename Change>
std::string Changed(const test::TemporaryFolder& folder, const std::string& fixture, const Change& change) {
  const std::string path = folder / "model";
  std::filesystem::copy(FixturePath(fixture), path, std::filesystem::copy_options::recursive);
  const SafetensorsFile file = test::OpenFixture(fixture + "/model.safetensors");
  std::vector<NamedTensor> tensors;
  for (const TensorInfo& info : file.tensors()) {
    const Tensor values = file.Get(info.name);
    NamedTensor tensor = {info.name, values.dtype() == DType::kF32 ? Tensor::FromValues(values.shape(), values.floats()) : values};
    change(tensor);
    tensors.push_back(tensor);
  }
  WriteSafetensors(path + "/model.safetensors", tensors);
  return path;
}

TEST(Run, GivesNoAnswerOfBrokenWeights) {
  struct Case {
    std::string task, fixture;
    std::vector<std::string> arguments;
  };
  const Case cases[] = {
      {"feature-extraction", "models/st_mean", {"a cat"}},
      {"feature-extraction", "models/st_mean", {"a cat", "--tokens"}},
      {"sentence-similarity", "models/st_mean", {"a cat", "red"}},
      {"text-classification", "models/classifier", {"a cat"}},
      {"text-ranking", "families/mpnet_reranker", {"--query", "a cat", "red"}},
      {"token-classification", "families/bert_tokens", {"a cat"}},
      {"question-answering", "families/bert_qa", {"--question", "what", "a cat"}},
      {"fill-mask", "families/distilbert_masked_lm", {"a [MASK]"}},
      {"zero-shot-classification", "families/electra_nli", {"a cat", "--labels", "cats,dogs"}},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.task);
    const test::TemporaryFolder folder;
    const std::string model = Changed(folder, each.fixture, [](NamedTensor& tensor) {
      if (tensor.name.find("embeddings.LayerNorm.weight") != std::string::npos)
        tensor.tensor.mutable_floats()[0] = std::numeric_limits<float>::quiet_NaN();
    });
    for (const bool json : {false, true}) {
      std::vector<std::string> arguments = {"run", each.task, "-m", model};
      arguments.insert(arguments.end(), each.arguments.begin(), each.arguments.end());
      if (json) arguments.emplace_back("--json");
      ExpectFailure(arguments, 1,
                    "mlac: the model gave a number that is not finite\nhint: its weights are broken, or overflow on these texts\n");
    }
  }
}

TEST(Run, RefusesWeightsThatAreNoFloats) {
  const test::TemporaryFolder folder;
  const std::string model = Changed(folder, "models/classifier", [](NamedTensor& tensor) {
    if (tensor.name == "classifier.weight") tensor.tensor = Tensor::Zeros(tensor.tensor.shape(), DType::kI32);
  });
  ExpectFailure(
      {"run", "text-classification", "-m", model, "a cat"}, 1,
      "mlac: " + model + "/model.safetensors: tensor 'classifier.weight' is I32; expected F32, F16, BF16 or F64, or I8 with a scale\n");
}

TEST(Run, ShowsWhatALabelWouldDoToTheTerminal) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(FixturePath("models/classifier"), folder / "model", std::filesystem::copy_options::recursive);
  std::string config = test::ReadWhole(folder / "model/config.json");
  for (size_t at = config.find("positive"); at != std::string::npos; at = config.find("positive", at))
    config.replace(at, 8, "p\\u001b[31m\\n");
  folder.Write("model/config.json", config);
  const ProgramResult result = RunMlac({"run", "text-classification", "-m", folder / "model", "a\tcat", "--top-k", "all"});
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
  EXPECT_NE(result.out.find("  p\\x1b[31m\\n\t"), std::string::npos) << result.out;
  EXPECT_TRUE(result.out.starts_with("a\\tcat\n")) << result.out;
}

TEST(Run, PrintsNothingOfWhatFailsAtItsEnd) {
  ExpectFailure({"run", "sentence-similarity", "-m", FixturePath("models/st_mean"), "--json", "a"}, 1,
                "mlac: sentence-similarity: expected at least two texts, found one\n");
  ExpectFailure({"tokenize", "-m", FixturePath("models/classifier"), "--json", "--max-length", "3", "a", "a cat of the jungle"}, 1,
                "mlac: the text has 11 tokens; at most 3 are possible\nhint: --truncate cuts it\n");
}

TEST(Run, PrintsTheAnswersToAllChunksBeforeTheOneThatCannotBeRead) {
  std::string rows;
  for (int i = 0; i < 512; ++i) rows += "{\"text\": \"a cat\"}\n";  // two chunks
  const test::TemporaryFolder folder;
  const ProgramResult result =
      RunMlac({"run", "text-classification", "-m", FixturePath("models/classifier"), "--file", folder.Write("a.jsonl", rows + "{\n")});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 512);
}

TEST(Run, SearchesTextsForWhatIsNearToAQuery) {
  const std::string model = FixturePath("models/st_mean");
  const std::vector<std::string> texts = {"red dog", "", "the small cat", "cat", "water of the night", " \t"};
  const test::TemporaryFolder folder;
  std::string lines;
  for (const std::string& text : texts) lines += text + "\n";
  const std::string file = folder.Write("texts.txt", lines);
  // What the cosines are is said by the task without a query, for which it is the first text.
  std::vector<std::pair<float, size_t>> expected;
  for (const size_t i : {0, 2, 3, 4}) {
    const ProgramResult one = RunMlac({"run", "sentence-similarity", "-m", model, "--json", "small cat", texts[i]});
    expected.emplace_back(-nlohmann::json::parse(one.out).at(0).get<float>(), i);
  }
  std::sort(expected.begin(), expected.end());
  const ProgramResult all = RunMlac({"run", "sentence-similarity", "-m", model, "--json", "--query", "small cat", "--file", file});
  ASSERT_EQ(all.status, 0) << all.error;
  const nlohmann::json found = nlohmann::json::parse(all.out);
  ASSERT_EQ(found.size(), expected.size()) << "blank lines are counted and not ranked: " << all.out;
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found[i].at("index"), expected[i].second);
    EXPECT_EQ(found[i].at("score").get<float>(), -expected[i].first);
  }
  for (const size_t k : {1, 2, 4, 5}) {  // a heap of k keeps what a sort of all has in front
    const ProgramResult best =
        RunMlac({"run", "sentence-similarity", "-m", model, "--json", "--query", "small cat", "--top-k", std::to_string(k)}, {.in = lines});
    const nlohmann::json few = nlohmann::json::parse(best.out);
    ASSERT_EQ(few.size(), std::min<size_t>(k, 4));
    for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i], found[i]) << k;
  }
  const ProgramResult shown = RunMlac({"run", "sentence-similarity", "-m", model, "--query", "small cat", "--top-k", "1", "--file", file});
  EXPECT_EQ(shown.out, fmt::format("{}\t{:.4f}\t{}\n", expected[0].second, -expected[0].first, texts[expected[0].second]));
  ExpectFailure({"run", "sentence-similarity", "-m", model, "a", "b", "--top-k", "1"}, 2,
                "mlac: --top-k needs --query\nhint: without it the first text is compared with each other one, in their order\n");
  ExpectFailure({"run", "sentence-similarity", "-m", model, "a", "--query", ""}, 2,
                "mlac: --query is empty\nhint: it is what the texts are compared with\n");
}

TEST(Run, ASearchPutsThePromptsOfQueriesAndOfDocumentsInFront) {
  const test::TemporaryFolder folder;
  const std::string model = folder / "model";
  std::filesystem::copy(FixturePath("models/st_mean"), model, std::filesystem::copy_options::recursive);
  folder.Write("model/config_sentence_transformers.json", R"({"prompts": {"query": "red ", "passage": "blue ", "other": "open "}})");
  const auto search = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"run", "sentence-similarity", "-m", model, "--json", "--query", "cat", "dog"});
    return nlohmann::json::parse(RunMlac(more).out).at(0).at("score").get<float>();
  };
  const auto cosine = [&](const std::string& a, const std::string& b) {
    return nlohmann::json::parse(RunMlac({"run", "sentence-similarity", "-m", model, "--json", a, b}).out).at(0).get<float>();
  };
  EXPECT_EQ(search({}), cosine("red cat", "blue dog"));
  EXPECT_EQ(search({"--prompt-name", "other"}), cosine("open cat", "blue dog"));
  EXPECT_EQ(search({"--prompt", ""}), cosine("cat", "blue dog"));
}

// A copy of the classifier whose config.json has this problem_type.
std::string WithProblemType(const test::TemporaryFolder& folder, const std::string& problem_type, const std::string& of = "models/classifier") {
  std::filesystem::copy(FixturePath(of), folder / "model", std::filesystem::copy_options::recursive);
  nlohmann::json config = nlohmann::json::parse(test::ReadWhole(folder / "model/config.json"));
  config["problem_type"] = problem_type;
  folder.Write("model/config.json", config.dump());
  return folder / "model";
}

TEST(Run, ShowsTheLabelsThatCountWhereATextMayHaveSeveral) {
  const test::TemporaryFolder folder;
  const std::string model = WithProblemType(folder, "multi_label_classification");
  const std::vector<std::string> texts = {"cat", "red dog", "the small light of the night", "open water", "people"};
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"run", "text-classification", "-m", model});
    more.insert(more.end(), texts.begin(), texts.end());
    const ProgramResult result = RunMlac(more);
    EXPECT_EQ(result.status, 0) << result.error;
    return result.out;
  };
  const nlohmann::json all = nlohmann::json::parse(run({"--json", "--top-k", "all"}));
  const auto shown = [&](float bound) {
    std::string out;
    for (size_t i = 0; i < texts.size(); ++i) {
      std::string labels;
      for (const auto& one : all[i])
        if (one.at("score").get<float>() > bound)
          labels += fmt::format("  {}\t{:.4f}\n", one.at("label").get<std::string>(), one.at("score").get<float>());
      out += texts[i] + "\n" + (labels.empty() ? "  (no label)\n" : labels);
    }
    return out;
  };
  const float edge = all[1][1].at("score").get<float>();
  EXPECT_EQ(run({}), shown(0.5f));
  EXPECT_EQ(run({"--threshold", "0"}), shown(0));
  EXPECT_EQ(run({"--threshold", "1"}), shown(1));
  EXPECT_EQ(run({"--threshold", fmt::format("{:.17g}", static_cast<double>(edge))}), shown(edge))
      << "what is not above the bound does not count";
  const nlohmann::json above = nlohmann::json::parse(run({"--json", "--threshold", "0.5"}));
  for (size_t i = 0; i < texts.size(); ++i)
    for (const auto& one : above[i]) EXPECT_GT(one.at("score").get<float>(), 0.5f);
  const nlohmann::json plain = nlohmann::json::parse(run({"--json"}));  // as transformers has it
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(plain[i], all[i][0]);
  const std::string marked = run({"--top-k", "2"});
  for (size_t i = 0; i < texts.size(); ++i)
    for (size_t k = 0; k < 2; ++k) {
      const float score = all[i][k].at("score").get<float>();
      const std::string line =
          fmt::format("  {}\t{:.4f}\t{}\n", all[i][k].at("label").get<std::string>(), score, score > 0.5f ? "yes" : "no");
      EXPECT_NE(marked.find(line), std::string::npos) << marked << line;
    }
}

TEST(Run, AThresholdIsForLabels) {
  const test::TemporaryFolder folder;
  ExpectFailure({"run", "text-classification", "-m", WithProblemType(folder, "regression"), "--threshold", "0.5", "a"}, 1,
                "mlac: --threshold: the model gives a number and no label\n");
  const ProgramResult one = RunMlac({"run", "text-classification", "-m", FixturePath("models/classifier"), "--threshold", "1", "cat"});
  EXPECT_EQ(one.out, "cat\n  (no label)\n");
}

TEST(Run, OneOutputIsAnAnswerToAQueryOfCrossEncodersAlone) {
  for (const std::string problem_type : {"", "regression", "multi_label_classification", "single_label_classification"}) {
    const test::TemporaryFolder folder;
    const std::string model = problem_type.empty() ? FixturePath("families/mpnet_reranker") : WithProblemType(folder, problem_type, "families/mpnet_reranker");
    const nlohmann::json tasks = nlohmann::json::parse(RunMlac({"inspect", model, "--json"}).out).at("tasks");
    EXPECT_EQ(std::find(tasks.begin(), tasks.end(), "text-ranking") != tasks.end(), problem_type.empty()) << problem_type;
    const ProgramResult ranked = RunMlac({"run", "text-ranking", "-m", model, "--query", "a cat", "red"});
    EXPECT_EQ(ranked.status, problem_type.empty() ? 0 : 1) << ranked.error;
    if (problem_type.empty()) continue;
    EXPECT_EQ(ranked.error, "mlac: " + model +
                                ": the model has no head for text-ranking; it can do feature-extraction, sentence-similarity, text-classification\n"
                                "hint: by problem_type of its config.json, '" +
                                problem_type + "', its one output is no answer to a query; a cross-encoder has no problem_type\n");
  }
}

TEST(Run, TakesTargetsThatAreTokensAlone) {
  const std::string model = FixturePath("families/distilbert_masked_lm");
  const auto refused = [&](const std::string& targets, const std::string& error) {
    ExpectFailure({"run", "fill-mask", "-m", model, "the [MASK] sat", "--targets", targets}, 1, error);
  };
  refused("", "mlac: fill-mask: expected at least one target, found none\n");
  refused(" , ", "mlac: fill-mask: expected at least one target, found none\n");
  refused("the,木", "mlac: fill-mask: the model does not know the target '木'\nhint: 'mlac tokenize' shows the tokens of a text\n");
  const ProgramResult unknown = RunMlac({"run", "fill-mask", "-m", model, "the [MASK] sat", "--targets", "the,zzznope"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_EQ(unknown.out, "");
  EXPECT_TRUE(unknown.error.starts_with("mlac: fill-mask: the target 'zzznope' is no token of the model, which has ")) << unknown.error;
  EXPECT_EQ(RunMlac({"run", "fill-mask", "-m", model, "the [MASK] sat", "--targets", "The,a", "--json"}).out,
            RunMlac({"run", "fill-mask", "-m", model, "the [MASK] sat", "--targets", "the,a", "--json"}).out)
      << "the tokenizer makes lower case of it";
}

TEST(Run, AsksForAQuestionAndAContextThatSayAnything) {
  const std::string model = FixturePath("families/bert_qa");
  for (const bool json : {false, true}) {
    std::vector<std::string> arguments = {"run", "question-answering", "-m", model, "--question", "what", " \n"};
    if (json) arguments.emplace_back("--json");
    ExpectFailure(arguments, 1, "mlac: question-answering: the context is empty\n");
  }
  const test::TemporaryFolder folder;
  ExpectFailure({"run", "question-answering", "-m", model, "--file", folder.Write("a.csv", "question,context\n,a cat\n")}, 1,
                "mlac: a.csv line 2: question-answering: the question is empty\n");
}

TEST(Run, RefusesOptionsWithoutEffect) {
  const std::string model = FixturePath("models/classifier"), questions = FixturePath("families/bert_qa");
  for (const char* option : {"--text-pair-column", "--text-column"})
    ExpectFailure({"run", "text-classification", "-m", model, "a cat", option, "x"}, 2,
                  std::string("mlac: ") + option + " names a column of --file, which was not given\n");
  for (const char* option : {"--question-column", "--context-column"})
    ExpectFailure({"run", "question-answering", "-m", questions, "--question", "what", "a cat", option, "x"}, 2,
                  std::string("mlac: ") + option + " names a column of --file, which was not given\n");
}

TEST(Run, NamesTheOptionsOfTheTaskWhereAColumnIsMissing) {
  const test::TemporaryFolder folder;
  const std::string file = folder.Write("a.csv", "one,two\nx,y\n");
  ExpectFailure(
      {"run", "text-classification", "-m", FixturePath("models/classifier"), "--file", file, "--text-column", "one", "--text-pair-column",
       "zz"},
      1, "mlac: " + file + ": expected a column 'zz', found 'one', 'two'\nhint: --text-column and --text-pair-column name the columns\n");
  ExpectFailure({"run", "question-answering", "-m", FixturePath("families/bert_qa"), "--file", file}, 1,
                "mlac: " + file +
                    ": expected a column 'question', found 'one', 'two'\nhint: --question-column and --context-column name the columns\n");
  ExpectFailure({"run", "token-classification", "-m", FixturePath("families/bert_tokens"), "--file", file}, 1,
                "mlac: " + file + ": expected a column 'text', found 'one', 'two'\nhint: --text-column names the column\n");
}

TEST(Run, SaysHowToGetAModelOfTheHub) {
  ExpectFailure({"run", "text-classification", "-m", "some-owner/some-model", "a"}, 1,
                "mlac: some-owner/some-model: there is no such folder\nhint: a model of the Hub is downloaded once: hf download "
                "some-owner/some-model "
                "--local-dir some-model\n");
  for (const char* path : {"./some-model", "/some-model", "a/b/c", "some-model", "a b/c"})
    ExpectFailure(
        {"run", "text-classification", "-m", path, "a"}, 1,
        std::string("mlac: ") + path + ": there is no such folder\nhint: a model is a folder with config.json and model.safetensors\n");
}

TEST(Run, SaysWhatAPathIsThatIsNoModel) {
  const test::TemporaryFolder folder;
  const std::string file = folder.Write("file", ""), folder_hint = "hint: a model is a folder with config.json and model.safetensors\n";
  ExpectFailure({"run", "text-classification", "-m", file, "a"}, 1, "mlac: " + file + ": is a file, expected a folder\n" + folder_hint);
  folder.Write("out/checkpoint/state.json", "{}");
  ExpectFailure({"run", "text-classification", "-m", folder / "out", "a"}, 1,
                "mlac: " + folder / "out: there is no config.json, but the checkpoint of a training that has not finished\n" +
                    "hint: the same `mlac train` with --resume finishes it\n");
}

TEST(Run, NeedsRoomForAText) {
  ExpectFailure({"run", "text-classification", "-m", FixturePath("models/classifier"), "--truncate", "--max-length", "2", "a cat"}, 1,
                "mlac: --max-length 2: expected more than the 2 special tokens around each text\n");
  EXPECT_EQ(
      RunMlac({"run", "text-classification", "-m", FixturePath("models/classifier"), "--truncate", "--max-length", "3", "a cat"}).status,
      0);
}

}  // namespace
}  // namespace mlac
