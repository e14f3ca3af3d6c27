#include "train/answer_metrics.h"

#include <algorithm>
#include <functional>
#include <map>

#include "base/utf8.h"
#include "text/lower_case.h"
#include "text/unicode.h"
#include "train/bootstrap.h"

namespace mlac {
namespace {

bool IsPunctuation(char32_t scalar) {
  return (scalar >= '!' && scalar <= '/') || (scalar >= ':' && scalar <= '@') || (scalar >= '[' && scalar <= '`') ||
         (scalar >= '{' && scalar <= '~');
}

bool IsArticle(std::string_view word) { return word == "a" || word == "an" || word == "the"; }

// Articles are cut out of what is left between scalars that are no part of a word, which need not be white space: "the" of "the\u2013best".
std::string WithoutArticles(std::string_view text) {
  std::string kept, word;
  const auto end_word = [&] {
    kept += IsArticle(word) ? " " : word;
    word.clear();
  };
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const char32_t scalar = DecodeUtf8(text, position);
    const std::string_view bytes = text.substr(begin, position - begin);
    const uint8_t flags = PropertiesOf(scalar).flags;
    if ((flags & kWordScalar) != 0 && (flags & kNonspacingMark) == 0) {  // \w of Python's re: letters and digits, but no combining marks
      word += bytes;
      continue;
    }
    end_word();
    kept += bytes;
  }
  end_word();
  return kept;
}

double F1(const std::vector<std::string>& predicted, const std::vector<std::string>& gold) {
  if (predicted.empty() || gold.empty()) return predicted == gold ? 1 : 0;
  std::map<std::string_view, size_t> left;
  for (const std::string& word : gold) ++left[word];
  size_t num_common = 0;
  for (const std::string& word : predicted)
    if (const auto entry = left.find(word); entry != left.end() && entry->second > 0) {
      --entry->second;
      ++num_common;
    }
  if (num_common == 0) return 0;
  const double precision = static_cast<double>(num_common) / static_cast<double>(predicted.size());
  const double recall = static_cast<double>(num_common) / static_cast<double>(gold.size());
  return 2 * precision * recall / (precision + recall);
}

struct NamedMean {
  const char *name, *title;
  std::function<double(const AnswerScore&)> value;
  std::function<bool(const AnswerScore&)> counts;
};

// The mean over those of the given questions that count; 0 where none does.
double MeanOf(const NamedMean& mean, std::span<const AnswerScore> scores, std::span<const size_t> questions) {
  double sum = 0;
  size_t count = 0;
  for (const size_t q : questions)
    if (mean.counts(scores[q])) {
      sum += mean.value(scores[q]);
      ++count;
    }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace

std::vector<std::string> WordsOfAnswer(std::string_view text) {
  std::string lower = LowerCase(text);
  std::erase_if(lower, [](char c) { return IsPunctuation(static_cast<unsigned char>(c)); });
  const std::string plain = WithoutArticles(lower);
  std::vector<std::string> words;
  bool in_word = false;
  for (size_t position = 0; position < plain.size();) {
    const size_t begin = position;
    const bool is_space = PropertiesOf(DecodeUtf8(plain, position)).flags & kWhiteSpace;
    if (!is_space && !in_word) words.emplace_back();
    in_word = !is_space;
    if (in_word) words.back().append(plain, begin, position - begin);
  }
  return words;
}

AnswerScore ScoreAnswer(std::string_view predicted, std::span<const std::string> gold) {
  AnswerScore score{.has_answer = !gold.empty()};
  const std::vector<std::string> found = WordsOfAnswer(predicted);
  bool any = false;
  const auto compare = [&](const std::vector<std::string>& words) {
    any = true;
    score.exact = std::max(score.exact, found == words ? 1.0 : 0.0);
    score.f1 = std::max(score.f1, F1(found, words));
  };
  for (const std::string& answer : gold)
    if (const std::vector<std::string> words = WordsOfAnswer(answer); !words.empty()) compare(words);
  if (!any) compare({});
  return score;
}

Figures ComputeAnswerMetrics(std::span<const AnswerScore> scores, const MetricsOptions& options) {
  const auto always = [](const AnswerScore&) { return true; };
  const auto has_answer = [](const AnswerScore& score) { return score.has_answer; };
  const auto has_none = [](const AnswerScore& score) { return !score.has_answer; };
  const auto f1 = [](const AnswerScore& score) { return score.f1; };
  const auto exact = [](const AnswerScore& score) { return score.exact; };
  std::vector<NamedMean> means = {{"f1", "F1 of words", f1, always}, {"exact_match", "exact match", exact, always}};
  if (std::any_of(scores.begin(), scores.end(), has_none))
    means.insert(means.end(), {{"has_answer_f1", "F1 of questions with an answer", f1, has_answer},
                               {"has_answer_exact_match", "exact match of questions with an answer", exact, has_answer},
                               {"no_answer_exact_match", "exact match of questions without an answer", exact, has_none}});
  Figures figures;
  figures.num_examples = scores.size();
  std::vector<size_t> all(scores.size());
  for (size_t q = 0; q < all.size(); ++q) all[q] = q;
  for (const NamedMean& mean : means) figures.figures.push_back({mean.name, mean.title, MeanOf(mean, scores, all)});
  if (!options.intervals || scores.empty()) return figures;
  for (const NamedMean& mean : means) {
    RowFigure by_row = {.name = mean.name, .form = RowFigure::Form::kRatio, .num_units = scores.size(), .a = {}, .b = {}};
    for (const AnswerScore& score : scores) {
      by_row.a.push_back(mean.counts(score) ? mean.value(score) : 0);
      by_row.b.push_back(mean.counts(score) ? 1 : 0);
    }
    figures.by_row.push_back(std::move(by_row));
  }
  std::vector<std::vector<double>> values(means.size());
  const auto add = [&](std::span<const size_t> questions) {
    for (size_t m = 0; m < means.size(); ++m) values[m].push_back(MeanOf(means[m], scores, questions));
  };
  ForEachResample(scores.size(), add, options.check_stop);
  for (size_t m = 0; m < means.size(); ++m) figures.figures[m].interval = Percentiles(values[m]);
  return figures;
}

}  // namespace mlac
