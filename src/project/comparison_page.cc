// A comparison as a page and as Markdown.
#include <fmt/format.h>

#include <algorithm>

#include "base/display.h"
#include "project/comparison.h"
#include "train/interval_note.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

constexpr size_t kRowsOnPage = 100, kRowsInMarkdown = 10, kTextOnPage = 160, kLabelsOnPage = 50;

constexpr char kStyle[] = R"(
:root { --page: #ffffff; --ink: #1c2330; --soft: #5b6576; --line: #dde2ea; --good: #12733c; --bad: #b3261e; --shade: #f4f6f9; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14181f; --ink: #e6eaf0; --soft: #9aa5b5; --line: #2c3440; --good: #63cf90; --bad: #ff8a80; --shade: #1b212b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .75rem .35rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; } td.number, th.number { text-align: right; white-space: nowrap; }
td.text { min-width: 16rem; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; } figure img { width: 100%; height: auto; } figcaption { color: var(--soft); font-size: .9rem; }
@media (max-width: 40rem) {
  table { font-size: .85rem; } th, td { padding-right: .4rem; } td.number, th.number { white-space: normal; } td.text { min-width: 10rem; }
}
code { background: var(--shade); padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere; }
)";

std::string Base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](size_t at) { return at < bytes.size() ? static_cast<uint32_t>(static_cast<unsigned char>(bytes[at])) : 0u; };
    const uint32_t bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    out += kDigits[bits >> 18];
    out += kDigits[bits >> 12 & 63];
    out += i + 1 < bytes.size() ? kDigits[bits >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? kDigits[bits & 63] : '=';
  }
  return out;
}

// As an image: whatever an SVG holds cannot act on the page.
std::string Picture(const std::string& svg, const std::string& what, const std::string& title) {
  if (svg.empty()) return "";
  return fmt::format("<figure><img alt=\"{} of {}\" src=\"data:image/svg+xml;base64,{}\"><figcaption>{}</figcaption></figure>\n",
                     EscapeXml(what), EscapeXml(title), Base64(svg), EscapeXml(title));
}

// A table that is written twice: cells of text, those of numbers to the right.
struct Table {
  std::vector<std::string> head;
  std::vector<bool> number;  // a column
  std::vector<std::vector<std::string>> rows;
  std::vector<int> mood = {};  // a row: 1 better, -1 worse, 0 neither; empty: none

  std::string Html() const {
    std::string out = "<div class=\"scroll\"><table>\n<tr>";
    for (size_t c = 0; c < head.size(); ++c) out += fmt::format("<th{}>{}</th>", number[c] ? " class=\"number\"" : "", EscapeXml(head[c]));
    out += "</tr>\n";
    for (size_t r = 0; r < rows.size(); ++r) {
      out += "<tr>";
      for (size_t c = 0; c < head.size(); ++c) {
        const std::string kind = number[c] ? "number" : c + 1 == head.size() ? "text" : "";
        const std::string tone = r < mood.size() && mood[r] != 0 && c + 1 == head.size() ? (mood[r] > 0 ? " good" : " bad") : "";
        out += fmt::format("<td class=\"{}{}\">{}</td>", kind, tone, EscapeXml(rows[r][c]));
      }
      out += "</tr>\n";
    }
    return out + "</table></div>\n";
  }

  std::string Markdown() const {
    std::string out = "|", line = "|";
    for (size_t c = 0; c < head.size(); ++c) {
      out += fmt::format(" {} |", EscapeMarkdown(head[c]));
      line += number[c] ? " ---: |" : " --- |";
    }
    out += "\n" + line + "\n";
    for (const std::vector<std::string>& row : rows) {
      out += "|";
      for (const std::string& cell : row) out += fmt::format(" {} |", EscapeMarkdown(cell));
      out += "\n";
    }
    return out;
  }
};

std::string ShownInterval(const Interval& interval, const char* format) {
  return fmt::format("{} to {}", fmt::format(fmt::runtime(format), interval.low), fmt::format(fmt::runtime(format), interval.high));
}

