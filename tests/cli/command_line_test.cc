// The frame of the program, through the real binary: statuses, messages, help, completion.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace mlac {
namespace {

void ExpectFailure(const ProgramResult& result, int status, const std::string& error) {
  EXPECT_EQ(result.status, status);
  EXPECT_EQ(result.error, error);
  EXPECT_EQ(result.out, "");
}

// The commands that the help lists.
std::vector<std::string> Commands() {
  const std::string help = RunMlac({}).out;
  std::istringstream lines(help.substr(help.find("Commands:\n")));
  std::vector<std::string> names;
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line) && !line.empty()) names.push_back(line.substr(2, line.find(' ', 2) - 2));
  return names;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

TEST(CommandLine, AloneItPrintsHelpAndSucceeds) {
  const ProgramResult alone = RunMlac({}), asked = RunMlac({"--help"}), command = RunMlac({"help"});
  EXPECT_EQ(alone.status, 0);
  EXPECT_NE(alone.out.find("Usage: mlac [options] [command]"), std::string::npos) << alone.out;
  EXPECT_EQ(alone.out, asked.out);
  EXPECT_EQ(alone.out, command.out);
  EXPECT_EQ(alone.error, "");
}

TEST(CommandLine, EveryCommandHasHelpWithAnExampleOfItself) {
  const std::vector<std::string> names = Commands();
  ASSERT_GE(names.size(), 3u);
  for (const std::string& name : names) {
    const ProgramResult help = RunMlac({"help", name}), flag = RunMlac({name, "--help"});
    EXPECT_EQ(help.status, 0) << name;
    EXPECT_NE(help.out.find("Usage: mlac " + name), std::string::npos) << help.out;
    EXPECT_NE(help.out.find("Example:\n"), std::string::npos) << help.out;
    EXPECT_NE(help.out.find("mlac " + name, help.out.find("Example:")), std::string::npos) << help.out;
    EXPECT_EQ(help.out, flag.out);
  }
}

TEST(CommandLine, NoLineOfHelpIsWiderThanATerminal) {
  for (const std::string& name : Commands()) {
    std::istringstream lines(RunMlac({"help", name}).out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 132u) << line;
  }
}

TEST(CommandLine, AWrongWordIsOneLineAHintAndStatusTwo) {
  ExpectFailure(RunMlac({"evn"}), 2, "mlac: there is no command 'evn'\nhint: did you mean 'env'?\n");
  ExpectFailure(RunMlac({"frobnicate"}), 2, "mlac: there is no command 'frobnicate'\nhint: there are " + Joined(Commands()) + "\n");
  ExpectFailure(RunMlac({"--versoin"}), 2, "mlac: there is no option '--versoin'\nhint: did you mean '--version'?\n");
  ExpectFailure(RunMlac({"env", "--jsn"}), 2, "mlac: env: there is no option '--jsn'\nhint: did you mean '--json'?\n");
  ExpectFailure(RunMlac({"env", "--jsn=x"}), 2, "mlac: env: there is no option '--jsn'\nhint: did you mean '--json'?\n");
  ExpectFailure(RunMlac({"env", "x]"}), 2, "mlac: env: 'x]' is one argument too many\nhint: 'mlac help env' shows what it takes\n");
  ExpectFailure(RunMlac({"help", "completoin"}), 2, "mlac: help: there is no command 'completoin'\nhint: did you mean 'completion'?\n");
  ExpectFailure(RunMlac({"completion"}), 2, "mlac: completion: shell is required\nhint: 'mlac help completion' shows what it takes\n");
  ExpectFailure(RunMlac({"completion", "csh"}), 2,
                "mlac: completion: shell: csh not in {bash,zsh,fish}\nhint: 'mlac help completion' shows what it takes\n");
}

