#include "data/csv.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/data_sets/reading.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Rows ReadCsv(std::string_view content, std::vector<std::string> columns = {"text", "label"}, TableFormat format = TableFormat::kCsv) {
  return ReadRows(*OpenTable(ByteStream(content, "t.csv"), format, {.columns = std::move(columns)}));
}

std::string CsvError(std::string_view content, std::vector<std::string> columns = {"text", "label"}) {
  return ErrorOf([&] { ReadCsv(content, std::move(columns)); });
}

TEST(Csv, ReadsTheRowsOfRfc4180) {
  const Rows rows = ReadCsv("text,label\nplain,a\n\"quoted, with a comma\",b\n\"a \"\"word\"\"\",c\n\"two\nlines\",d\n,e\n\"\",f\n");
  EXPECT_THAT(rows.cells, ElementsAre(Row{"plain", "a"}, Row{"quoted, with a comma", "b"}, Row{"a \"word\"", "c"}, Row{"two\nlines", "d"},
                                      Row{"", "e"}, Row{"", "f"}));
  EXPECT_THAT(rows.lines, ElementsAre(2, 3, 4, 5, 7, 8));
  EXPECT_THAT(rows.notes, IsEmpty());
}

TEST(Csv, TakesEveryLineEndAndAByteOrderMarkAndNoLastLineEnd) {
  for (const std::string_view end : {"\n", "\r\n", "\r"}) {
    const Rows rows = ReadCsv(fmt::format("\xEF\xBB\xBFtext,label{0}\"x{0}y\",a{0}{0}z,b", end));
    EXPECT_THAT(rows.cells, ElementsAre(Row{fmt::format("x{}y", end), "a"}, Row{"z", "b"}));
    EXPECT_THAT(rows.lines, ElementsAre(2, 5));
  }
}

TEST(ColumnNames, AreThoseOfTheFirstLineOrTheFirstObject) {
  const test::TemporaryFolder folder;
  const auto names = [&](const std::string& name, const std::string& content) { return ColumnNames(folder.Write(name, content)); };
  EXPECT_THAT(names("a.csv", "\n\"x, y\",z\n1,2\n"), ElementsAre("x, y", "z"));
  EXPECT_THAT(names("b.csv", "x;y;z\n"), ElementsAre("x", "y", "z"));
  EXPECT_THAT(names("c.tsv", "x\ty\n"), ElementsAre("x", "y"));
  EXPECT_THAT(names("d.jsonl", " \n{\"y\": [1], \"x\": {\"z\": 2}}\n{\"w\": 3}\n"), ElementsAre("x", "y"));
  EXPECT_THAT(names("e.jsonl", "[\"x\"]\n"), IsEmpty());
  EXPECT_THAT(names("f.jsonl", "{\"x\": \n"), IsEmpty()) << "what reads it says where it breaks";
  EXPECT_THAT(names("g.jsonl", ""), IsEmpty());
  EXPECT_EQ(ErrorOf([&] { names("h.csv", ""); }), (folder / "h.csv") + ": the file is empty");
  EXPECT_EQ(ErrorOf([&] { names("i.txt", "x\n"); }), (folder / "i.txt") + ": plain lines have no columns (expected CSV, TSV or JSONL)");
}

TEST(Csv, FindsColumnsInAnyOrderAmongOthers) {
  EXPECT_THAT(ReadCsv("id,label,note,text\n1,a,x,one\n2,b,\"y,\n\",two\n").cells, ElementsAre(Row{"one", "a"}, Row{"two", "b"}));
  EXPECT_THAT(ReadCsv("text\none\n\"\"\ntwo\n", {"text"}).cells, ElementsAre(Row{"one"}, Row{""}, Row{"two"}));
  EXPECT_THAT(ReadCsv("a,,\"text\",\nx,,one,\n", {"text"}).cells, ElementsAre(Row{"one"}));  // nameless columns may repeat
}

