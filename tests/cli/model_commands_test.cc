// tokenize and inspect through the real binary, on tiny folders that the reference wrote.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;

const std::string kVocabOnly = test::FixturePath("models/vocab_only");
const std::string kClassifier = test::FixturePath("models/classifier");

void ExpectFailure(const ProgramResult& result, int status, const std::string& error) {
  EXPECT_EQ(result.status, status);
  EXPECT_EQ(result.error, error);
  EXPECT_EQ(result.out, "");
}

json Tokenize(std::vector<std::string> arguments, const std::string& in = "") {
  arguments.insert(arguments.begin(), {"tokenize", "-m", kVocabOnly, "--json"});
  const ProgramResult result = RunMlac(arguments, {.in = in});
  EXPECT_EQ(result.status, 0) << result.error;
  return json::parse(result.out);
}

TEST(Tokenize, PrintsALineATokenWithItsBytes) {
  const ProgramResult result = RunMlac({"tokenize", "-m", kVocabOnly, "one tw"});
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(result.out,
            "5 tokens\n"
            "       2  [CLS]\n"
            "     112  one  0-3  one\n"
            "      45  t    4-5  t\n"
            "      74  ##w  5-6  w\n"
            "       3  [SEP]\n");
}

TEST(Tokenize, JsonHasOffsetsInCodePointsAndInBytes) {
  const json found = Tokenize({"\u00e9 red"});  // the accent is two bytes and one code point
  EXPECT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0]["tokens"].back(), "[SEP]");
  EXPECT_EQ(found[0]["offset_mapping"][2], json({2, 5}));
  EXPECT_EQ(found[0]["byte_offsets"][2], json({3, 6}));
  EXPECT_EQ(found[0]["special_tokens_mask"], json({1, 0, 0, 1}));
}

TEST(Tokenize, TakesEveryArgumentAsItStands) {
  const json found = Tokenize({"[a]", "{}", "", "env", "[a,b]", "--", "--json", "[-]", "--"});
  ASSERT_EQ(found.size(), 8u);
  const auto length = [&](size_t i) { return found[i]["byte_offsets"][found[i]["byte_offsets"].size() - 2][1].get<int>(); };
  EXPECT_EQ(length(0), 3);
  EXPECT_EQ(length(1), 2);
  EXPECT_EQ(found[2]["tokens"], json({"[CLS]", "[SEP]"}));
  EXPECT_EQ(length(3), 3);
  EXPECT_EQ(length(4), 5);
  EXPECT_EQ(length(5), 6);
  EXPECT_EQ(length(6), 3);
  EXPECT_EQ(length(7), 2);
}

TEST(Tokenize, ArgumentsFileAndStandardInputGiveTheSame) {
  const test::TemporaryFolder folder;
  const json arguments = Tokenize({"cat", "", "red dog"});
  EXPECT_EQ(Tokenize({"--file", folder.Write("in.txt", "cat\n\nred dog\n")}), arguments);
  EXPECT_EQ(Tokenize({"--file", folder.Write("in.csv", "id,words\n1,cat\n2,\n3,red dog\n"), "--text-column", "words"}), arguments);
  EXPECT_EQ(Tokenize({}, "cat\n\nred dog\n"), arguments);
}

TEST(Tokenize, APairHasTwoSegments) {
  EXPECT_EQ(Tokenize({"cat", "--pair", "dog"})[0]["token_type_ids"], json({0, 0, 0, 1, 1}));
  EXPECT_EQ(Tokenize({"cat", "--pair", ""})[0]["token_type_ids"], json({0, 0, 0, 1}));
  EXPECT_EQ(Tokenize({"cat", "--no-special-tokens"})[0]["tokens"], json({"cat"}));
}

TEST(Tokenize, CutsOnlyWhereThatWasAsked) {
  const ProgramResult refused = RunMlac({"tokenize", "-m", kVocabOnly, "--max-length", "3", "cat dog"});
  ExpectFailure(refused, 1, "mlac: the text has 4 tokens; at most 3 are possible\nhint: --truncate cuts it\n");
  const json cut = Tokenize({"--max-length", "3", "--truncate", "cat dog"});
  EXPECT_EQ(cut[0]["tokens"], json({"[CLS]", "cat", "[SEP]"}));
  EXPECT_EQ(cut[0]["truncated"], true);
  EXPECT_EQ(cut[0]["num_tokens_before_truncation"], 4);
  EXPECT_EQ(Tokenize({"--max-length", "4", "cat dog"})[0]["truncated"], false);

  std::string text;  // the model takes 64 tokens
  for (int i = 0; i < 63; ++i) text += "cat ";
  const ProgramResult whole = RunMlac({"tokenize", "-m", kVocabOnly, text});
  EXPECT_EQ(whole.status, 0);
  EXPECT_TRUE(whole.out.starts_with("65 tokens\n")) << whole.out;
  EXPECT_EQ(whole.error, "1 of 1 texts is longer than the 64 tokens that the model takes (tokenizer_config.json)\n");
  EXPECT_TRUE(RunMlac({"tokenize", "-m", kVocabOnly, "--truncate", text}).out.starts_with("64 tokens, cut from 65\n"));
}