TEST(CommandLine, NamesThatPeopleBringAlongLeadToThoseHere) {
  const auto hint = [](const std::vector<std::string>& arguments, const std::string& message, const std::string& hint) {
    ExpectFailure(RunMlac(arguments), 2, "mlac: " + message + "\nhint: " + hint + "\n");
  };
  const std::vector<std::pair<std::string, std::string>> tasks = {
      {"search", "sentence-similarity' with --query"},
      {"embed", "feature-extraction'"},
      {"embeddings", "feature-extraction'"},
      {"classify", "text-classification'"},
      {"similarity", "sentence-similarity'"},
      {"rerank", "text-ranking'"},
      {"ner", "token-classification'"},
      {"qa", "question-answering'"},
      {"sentiment-analysis", "text-classification'"},
  };
  for (const auto& [word, task] : tasks)
    hint({"run", word, "-m", "none", "x"}, "run: there is no task '" + word + "'", "did you mean '" + task + "?");
  hint({"train", "ner", "-m", "none"}, "train: there is no task 'ner'", "did you mean 'token-classification'?");
  hint({"embed", "x"}, "there is no command 'embed'", "did you mean 'mlac run feature-extraction'?");
  hint({"run", "text-classification", "-m", "none", "--device", "cuda", "x"}, "run text-classification: there is no option '--device'",
       "mlac computes on the processor; there is no device to choose");
  for (const char* option : {"--learning-rate", "--learning_rate=1"})
    hint({"train", "text-classification", option},
         "train text-classification: there is no option '" + std::string(option).substr(0, 15) + "'", "did you mean '--lr'?");
  hint({"env", "--learning-rate"}, "env: there is no option '--learning-rate'",
       "'mlac help env' shows what it takes");  // which has no --lr
}

TEST(CommandLine, ATaskThatWasForgottenIsAskedFor) {
  for (const char* command : {"run", "train"}) {
    const ProgramResult result = RunMlac({command, "-m", "minilm", "--data", "train.csv"});
    EXPECT_EQ(result.status, 2);
    EXPECT_TRUE(result.error.starts_with(std::string("mlac: ") + command + ": which task?\nhint: it stands first; there are "))
        << result.error;
  }
  ExpectFailure(RunMlac({"run", "-m", "minilm", "sentence-similarity", "a", "b"}), 2,
                "mlac: run: '-m' stands before the task\nhint: 'mlac run sentence-similarity -m ...'\n");
}

TEST(CommandLine, AnOptionGivenTwiceIsSaidPlainly) {
  const std::string hint = "\nhint: 'mlac help run text-classification' shows what it takes\n";
  ExpectFailure(RunMlac({"run", "text-classification", "-m", "none", "--max-length", "3", "--max-length", "4", "x"}), 2,
                "mlac: run text-classification: --max-length was given 2 times; expected once" + hint);
  ExpectFailure(RunMlac({"run", "text-classification", "-m", "none", "-m", "none", "-m", "none", "x"}), 2,
                "mlac: run text-classification: --model was given 3 times; expected once" + hint);
}

TEST(CommandLine, AnErrorOfTheLibraryIsOneLineAndStatusOne) {
  ExpectFailure(RunMlac({"env"}, {.environment = {"MLAC_ISA=avx9"}}), 1,
                "mlac: MLAC_ISA is 'avx9', which is none of scalar, avx2, avxvnni, avx512, amx, neon\n");
}

TEST(CommandLine, ASecretThatWouldEndALineOfARequestIsRefusedAndNotShown) {
  const std::vector<std::string> train = {"train", "text-classification", "-m", "none", "--data", "none.csv", "--out", "none-out"};
  for (const char* name : {"MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN"}) {
    const std::string uri = "MLFLOW_TRACKING_URI=http://127.0.0.1:1", value = std::string(name) + "=http://canary\r\nx: y";
    ExpectFailure(RunMlac(train, {.environment = {uri, value}}), 1,
                  std::string("mlac: ") + name + ": its value holds a control character\nhint: perhaps a line break at its end\n");
  }
}

TEST(CommandLine, AClosedPipeEndsItQuietly) {
  const ProgramResult result = RunMlac({"completion", "zsh"}, {.close_out = true});
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.status, 128 + 13);  // by SIGPIPE, as cat and grep
}

TEST(CommandLine, OutputThatCannotBeWrittenIsAnError) {
  ExpectFailure(RunMlac({"env"}, {.out_path = "/dev/full"}), 1, "mlac: standard output: cannot write: No space left on device\n");
}

TEST(CommandLine, VersionIsThatOfTheProject) {
  const ProgramResult result = RunMlac({"--version"});
  EXPECT_EQ(result.status, 0);
  unsigned major = 0, minor = 0, patch = 0;
  char end = 0;
  EXPECT_EQ(std::sscanf(result.out.c_str(), "mlac %u.%u.%u%c", &major, &minor, &patch, &end), 4);
  EXPECT_EQ(end, '\n');
}

TEST(CommandLine, NothingIsColouredOutsideATerminal) {
  EXPECT_EQ(RunMlac({"--help"}).out.find('\033'), std::string::npos);
  EXPECT_EQ(RunMlac({"evn"}).error.find('\033'), std::string::npos);
}