TEST(Csv, RecognisesTheDelimiterFromTheFirstLineAndSaysSo) {
  EXPECT_THAT(ReadCsv("text;label\none, two;a\n").notes, ElementsAre("t.csv: delimiter ';' recognised"));
  EXPECT_THAT(ReadCsv("text;label\none, two;a\n").cells, ElementsAre(Row{"one, two", "a"}));
  EXPECT_THAT(ReadCsv("text\tlabel\none\ta\n").notes, ElementsAre("t.csv: delimiter tab recognised"));
  EXPECT_THAT(ReadCsv("text;label;a,b,c,d,e\none;a;z\n").cells, ElementsAre(Row{"one", "a"}));  // the wanted columns decide first
  EXPECT_THAT(ReadCsv("\"text\";\"label\";\"a,b,c\"\none;a;z\n").cells, ElementsAre(Row{"one", "a"}));
  EXPECT_THAT(ReadCsv("text\tlabel\n\"one\ttwo\"\ta\n", {"text", "label"}, TableFormat::kTsv).cells, ElementsAre(Row{"one\ttwo", "a"}));
  EXPECT_THAT(ReadCsv("text\tlabel\none\ta\n", {"text", "label"}, TableFormat::kTsv).notes, IsEmpty());
}

TEST(Csv, ObeysTheLineThatNamesTheSeparator) {
  for (const std::string_view start : {"sep=;\n", "\xEF\xBB\xBFsep=;\r\n\r\n", "SEP=;\r"}) {
    const Rows rows = ReadCsv(fmt::format("{}text;label\none, two, three;a\n", start));
    EXPECT_THAT(rows.cells, ElementsAre(Row{"one, two, three", "a"})) << start;
    EXPECT_THAT(rows.notes, ElementsAre("t.csv: delimiter ';', as 'sep=' says")) << start;
  }
  EXPECT_THAT(ReadCsv("sep=|\ntext|label\none;two|a\n").cells, ElementsAre(Row{"one;two", "a"}));
  EXPECT_THAT(ReadCsv("sep=\t\ntext\tlabel\none\ta\n").notes, ElementsAre("t.csv: delimiter tab, as 'sep=' says"));
  EXPECT_THAT(ReadCsv("sep=;\ntext;label\none;a\n", {"text", "label"}, TableFormat::kTsv).cells, ElementsAre(Row{"one", "a"}));
  EXPECT_THAT(ReadCsv("sep=,\ntext,label\none,a\n").lines, ElementsAre(3));
  EXPECT_THAT(ReadCsv("sep=x,text\n1,one\n", {"text"}).cells, ElementsAre(Row{"one"})) << "a column that is called so";
  EXPECT_EQ(CsvError("sep="), "t.csv: expected a column 'text', found 'sep='");
  EXPECT_EQ(CsvError("sep=;"), "t.csv: expected a line that names the columns behind 'sep=;', found none");
  EXPECT_EQ(CsvError("sep=;\n\n"), "t.csv: expected a line that names the columns behind 'sep=;', found none");
}

TEST(Csv, SkipsRowsOfEmptyFieldsAndCountsThem) {
  const Rows rows = ReadCsv("text;label;note\none;a;\n;;\n\n;\n\"\";\"\";\"\"\ntwo;b;x\n;;;;;");
  EXPECT_THAT(rows.cells, ElementsAre(Row{"one", "a"}, Row{"two", "b"}));
  EXPECT_THAT(rows.lines, ElementsAre(2, 7));
  EXPECT_THAT(rows.notes, ElementsAre("t.csv: delimiter ';' recognised", "t.csv: 4 rows have only empty fields and were skipped, the first on line 3"));
  EXPECT_THAT(ReadCsv("text,label\none,a\n,\n").notes, ElementsAre("t.csv: line 3 has only empty fields and was skipped"));
  // A field that is passed over counts, and so does a blank.
  EXPECT_THAT(ReadCsv("text,label,note\n,,x\n , ,\n").cells, ElementsAre(Row{"", ""}, Row{" ", " "}));
  EXPECT_EQ(CsvError("text,label\n,\n"), "t.csv: expected rows, found none");
}