// 1: surely better, -1: surely worse, 0: neither.
int Direction(const FigureDifference& figure) {
  if (!figure.interval) return 0;
  const int direction = figure.interval->low > 0 ? 1 : figure.interval->high < 0 ? -1 : 0;
  return figure.less_is_better ? -direction : direction;
}

Table FigureTable(const Comparison& c) {
  const Figures& after = c.after.evaluation.figures;
  if (!c.before) {
    Table table = {{"figure", "value", "95 %"}, {false, true, true}, {}};
    for (const Figure& figure : after.figures)
      table.rows.push_back(
          {figure.title, fmt::format("{:.4f}", figure.value), figure.interval ? ShownInterval(*figure.interval, "{:.4f}") : ""});
    table.rows.push_back({"size", fmt::format("{:.1f} MB", static_cast<double>(c.after.num_bytes) / 1e6), ""});
    table.rows.push_back({fmt::format("latency, {} tokens, p50", c.latency_tokens), fmt::format("{:.2f} ms", c.after.latency.p50_ms), ""});
    table.rows.push_back({fmt::format("latency, {} tokens, p99", c.latency_tokens), fmt::format("{:.2f} ms", c.after.latency.p99_ms), ""});
    return table;
  }
  Table table = {{"figure", "before", "after", "difference", "95 % of the difference"}, {false, true, true, true, true}, {}, {}};
  for (const FigureDifference& figure : c.differences) {
    table.rows.push_back({figure.name, fmt::format("{:.4f}", figure.before), fmt::format("{:.4f}", figure.after),
                          fmt::format("{:+.4f}", figure.after - figure.before),
                          figure.interval ? ShownInterval(*figure.interval, "{:+.4f}") : ""});
    table.mood.push_back(Direction(figure));
  }
  const auto plain = [&](const std::string& name, double before, double after_value, const char* format) {
    const auto show = [&](double value) { return fmt::format(fmt::runtime(format), value); };
    table.rows.push_back(
        {name, show(before), show(after_value), before > 0 ? fmt::format("{:+.1f} %", 100 * (after_value / before - 1)) : "", ""});
    table.mood.push_back(0);
  };
  if (c.before->evaluation.figures.loss && after.loss) plain("loss", *c.before->evaluation.figures.loss, *after.loss, "{:.4f}");
  plain("size", static_cast<double>(c.before->num_bytes) / 1e6, static_cast<double>(c.after.num_bytes) / 1e6, "{:.1f} MB");
  plain(fmt::format("latency, {} tokens, p50", c.latency_tokens), c.before->latency.p50_ms, c.after.latency.p50_ms, "{:.2f} ms");
  plain(fmt::format("latency, {} tokens, p99", c.latency_tokens), c.before->latency.p99_ms, c.after.latency.p99_ms, "{:.2f} ms");
  return table;
}

Table Labels(const Comparison& c) {
  const Figures& after = c.after.evaluation.figures;
  Table table = {{after.class_title, "texts", "precision", "recall", "F1"}, {false, true, true, true, true}, {}};
  if (c.before) table = {{after.class_title, "texts", "F1 before", "F1 after", "difference"}, {false, true, true, true, true}, {}};
  for (size_t i = 0; i < after.class_names.size() && i < kLabelsOnPage; ++i) {
    const ClassMetrics& now = after.per_class[i];
    if (!c.before) {
      table.rows.push_back({Printable(after.class_names[i], 60), fmt::format("{}", now.support), fmt::format("{:.3f}", now.precision),
                            fmt::format("{:.3f}", now.recall), fmt::format("{:.3f}", now.f1)});
      continue;
    }
    const Figures& before = c.before->evaluation.figures;
    const auto found = std::find(before.class_names.begin(), before.class_names.end(), after.class_names[i]);
    const double then =
        found == before.class_names.end() ? 0 : before.per_class[static_cast<size_t>(found - before.class_names.begin())].f1;
    table.rows.push_back({Printable(after.class_names[i], 60), fmt::format("{}", now.support), fmt::format("{:.3f}", then),
                          fmt::format("{:.3f}", now.f1), fmt::format("{:+.3f}", now.f1 - then)});
  }
  return table;
}