TEST(Env, JsonHoldsWhatABugReportNeeds) {
  const ProgramResult result = RunMlac({"env", "--json"});
  ASSERT_EQ(result.status, 0) << result.error;
  const nlohmann::json env = nlohmann::json::parse(result.out);
  for (const char* key : {"version", "build_type", "compiler", "operating_system", "kernel", "architecture", "instruction_set_in_use"})
    EXPECT_FALSE(env.at(key).get<std::string>().empty()) << key;
  EXPECT_GE(env.at("usable_cores").get<int>(), 1);
  EXPECT_LE(env.at("usable_cores").get<int>(), env.at("cores").get<int>());
  EXPECT_GT(env.at("memory_bytes").get<uint64_t>(), env.at("available_memory_bytes").get<uint64_t>());
  for (const char* library :
       {"Boost", "CLI11", "fmt", "Highway", "nlohmann_json", "OpenSSL", "PCRE2", "prometheus-cpp", "simdjson", "yaml-cpp"})
    EXPECT_TRUE(std::isdigit(static_cast<unsigned char>(env.at("libraries").at(library).get<std::string>().at(0)))) << library;
}

TEST(Env, ShowsNoValueOfAVariableThatMayBeSecret) {
  const ProgramOptions options = {.environment = {"MLAC_API_KEY=canary-1", "MLAC_ISA=avx2", "HF_TOKEN=canary-2"}};
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"env"}, {"env", "--json"}}) {
    const std::string out = RunMlac(arguments, options).out;
    EXPECT_EQ(out.find("canary"), std::string::npos) << out;
    EXPECT_NE(out.find("MLAC_API_KEY"), std::string::npos) << out;
    EXPECT_NE(out.find("avx2"), std::string::npos) << out;
  }
}

TEST(Env, ObeysOmpNumThreads) {
  const auto threads = [](const std::string& value) {
    return nlohmann::json::parse(RunMlac({"env", "--json"}, {.environment = {"OMP_NUM_THREADS=" + value}}).out).at("threads").get<int>();
  };
  EXPECT_EQ(threads("3"), 3);
  EXPECT_EQ(threads("5,2"), 5);
  EXPECT_GE(threads("many"), 1);
}

// What bash offers for the line; the last word is the one under the cursor.
std::string Completed(const std::string& words) {
  const std::string script = "source <(" MLAC_BINARY " completion bash); COMP_WORDS=(" + words +
                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _mlac; echo \"${COMPREPLY[*]}\"";
  return RunProgram({"bash", "-uec", script}).out;
}

TEST(Completion, BashOffersCommandsOptionsAndValues) {
  EXPECT_EQ(Completed("mlac en"), "env\n");
  EXPECT_EQ(Completed("mlac env --j"), "--json\n");
  EXPECT_EQ(Completed("mlac completion z"), "zsh\n");
  EXPECT_EQ(Completed("mlac help comp"), "completion\n");
  EXPECT_EQ(Completed("mlac env nothing"), "\n");
  EXPECT_EQ(Completed("mlac help run text-c"), "text-classification\n");
  EXPECT_EQ(Completed("mlac run text-classification --dtype ''"), "f32 bf16\n");
  EXPECT_EQ(Completed("mlac run text-classification --dtype f32 --trunc"), "--truncate\n");
  EXPECT_EQ(Completed("mlac run text-classification --json --trunc"), "--truncate\n") << "no value stands behind a flag";
  for (const char* option : {"-m", "--model", "--file", "--threads"})  // a file or a number is due
    EXPECT_EQ(Completed(std::string("mlac run text-classification ") + option + " ''"), "\n") << option;
  const std::string all = Completed("mlac ''");
  for (const std::string& name : Commands()) EXPECT_NE(all.find(name), std::string::npos) << name;
}

TEST(Completion, ScriptsOfEveryShellParseWhereTheShellIsHere) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const ProgramResult script = RunMlac({"completion", shell});
    ASSERT_EQ(script.status, 0);
    if (RunProgram({"which", shell}).status != 0) continue;
    const ProgramResult parsed = RunProgram({shell, "-n", "/dev/stdin"}, {.in = script.out});
    EXPECT_EQ(parsed.status, 0) << shell << ": " << parsed.error;
  }
}

TEST(ManPage, NamesEveryCommand) {
  const std::string page = RunMlac({"help", "--man"}).out;
  for (const std::string& name : Commands()) EXPECT_NE(page.find(".SS \"mlac " + name + "\""), std::string::npos) << name;
  EXPECT_EQ(page.find("\\fI\\fR"), std::string::npos) << "the name of no value";
}

}  // namespace
}  // namespace mlac