TEST(Csv, InOneColumnAnEmptyTextIsARow) {
  EXPECT_THAT(ReadCsv("text\n\"\"\n\none\n", {"text"}).cells, ElementsAre(Row{""}, Row{"one"}));
  EXPECT_EQ(ErrorOf([] { ReadCsv("text\none\n,\n", {"text"}); }),
            "t.csv: line 3: expected 1 field as in the header, found 2 (a field that holds ',' or a line break stands in double quotes)");
}

TEST(Csv, AsksForTheHeaderWhereTheFirstLineLooksLikeData) {
  constexpr std::string_view kHint = "the first line has to name the columns; is there no header?";
  const auto hint = [](std::string_view content) {
    try {
      ReadRows(*OpenTable(ByteStream(content, "t.csv"), TableFormat::kCsv, {.columns = {"text", "label"}, .column_hint = "usual"}));
    } catch (const Error& error) {
      return error.hint();
    }
    return std::string();
  };
  EXPECT_EQ(hint("URGENT: the invoice is wrong again today,Billing\nmore,Bug\n"), kHint);
  EXPECT_EQ(hint("good,1\nbad,0\n"), kHint);
  EXPECT_EQ(hint("date of the last answer,topic\nx,y\n"), "usual") << "five words may name a column";
  EXPECT_EQ(hint("text,this is not what a label is called\nx,y\n"), "usual") << "one of the columns is there";
  EXPECT_EQ(hint("texts,3\nx,y\n"), "did you mean 'texts'?");
}

TEST(Csv, AQuoteInsideAPlainFieldIsACharacter) {
  EXPECT_THAT(ReadCsv("text,label\na 5\" disk,x\nb \"c\" d,\"y\"\n").cells, ElementsAre(Row{"a 5\" disk", "x"}, Row{"b \"c\" d", "y"}));
}

TEST(Csv, NamesTheLineWhereABrokenQuoteOpens) {
  EXPECT_EQ(CsvError("text,label\nfine,a\n\"never closed,b\nmore,c\n"),
            "t.csv: line 3: a quote opens here and is never closed (a quote inside a quoted field is written twice)");
  EXPECT_EQ(CsvError("text,label\nfine,a\n\"x\ny\"z\",b\n"),
            "t.csv: line 3: a quote opens here and is closed on line 4, where ',' or the end of the line is expected and 'z\",b' found (a "
            "quote inside "
            "a quoted field is written twice)");
  EXPECT_EQ(CsvError("text,label\n\"x\" ,b\n"),
            "t.csv: line 2: a quote opens here and is closed on the same line, where ',' or the end of the line is expected and ' ,b' "
            "found (a quote "
            "inside a quoted field is written twice)");
  EXPECT_EQ(CsvError("text,\"label\nfine,a\n"),
            "t.csv: line 1: a quote opens here and is never closed (a quote inside a quoted field is written twice)");
  EXPECT_EQ(CsvError("text,label\nfine,\""),
            "t.csv: line 2: a quote opens here and is never closed (a quote inside a quoted field is written twice)");
  EXPECT_EQ(CsvError("text,label\nfine,\"\""), "");
}

TEST(Csv, NamesTheLineOfARowWithTooFewOrTooManyFields) {
  EXPECT_EQ(CsvError("text,label\n\"x\ny\",a\nonly one\n"), "t.csv: line 4: expected 2 fields as in the header, found 1");
  EXPECT_EQ(CsvError("text,label\n\none, two,b\n"),
            "t.csv: line 3: expected 2 fields as in the header, found 3 (a field that holds ',' or a line break stands in double quotes)");
  EXPECT_EQ(CsvError("text,label\n \n"), "t.csv: line 2: expected 2 fields as in the header, found 1");
}