Table Changes(const Comparison& c) {
  Table table = {{"what", "before", "after"}, {false, false, false}, {}};
  const std::vector<ValueChange>& parameters = c.changes.parameters;
  const bool has_seed =
      std::any_of(parameters.begin(), parameters.end(), [](const ValueChange& each) { return each.name == "train.seed"; });
  for (const ValueChange& change : parameters) {
    if (change.name == "seed" && has_seed) continue;  // of the record, which says it twice
    table.rows.push_back({Printable(change.name, 60), Printable(change.before, 80), Printable(change.after, 80)});
  }
  for (const DataChange& change : c.changes.data) {
    const auto shown = [](const std::string& revision, const std::optional<size_t>& rows) {
      return revision.empty() ? std::string("none")
                              : fmt::format("{}{}", revision.substr(0, 10), rows ? fmt::format(", {} rows", *rows) : "");
    };
    std::string after = shown(change.after, change.num_rows_after);
    if (change.num_rows_added && change.num_rows_removed)
      after += fmt::format(" ({} added, {} removed)", *change.num_rows_added, *change.num_rows_removed);
    table.rows.push_back({"data: " + Printable(change.role, 60), shown(change.before, change.num_rows_before), after});
  }
  return table;
}

Table Rows(const std::vector<ChangedRow>& rows, size_t most) {
  Table table = {{"row", "true", "before", "after", "text"}, {false, false, false, false, false}, {}};
  for (size_t i = 0; i < rows.size() && i < most; ++i)
    table.rows.push_back({Printable(rows[i].place, 60), Printable(rows[i].truth, 40), Printable(rows[i].before, 40),
                          Printable(rows[i].after, 40), Printable(rows[i].text, kTextOnPage)});
  return table;
}

std::string Title(const Comparison& c) {
  return c.before ? fmt::format("{}: {} instead of {}", c.name, c.after.title, c.before->title) : c.after.title;
}

// One sentence that says what to think of it.
std::string Verdict(const Comparison& c) {
  const uint64_t num_texts = c.after.evaluation.figures.num_examples;
  if (!c.before && (!c.refusal.empty() || !c.not_compared.empty()))
    return fmt::format("Measured on {} texts of {}.", num_texts, c.test_source);
  if (!c.before) return fmt::format("The first revision, measured on {} texts of {}.", num_texts, c.test_source);
  if (c.differences.empty() || !c.differences.front().interval)
    return fmt::format("Both measured on {} texts of {}.", num_texts, c.test_source);
  const int direction = Direction(c.differences.front());
  const char* verdict = direction > 0 ? "It is better" : direction < 0 ? "It is worse" : "Neither is surely better";
  if (c.rows.better.size() + c.rows.worse.size() + c.rows.otherwise.size() == 0)
    return fmt::format("{} on {} texts of {}: no row is answered otherwise.", verdict, num_texts, c.test_source);
  return fmt::format("{} on {} texts of {}: {} rows got better, {} worse, {} are wrong otherwise.", verdict, num_texts, c.test_source,
                     c.rows.better.size(), c.rows.worse.size(), c.rows.otherwise.size());
}

// "" where some figure differs in a sample of the rows, or there are no intervals.
std::string NoteOnDifferences(const Comparison& c) {
  bool any = false;
  for (const FigureDifference& figure : c.differences) {
    if (figure.interval && (figure.interval->low != 0 || figure.interval->high != 0)) return "";
    any = any || figure.interval;
  }
  const uint64_t num_texts = c.after.evaluation.figures.num_examples;
  if (!any || num_texts == 0) return "";
  return fmt::format(
      "The intervals have no width because nothing became better or worse on these {} texts, which says little of a change that meets fewer than {:.1f} % "
      "of texts.",
      num_texts, MostThatWereNotSeen(num_texts));
}

}  // namespace

