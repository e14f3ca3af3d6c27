#include "project/model_tests.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <type_traits>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "project/text_pattern.h"

namespace mlac {
namespace {

using Shape = ValueShape;

constexpr uint64_t kMostTestRows = uint64_t{1} << 40;
constexpr double kGreatest = 1e12;

// clang-format off
constexpr std::string_view kForPairs = "text-classification with data.text_pair", kForNumbers = "text-classification with train.regression",
                           kForQuestions = "question-answering", kForSearch = "sentence-similarity, text-ranking";

template <typename T>
constexpr Key<T> kQuestionKey = {{"question", Shape::kText, "What is asked of the text", "", false, "", kForQuestions},
                                 [](const YamlValue& v, T& t) { t.beside.question = v.Text(); }};
template <typename T>
constexpr Key<T> kPairKey = {{"text_pair", Shape::kText, "The second text, which the text is read together with", "", false, "", kForPairs},
                             [](const YamlValue& v, T& t) { t.beside.pair = v.Text(); }};

constexpr Key<ExampleTest> kExampleKeys[] = {
    {{"text", Shape::kTextOrTexts, "A text, or several; of fill-mask with [MASK] for the word that is missing", "", true},
     [](const YamlValue& v, ExampleTest& t) { t.texts = v.Texts(); }},
    kQuestionKey<ExampleTest>,
    kPairKey<ExampleTest>,
    {{"expect", Shape::kTextOrTexts, "The answer that it must get: a label or several, a number, entities, a part of the text, a word; the tasks below say "
      "which", "", true},
     [](const YamlValue& v, ExampleTest& t) { t.expect = fmt::format("{}", fmt::join(v.Texts(), "; ")); }},
    {{"within", Shape::kNumber, "How far the number may be from what is expected", "", false, "", kForNumbers},
     [](const YamlValue& v, ExampleTest& t) { t.within = v.Number(0, kGreatest); }},
    {{"min", Shape::kShare, "Share of the texts that must get it, where not all have to", "all of them"},
     [](const YamlValue& v, ExampleTest& t) { t.min_share = v.Share(); }},
    {{"min_probability", Shape::kNumber, "The probability that it must have", "any"},
     [](const YamlValue& v, ExampleTest& t) { t.min_probability = v.Number(0, 1); }},
};

constexpr std::string_view kChanges[] = {"typos", "case", "names", "synonyms"}, kDirections[] = {"rise", "fall"};

constexpr Key<InvarianceTest> kInvarianceKeys[] = {
    {{"change", Shape::kText, "What is done to the texts: typos (two neighbouring letters of a word change places), case (upper case, lower case), "
      "names or synonyms (a word of a list becomes another one of it). Of questions, queries and pairs of texts the first is changed", "", true, "", "",
      kChanges},
     [](const YamlValue& v, InvarianceTest& t) { t.change = v.OneOf(kChanges); }},
    {{"text", Shape::kTextOrTexts, "A text, or several", "rows of the test data"}, [](const YamlValue& v, InvarianceTest& t) { t.texts = v.Texts(); }},
    kQuestionKey<InvarianceTest>,
    kPairKey<InvarianceTest>,
    {{"within", Shape::kNumber, "How far the number may move and still count as the same", "", false, "", kForNumbers},
     [](const YamlValue& v, InvarianceTest& t) { t.within = v.Number(0, kGreatest); }},
    {{"rows", Shape::kInteger, "Rows of the test data, the first to which the change applies", "200"},
     [](const YamlValue& v, InvarianceTest& t) { t.num_rows = v.Integer(1, kMostTestRows); }},
    {{"lists", Shape::kTextLists, "Words that stand for one another: of names one list, of synonyms one a meaning", "a list of first names, for names"},
     [](const YamlValue& v, InvarianceTest& t) {
       for (const YamlValue& item : v.Items()) {
         t.lists.push_back(item.Texts());
         if (t.lists.back().size() < 2) item.Throw("expected at least two words");
       }
     }},
    {{"min", Shape::kShare, "Share of the texts whose answer must stay, where not all have to", "all of them"},
     [](const YamlValue& v, InvarianceTest& t) { t.min_share = v.Share(); }},
    {{"seed", Shape::kInteger, "Decides which letters change places", "0"}, [](const YamlValue& v, InvarianceTest& t) { t.seed = v.Integer(0, UINT64_MAX); }},
};

constexpr Key<RankingTest> kRankingKeys[] = {
    {{"query", Shape::kText, "A text that is looked for", "", true}, [](const YamlValue& v, RankingTest& t) { t.query = v.Text(); }},
    {{"best", Shape::kTextOrTexts, "What must be found first: a text, or several", "", true}, [](const YamlValue& v, RankingTest& t) { t.best = v.Texts(); }},
    {{"others", Shape::kTextOrTexts, "What must come behind", "", true}, [](const YamlValue& v, RankingTest& t) { t.others = v.Texts(); }},
};

constexpr Key<DirectionalTest> kDirectionalKeys[] = {
    {{"text", Shape::kText, "A text", "", true}, [](const YamlValue& v, DirectionalTest& t) { t.text = v.Text(); }},
    {{"add", Shape::kText, "What is put behind it"}, [](const YamlValue& v, DirectionalTest& t) { t.add = v.Text(); }},
    {{"replace", Shape::kText, "What in it is replaced"}, [](const YamlValue& v, DirectionalTest& t) { t.from = v.Text(); }},
    {{"with", Shape::kText, "What it is replaced with"}, [](const YamlValue& v, DirectionalTest& t) { t.to = v.TextOrEmpty(); }},
    kQuestionKey<DirectionalTest>,
    kPairKey<DirectionalTest>,
    {{"query", Shape::kText, "What the text is to answer, or to be near to", "", false, "", kForSearch},
     [](const YamlValue& v, DirectionalTest& t) { t.beside.query = v.Text(); }},
    {{"label", Shape::kText, "The label whose probability is looked at; of other tasks the entity, as \"PER: Ann Lee\", the answer, the word for [MASK]. Not "
      "where there is one score alone: of a regression the number, of a query how well the text answers it or how near it is"},
     [](const YamlValue& v, DirectionalTest& t) { t.label = v.Text(); }},
    {{"must", Shape::kText, "rise or fall", "", true, "", "", kDirections},
     [](const YamlValue& v, DirectionalTest& t) {
       t.rises = v.OneOf(kDirections) == "rise";
     }},
    {{"by", Shape::kNumber, "By at least so much", "0"}, [](const YamlValue& v, DirectionalTest& t) { t.by = v.Number(0, kGreatest); }},
};

constexpr Key<SliceTest> kSliceKeys[] = {
    {{"name", Shape::kText, "What the part is called", "", true}, [](const YamlValue& v, SliceTest& t) { t.name = v.Text(); }},
    {{"column", Shape::kText, "A column of the test data, where they have such"}, [](const YamlValue& v, SliceTest& t) { t.column = v.Text(); }},
    {{"equals", Shape::kTextOrTexts, "Its value, or several; of a list one of its items"}, [](const YamlValue& v, SliceTest& t) { t.equals = v.Texts(); }},
    {{"min_length", Shape::kInteger, "Texts with at least so many characters"},
     [](const YamlValue& v, SliceTest& t) { t.min_length = v.Integer(0, kMostTestRows); }},
    {{"max_length", Shape::kInteger, "Texts with at most so many characters"},
     [](const YamlValue& v, SliceTest& t) { t.max_length = v.Integer(0, kMostTestRows); }},
    {{"matches", Shape::kText, "Texts in which this regular expression (PCRE) is found"},
     [](const YamlValue& v, SliceTest& t) {
       t.matches = v.Text();
       try {
         const TextPattern pattern(t.matches);
       } catch (const Error& error) {
         v.Throw(error.message(), error.hint());
       }
     }},
    {{"metric", Shape::kText, "A figure of the task, but for the loss", "its first"}, [](const YamlValue& v, SliceTest& t) { t.metric = v.Text(); }},
    {{"min", Shape::kShare, "What it must be at least"}, [](const YamlValue& v, SliceTest& t) { t.min = v.Share(); }},
    {{"max", Shape::kNumber, "What it may be at most, as of an error"}, [](const YamlValue& v, SliceTest& t) { t.max = v.Number(0, kGreatest); }},
};

constexpr Key<LatencyTest> kLatencyKeys[] = {
    {{"tokens", Shape::kInteger, "Tokens of the sequence", "", true}, [](const YamlValue& v, LatencyTest& t) { t.num_tokens = v.Integer(1, 1'000'000); }},
    {{"p50", Shape::kDuration, "The median may be at most so long"}, [](const YamlValue& v, LatencyTest& t) { t.p50_ms = v.Milliseconds(); }},
    {{"p99", Shape::kDuration, "Of a hundred passes one may be longer"}, [](const YamlValue& v, LatencyTest& t) { t.p99_ms = v.Milliseconds(); }},
};

// clang-format on
template <typename T, size_t kCount>
void ReadList(const YamlValue& value, const Key<T> (&keys)[kCount], std::vector<T>& list,
              std::type_identity_t<void (*)(const YamlValue& item, T& test)> check) {
  if (value.Items().empty()) value.Throw("expected at least one test, found an empty list");
  for (const YamlValue& item : value.Items()) {
    T test;
    ReadSection(item, keys, test);
    check(item, test);
    list.push_back(std::move(test));
  }
}

void CheckInvariance(const YamlValue& item, InvarianceTest& test) {
  if (!test.beside.question.empty() && test.texts.empty()) item.Throw("'question' stands together with 'text', which it is asked of");
  if (!test.beside.pair.empty() && test.texts.empty()) item.Throw("'text_pair' stands together with 'text', which is read with it");
  if (test.change == "synonyms" && test.lists.empty())
    item.Throw("the key 'lists' is missing (a list of lists of texts)", "lists: [[big, large], [fast, quick]]");
  for (const auto& [key, value] : item.Entries()) {
    if (key == "rows" && !test.texts.empty()) value.Throw("is of the test data, and 'text' is there in their place");
    if (key == "seed" && test.change != "typos") value.Throw(fmt::format("is for typos; this is {}", test.change));
  }
  if (!test.lists.empty() && test.change != "synonyms" && test.change != "names")
    item.Throw(fmt::format("'lists' is for names and synonyms; this is {}", test.change));
}

void CheckDirectional(const YamlValue& item, DirectionalTest& test) {
  if (test.add.empty() == test.from.empty()) item.Throw("expected one of 'add' and 'replace'");
  if (!test.to.empty() && test.from.empty()) item.Throw("'with' stands without 'replace'");
  if (!test.from.empty() && test.text.find(test.from) == std::string::npos)
    item.Throw(fmt::format("'{}' does not stand in the text", test.from));
}

void CheckSlice(const YamlValue& item, SliceTest& test) {
  test.line = item.line();
  if (test.column.empty() != test.equals.empty()) item.Throw("'column' and 'equals' stand together");
  if (test.column.empty() && !test.min_length && !test.max_length && test.matches.empty())
    item.Throw("this is all of the test data", "column and equals, min_length, max_length or matches say which part");
  if (!test.min && !test.max) item.Throw("expected 'min' or 'max'", "min: 60%");
}

void CheckLatency(const YamlValue& item, LatencyTest& test) {
  if (!test.p50_ms && !test.p99_ms) item.Throw("expected 'p50' or 'p99'", "p99: 10 ms");
}

// clang-format off
constexpr Key<ModelTests> kTestKeys[] = {
    {{"examples", Shape::kSections, "Texts with the answer that they must get", "", false, "examples[]"},
     [](const YamlValue& v, ModelTests& t) { ReadList(v, kExampleKeys, t.examples, [](const YamlValue&, ExampleTest&) {}); }},
    {{"rankings", Shape::kSections, "Queries with the texts that must be found before others", "", false, "rankings[]"},
     [](const YamlValue& v, ModelTests& t) { ReadList(v, kRankingKeys, t.rankings, [](const YamlValue&, RankingTest&) {}); }},
    {{"invariances", Shape::kSections, "Changes of texts that must not change the answer", "", false, "invariances[]"},
     [](const YamlValue& v, ModelTests& t) { ReadList(v, kInvarianceKeys, t.invariances, CheckInvariance); }},
    {{"directional", Shape::kSections, "Changes of a text that must make an answer more or less probable", "", false, "directional[]"},
     [](const YamlValue& v, ModelTests& t) { ReadList(v, kDirectionalKeys, t.directional, CheckDirectional); }},
    {{"slices", Shape::kSections, "Figures of a part of the test data", "", false, "slices[]"},
     [](const YamlValue& v, ModelTests& t) { ReadList(v, kSliceKeys, t.slices, CheckSlice); }},
    {{"latency", Shape::kSections, "How long one sequence may take, as the median of 5 runs", "", false, "latency[]"},
     [](const YamlValue& v, ModelTests& t) { ReadList(v, kLatencyKeys, t.latencies, CheckLatency); }},
    {{"memory", Shape::kSize, "What loading the model and answering texts may add to the memory of a process"},
     [](const YamlValue& v, ModelTests& t) { t.memory_bytes = v.Bytes(); }},
};

// clang-format on
template <typename T, size_t kCount>
SectionInfo InfoOf(std::string_view title, std::string_view description, const Key<T> (&keys)[kCount]) {
  SectionInfo section = {title, description, {}};
  for (const Key<T>& key : keys) section.keys.push_back(key.info);
  return section;
}

void AddTree(Sha256& hash, const YamlNode& node) {
  hash.AddField(fmt::format("{} {} {}", static_cast<int>(node.kind), node.entries.size(), node.items.size()));
  hash.AddField(node.text);
  for (const YamlEntry& entry : node.entries) {
    hash.AddField(entry.key);
    AddTree(hash, *entry.value);
  }
  for (const YamlNode* item : node.items) AddTree(hash, *item);
}

}  // namespace

TextInput BesideText::InputOf(const std::string& text) const {
  if (!pair.empty()) return {text, pair};
  const std::string& before = question.empty() ? query : question;
  return before.empty() ? TextInput{text, std::nullopt} : TextInput{before, text};
}

std::vector<TextInput> BesideText::InputsOf(std::span<const std::string> texts) const {
  std::vector<TextInput> inputs;
  for (const std::string& text : texts) inputs.push_back(InputOf(text));
  return inputs;
}

std::vector<std::string> ModelTests::Columns() const {
  std::vector<std::string> columns;
  for (const SliceTest& slice : slices)
    if (!slice.column.empty() && std::find(columns.begin(), columns.end(), slice.column) == columns.end()) columns.push_back(slice.column);
  return columns;
}

ModelTests ParseModelTests(std::string_view text, const std::string& name) {
  const YamlDocument document(text, name);
  ModelTests tests;
  tests.file = name;
  // A file of comments, as 'mlac init' writes it, tests nothing.
  if (document.root().kind != YamlNode::Kind::kNull) ReadSection(RootOf(document), kTestKeys, tests);
  Sha256 hash;
  AddTree(hash, document.root());
  tests.hash = hash.Finish();
  return tests;
}

ModelTests ReadModelTests(const std::string& path, const std::string& name) {
  return ParseModelTests(ReadFile(path, YamlLimits{}.max_bytes + 1), name);
}

std::vector<SectionInfo> ModelTestSections() {
  return {
      InfoOf("", "The file that `tests` of a model names.", kTestKeys),
      InfoOf("examples[]", "An example.", kExampleKeys),
      InfoOf("rankings[]",
             "A ranking. One of sentence-similarity goes by how near the texts' vectors are, one of text-ranking by how well they answer.",
             kRankingKeys),
      InfoOf("invariances[]", "A change that must leave the answer as it is.", kInvarianceKeys),
      InfoOf("directional[]", "A change with a direction. Either `add`, or `replace` and `with`.", kDirectionalKeys),
      InfoOf("slices[]", "A part of the test data: the rows of which all that is given holds.", kSliceKeys),
      InfoOf("latency[]", "A latency, on the machine that runs the tests.", kLatencyKeys)};
}

}  // namespace mlac
