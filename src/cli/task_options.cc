#include "cli/task_options.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "base/display.h"
#include "cli/command.h"
#include "cli/number_options.h"

namespace mlac {
namespace {

// "a, b,c" to {"a", "b", "c"}.
std::vector<std::string> SplitList(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return items;
}

template <typename Value>
Value Choose(const char* flag, const std::string& found, const std::map<std::string, Value>& known) {
  if (const auto value = known.find(found); value != known.end()) return value->second;
  std::vector<std::string> names;
  for (const auto& [name, value] : known) names.push_back(name);
  throw UsageError(fmt::format("{} is '{}'", flag, found), HintForUnknown(found, names));
}

// may_search: a query, where there is one, has the prompt alone.
void AddPromptOptions(Command command, TaskOptions& task, bool may_search) {
  const std::string where = may_search ? "before each text, or before --query alone" : "before each text";
  command.AddOption("--prompt-name", task.prompt_name, "Put this prompt of the model ('query') " + where + "; else its default")
      .Type("NAME");
  command.AddTextOption("--prompt", task.prompt, "Put this text " + where + "; \"\": none").Type("TEXT");
}

void AddQuestionOptions(Command command, TaskCommandOptions& options) {
  command.AddOption("--question", options.question, "The question about the texts that are given as arguments").Type("TEXT");
  command.AddOption("--question-column", options.question_column, "The column of questions in --file").Type("NAME").ShowDefault();
  command.AddOption("--context-column", options.context_column, "The column of contexts in --file").Type("NAME").ShowDefault();
  WholeNumber(command.AddOption("--max-answer-len", options.task.max_answer_length, "Tokens that an answer may have")
                  .Type("N")
                  .ShowDefault(),
              1);
  WholeNumber(
      command.AddOption("--max-seq-len", options.task.window, "Tokens of a window, question included; else 384, or the model's limit")
          .Type("N"),
      1);
  WholeNumber(
      command.AddOption("--doc-stride", options.task.doc_stride, "Tokens that two windows share; else 128, or half a window; 0: none")
          .Type("N"),
      0);
  command.AddFlag("--handle-impossible-answer", options.task.handle_impossible_answer, "The text may hold no answer: it is then \"\"");
  command.AddFlag("--no-align-to-words", options.no_align, "An answer may begin or end within a word (languages without spaces)");
}

void AddZeroShotOptions(Command command, TaskCommandOptions& options) {
  command.AddOption("--labels", options.labels, "Your labels, with commas between them").Required().Type("A,B,...");
  command.AddOption("--hypothesis-template", options.task.hypothesis_template, "The sentence that the label is put into, in place of {}")
      .Type("TEXT")
      .ShowDefault();
  command.AddFlag("--multi-label", options.task.multi_label, "Each label by itself: several may be right, or none");
}

void AddTokenOptions(Command command, TaskCommandOptions& options) {
  command
      .AddOption("--aggregation-strategy", options.aggregation,
                 "How tokens are joined: none, simple, first, average or max; first is simple with whole words")
      .Type("NAME");
  WholeNumber(
      command.AddOption("--stride", options.task.stride, "Read longer texts through windows that share N tokens; 0: none").Type("N"),
      0);
  command.AddOption("--ignore-labels", options.ignore_labels, "Labels that are not shown; else O").Type("A,B,...");
}

}  // namespace

void AddTaskOptions(Command command, const TaskInfo& info, TaskCommandOptions& options, TextInputOptions& input) {
  if (info.input == TaskInput::kTextsOrPairs) {
    command.AddOption("--text-pair", input.pair, "A second text that each text is read together with").Type("TEXT");
    command.AddOption("--text-pair-column", input.pair_column, "The column of second texts in --file").Type("NAME");
  }
  const auto top_k = [&](const char* description) { command.AddOption("--top-k", options.top_k, description).Type("K"); };
  if (info.name == "feature-extraction") command.AddFlag("--tokens", options.task.tokens, "One vector a token instead of one a text");
  if (info.name == "feature-extraction" || info.name == "sentence-similarity")
    AddPromptOptions(command, options.task, info.name == "sentence-similarity");
  if (info.name == "sentence-similarity") {
    command.AddOption("--query", options.task.query, "Search: sort the texts by how near they are to this one, numbered from 0")
        .Type("TEXT");
    top_k("With --query: the nearest K texts alone, or 'all'");
  }
  if (info.name == "text-classification") {
    top_k("The best K labels of each text, or 'all'");
    const Option threshold = command.AddOption("--threshold", options.task.threshold,
                                               "The labels with a score above X, perhaps none; else the best, or of several those above 0.5");
    RealNumber(threshold.Type("X"), 0, 1);
    command
        .AddOption("--function-to-apply", options.function,
                   "softmax, sigmoid or none of the logits; else as config.json's problem_type says")
        .Type("NAME");
  }
  if (info.name == "fill-mask") {
    top_k("The best K words for each mask, or 'all'; else 5");
    command.AddOption("--targets", options.targets, "The only words to choose among, with commas between them").Type("A,B,...");
  }
  if (info.name == "question-answering") {
    top_k("The best K answers; else 1");
    AddQuestionOptions(command, options);
  }
  if (info.name == "text-ranking") {
    command.AddOption("--query", options.task.query, "What the texts are compared with").Required().Type("TEXT");
    top_k("The best K texts alone, or 'all'");
    command.AddFlag("--raw-scores", options.task.raw_scores, "Logits instead of numbers from 0 to 1");
  }
  if (info.name == "token-classification") AddTokenOptions(command, options);
  if (info.name == "zero-shot-classification") AddZeroShotOptions(command, options);
}

void TaskCommandOptions::Resolve(Command command, const TaskInfo& info, TextInputOptions& input) {
  if (task.prompt && task.prompt_name) throw UsageError("--prompt and --prompt-name were given", "one of the two");
  const auto given = [&](const char* name) { return command.Given(name); };
  const bool may_search = info.name == "sentence-similarity";
  if (may_search && given("--query") && task.query.empty()) throw UsageError("--query is empty", "it is what the texts are compared with");
  if (may_search && given("--top-k") && task.query.empty())
    throw UsageError("--top-k needs --query", "without it the first text is compared with each other one, in their order");
  if (given("--top-k")) {
    const bool takes_all = info.name != "question-answering";
    const std::optional<uint64_t> k = takes_all && top_k == "all" ? std::optional<uint64_t>(0) : ParseWholeNumber(top_k, 1);
    if (!k)
      throw UsageError(fmt::format("--top-k: expected {}{}, found '{}'", ExpectedWholeNumber(top_k, 1), takes_all ? ", or 'all'" : "",
                                   Printable(top_k, 40)));
    task.top_k = *k;
  }
  if (!function.empty())
    task.function_to_apply =
        Choose<ScoreFunction>("--function-to-apply", function,
                              {{"softmax", ScoreFunction::kSoftmax}, {"sigmoid", ScoreFunction::kSigmoid}, {"none", ScoreFunction::kNone}});
  if (!aggregation.empty())
    task.aggregation = Choose<Aggregation>("--aggregation-strategy", aggregation,
                                           {{"none", Aggregation::kNone},
                                            {"simple", Aggregation::kSimple},
                                            {"first", Aggregation::kFirst},
                                            {"average", Aggregation::kAverage},
                                            {"max", Aggregation::kMax}});
  if (task.stride && task.aggregation == Aggregation::kNone) throw UsageError("--stride needs an --aggregation-strategy other than none");
  if (!ignore_labels.empty()) task.ignore_labels = SplitList(ignore_labels);
  task.align_to_words = !no_align;
  task.candidate_labels = SplitList(labels);
  if (given("--targets")) task.targets = SplitList(targets);
  if (info.input == TaskInput::kQuestionsWithContexts && input.file.empty()) {
    if (question.empty()) throw UsageError("which question?", "--question TEXT, or --file with a column of questions and one of contexts");
    if (input.texts.empty())
      throw UsageError("which text holds the answer?", "give it as an argument, or --file with questions and contexts");
  } else if (info.input == TaskInput::kQuestionsWithContexts) {
    if (!question.empty()) throw UsageError("--question and --file were given", "one of the two");
    if (given("--text-column"))
      throw UsageError("--text-column does nothing here", "--question-column and --context-column name the columns");
    input.text_column = question_column;
    input.pair_column = context_column;
    input.column_hint = "--question-column and --context-column name the columns";
  }
  if (info.input == TaskInput::kTextsOrPairs) input.column_hint = "--text-column and --text-pair-column name the columns";
  if (!input.pair.empty() && !input.file.empty())
    throw UsageError("--text-pair and --file were given", "--text-pair-column names a column of --file");
}

std::string ExampleOf(std::string_view task) {
  static const std::map<std::string_view, std::string> kExamples = {
      {"feature-extraction", "mlac run feature-extraction -m ./all-MiniLM-L6-v2 --file texts.txt --json"},
      {"fill-mask", "mlac run fill-mask -m ./distilbert-base-uncased \"Paris is the [MASK] of France.\" --top-k 3"},
      {"question-answering",
       "mlac run question-answering -m ./distilbert-squad --question \"Where do I live?\" \"My name is Wolfgang and I live in Berlin\"\n"
       "mlac run question-answering -m ./distilbert-squad --file questions.csv --json"},
      {"sentence-similarity",
       "mlac run sentence-similarity -m ./all-MiniLM-L6-v2 \"how do I reset my password\" \"I forgot my login\" \"nice weather\"\n"
       "mlac run sentence-similarity -m ./all-MiniLM-L6-v2 --query \"how do I reset my password\" --file answers.txt --top-k 3"},
      {"text-classification",
       "mlac run text-classification -m ./topics \"a large striped cat of the jungle\"\nmlac run text-classification -m ./topics --file "
       "in.csv --json\nmlac run text-classification -m ./topics --file in.csv --out answers.csv"},
      {"text-ranking", "mlac run text-ranking -m ./cross-encoder --query \"how many people live in Berlin\" --file passages.txt --top-k 3"},
      {"token-classification",
       "mlac run token-classification -m ./ner \"My name is Sarah and I live in London\" --aggregation-strategy simple"},
      {"zero-shot-classification",
       "mlac run zero-shot-classification -m ./nli \"one day I will see the world\" --labels \"travel, cooking, dancing\""},
  };
  return kExamples.at(task);
}

}  // namespace mlac