TEST(Tokenize, ShowsWhatATextWouldDoToTheTerminal) {
  const std::string out = RunMlac({"tokenize", "-m", kVocabOnly, "\x1b[2J"}).out;
  EXPECT_EQ(out.find('\x1b'), std::string::npos) << out;
}

TEST(Tokenize, BadInputIsOneLineAndAHint) {
  ExpectFailure(RunMlac({"tokenize", "-m", "./none", "x"}), 1,
                "mlac: ./none: there is no such folder\nhint: a model is a folder with config.json and model.safetensors\n");
  ExpectFailure(RunMlac({"tokenize", "x"}), 2, "mlac: tokenize: --model is required\nhint: 'mlac help tokenize' shows what it takes\n");
  ExpectFailure(RunMlac({"tokenize", "-m", kVocabOnly, "--max-length", "three", "x"}), 2,
                "mlac: tokenize: --max-length: expected a whole number of at least 1, found 'three'\nhint: 'mlac help tokenize' "
                "shows what it takes\n");
  ExpectFailure(RunMlac({"tokenize", "-m", kVocabOnly, "-x is a flag"}), 2,
                "mlac: tokenize: there is no option '-x is a flag'\nhint: a text that begins with a dash stands behind '--'\n");
  ExpectFailure(RunMlac({"tokenize", "-m", kVocabOnly, "--file", "in.txt", "x"}), 2, "mlac: texts and --file were given\nhint: one of the two\n");
}

TEST(Tokenize, AnEarlyEndOfTheReaderIsQuiet) {
  const std::string many(1 << 20, '\n');
  const ProgramResult result = RunMlac({"tokenize", "-m", kVocabOnly}, {.in = many, .close_out = true});
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.status, 128 + 13);
}

TEST(Inspect, SaysWhatAClassifierIs) {
  const ProgramResult result = RunMlac({"inspect", kClassifier, "--json"});
  ASSERT_EQ(result.status, 0) << result.error;
  const json found = json::parse(result.out);
  EXPECT_EQ(found["config"]["model_type"], "bert");
  EXPECT_EQ(found["labels"], json({"negative", "neutral", "positive"}));
  EXPECT_EQ(found["tasks"], json({"feature-extraction", "sentence-similarity", "text-classification"}));
  EXPECT_EQ(found["max_length"], 64);
  size_t num_parameters = 0;
  for (const json& tensor : found["weights"]["tensors"]) {
    size_t product = 1;
    for (const json& dimension : tensor["shape"]) product *= dimension.get<size_t>();
    num_parameters += product;
  }
  EXPECT_EQ(found["weights"]["num_parameters"], num_parameters);  // all are F32
  EXPECT_EQ(found["weights"]["num_bytes"], 4 * num_parameters);
  EXPECT_GT(found["peak_memory_bytes"].get<size_t>(), 4 * num_parameters);
}

TEST(Inspect, OptionAndArgumentGiveTheSameAndTensorsListsAll) {
  const ProgramResult few = RunMlac({"inspect", kClassifier}), all = RunMlac({"inspect", "--tensors", "-m", kClassifier});
  EXPECT_NE(few.out.find("\n  and 33 more: --tensors shows all\n"), std::string::npos) << few.out;
  EXPECT_EQ(all.out.find("--tensors"), std::string::npos);
  EXPECT_EQ(std::count(all.out.begin(), all.out.end(), '\n') - std::count(few.out.begin(), few.out.end(), '\n'), 33 - 1);
  EXPECT_EQ(few.out.substr(0, few.out.find("memory")), all.out.substr(0, all.out.find("memory")));
}

TEST(Inspect, RefusesABrokenFolderInOneLine) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(kClassifier, folder / "model");
  folder.Write("model/config.json", R"({"model_type": "bret", "architectures": ["BretModel"]})");
  const ProgramResult result = RunMlac({"inspect", folder / "model"});
  ExpectFailure(result, 1, "mlac: " + (folder / "model") + "/config.json: model_type 'bret' is not known; known are bert, mpnet, electra, distilbert\n");
}

}  // namespace
}  // namespace mlac