std::string ComparisonHtml(const Comparison& c) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light "
      "dark\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<h1>{}</h1>\n<p>{}</p>\n",
      EscapeXml(Title(c)), kStyle, EscapeXml(Title(c)), EscapeXml(Verdict(c)));
  if (!c.refusal.empty()) out += fmt::format("<p class=\"bad\">{}</p>\n", EscapeXml(c.refusal));
  if (!c.not_compared.empty()) out += fmt::format("<p class=\"soft\">{}</p>\n", EscapeXml(c.not_compared));
  for (const ComparedModel* model : {c.before ? &*c.before : nullptr, &c.after})
    if (model != nullptr && !model->revision.empty())
      out += fmt::format("<p class=\"soft\"><code>{}</code> {}</p>\n", EscapeXml(model->revision), EscapeXml(model->made_from));
  out += "<h2>Figures</h2>\n" + FigureTable(c).Html();
  if (const std::string note = c.before ? NoteOnDifferences(c) : NoteOnIntervals(c.after.evaluation.figures); !note.empty())
    out += fmt::format("<p class=\"soft\">{}</p>\n", EscapeXml(note));
  out += fmt::format("<p class=\"soft\">Latency on {}, the median of 5 runs.</p>\n", EscapeXml(c.after.latency.processor));
  if (c.before) {
    const Table changes = Changes(c);
    out += "<h2>What changed</h2>\n" + (changes.rows.empty() ? std::string("<p>Neither data nor parameters.</p>\n") : changes.Html());
  }
  if (const Table labels = Labels(c); !labels.rows.empty()) out += "<h2>Labels</h2>\n" + labels.Html();
  if (!c.after.confusion_matrix.empty())
    out += "<h2>Confusion</h2>\n<div class=\"pair\">\n" +
           (c.before ? Picture(c.before->confusion_matrix, "confusion matrix", c.before->title) : "") +
           Picture(c.after.confusion_matrix, "confusion matrix", c.after.title) + "</div>\n";
  out += "<h2>Learning</h2>\n<div class=\"pair\">\n" +
         (c.before ? Picture(c.before->learning_curves, "learning curves", c.before->title) : "") +
         Picture(c.after.learning_curves, "learning curves", c.after.title) + "</div>\n";
  for (const auto& [title, rows] : {std::pair{"Rows that got worse", &c.rows.worse},
                                    {"Rows that got better", &c.rows.better},
                                    {"Rows that are wrong otherwise", &c.rows.otherwise}}) {
    if (rows->empty()) continue;
    out += fmt::format("<h2>{} ({})</h2>\n{}", title, rows->size(), Rows(*rows, kRowsOnPage).Html());
    if (rows->size() > kRowsOnPage) out += fmt::format("<p class=\"soft\">and {} more</p>\n", rows->size() - kRowsOnPage);
  }
  return out + "</body>\n</html>\n";
}

std::string ComparisonMarkdown(const Comparison& c, bool says_refusal) {
  std::string out = fmt::format("## {}\n\n{}", EscapeMarkdown(Title(c)), EscapeMarkdown(Verdict(c)));
  for (const std::string& remark : {says_refusal ? c.refusal : "", c.not_compared})
    if (!remark.empty()) out += "\n\n" + EscapeMarkdown(remark);
  out += "\n\n" + FigureTable(c).Markdown();
  if (const std::string note = c.before ? NoteOnDifferences(c) : NoteOnIntervals(c.after.evaluation.figures); !note.empty())
    out += "\n" + EscapeMarkdown(note) + "\n";
  if (const Table changes = Changes(c); !changes.rows.empty()) out += "\n### What changed\n\n" + changes.Markdown();
  if (const Table labels = Labels(c); !labels.rows.empty())
    out += "\n<details><summary>Labels</summary>\n\n" + labels.Markdown() + "\n</details>\n";
  for (const auto& [title, rows] : {std::pair{"Rows that got worse", &c.rows.worse}, {"Rows that got better", &c.rows.better}})
    if (!rows->empty())
      out += fmt::format("\n<details><summary>{} ({})</summary>\n\n{}\n</details>\n", title, rows->size(),
                         Rows(*rows, kRowsInMarkdown).Markdown());
  return out + fmt::format("\nLatency on {}, the median of 5 runs.\n", EscapeMarkdown(c.after.latency.processor));
}

}  // namespace mlac