TEST(Csv, ListsTheColumnsWhereOneIsMissing) {
  EXPECT_EQ(CsvError("txt,label\none,a\n"), "t.csv: expected a column 'text', found 'txt', 'label' (did you mean 'txt'?)");
  EXPECT_EQ(CsvError("a,label\none,a\n"), "t.csv: expected a column 'text', found 'a', 'label'");
  std::string header = "c0";
  for (int i = 1; i < 25; ++i) header += fmt::format(",c{}", i);
  EXPECT_THAT(CsvError(header + "\n"), testing::HasSubstr("'c18', 'c19' and 5 more"));
  EXPECT_EQ(CsvError("text,label,text\na,b,c\n"), "t.csv: line 1: expected one column 'text', found it as columns 1 and 3");
}

TEST(Csv, RefusesAFileWithoutRows) {
  EXPECT_EQ(CsvError(""), "t.csv: the file is empty");
  EXPECT_EQ(CsvError("\xEF\xBB\xBF"), "t.csv: the file is empty");
  EXPECT_EQ(CsvError("\n\r\n"), "t.csv: expected a line that names the columns, found empty lines");
  EXPECT_EQ(CsvError("text,label"), "t.csv: expected rows, found none");
  EXPECT_EQ(CsvError("text,label\n\n\n"), "t.csv: expected rows, found none");
}

TEST(Csv, StopsAtTheLimitOfARow) {
  const auto read = [](std::string_view content) {
    return ErrorOf([&] { ReadRows(*OpenTable(ByteStream(content, "t.csv"), TableFormat::kCsv, {.columns = {"a"}, .max_row_bytes = 8})); });
  };
  EXPECT_EQ(read("a,b\n12345,7\n"), "");  // 8 bytes with the line end
  EXPECT_EQ(read("a,b\n123456,8\n"), "t.csv: line 2: the row is longer than 8 bytes");
  EXPECT_EQ(read("a,b\n1,\"\n\n\n\n\n\n\n\n\n\n"),
            "t.csv: line 2: a quote opens here and is not closed within 8 bytes (a quote inside a quoted field is written twice)");
  EXPECT_EQ(read("a,b,c,d,e\n"), "t.csv: line 1: the row is longer than 8 bytes");
}

TEST(Csv, LimitsTheNumberOfColumns) {
  const auto commas = [](size_t count) { return "text,label" + std::string(count, ',') + "\nx,a" + std::string(count, ',') + "\n"; };
  EXPECT_EQ(CsvError(commas(65534)), "");
  EXPECT_EQ(CsvError(commas(65535)), "t.csv: line 1 names more than 65536 columns");
}

// Check 13 of the reliability list: faults at seeded places of a good file, each named by its line.
TEST(Csv, NamesTheRightLineInFiftySeededFaults) {
  Random random(13);
  for (int fault = 0; fault < 50; ++fault) {
    const size_t bad_row = random.Below(200);
    size_t line = 2, bad_line = 0;
    std::string content = "text,label\n";
    for (size_t row = 0; row < 200; ++row) {
      if (row == bad_row) {
        bad_line = line;
        switch (fault % 5) {
          case 0:
            content += "too,many,fields\n";
            break;
          case 1:
            content += "too few\n";
            break;
          case 2:
            content += "\"closed\" too early\",a\n";
            break;
          case 3:
            content += "\"left open,a\n";
            break;
          case 4:
            content += "no utf-8 \xFF,a\n";
            break;
        }
        ++line;
      }
      const size_t breaks = random.Below(3);
      content += '"';
      for (size_t i = 0; i < breaks; ++i) content += "text \"\"said\"\"\r\n";
      content += "é\",a\n";
      line += breaks + 1;
    }
    EXPECT_THAT(CsvError(content), testing::StartsWith(fmt::format("t.csv: line {}", bad_line))) << "fault " << fault;
  }
}

}  // namespace
}  // namespace mlac
