#include "data/texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "data/check.h"
#include "tests/data_sets/reading.h"

namespace mlac {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class TextsTest : public testing::Test {
 protected:
  TextsTest() : folder_(testing::TempDir() + "/texts_" + testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~TextsTest() override { fs::remove_all(folder_); }
  std::string Write(const std::string& name, std::string_view content) {
    const fs::path path = fs::path(folder_) / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }
  std::string folder_;
};

TEST_F(TextsTest, SortsLabelsAndKeepsRowsInOrder) {
  const LabelledTexts data = ReadLabelledTexts(Write("t.csv", "text,label\none,b\ntwo,a\nthree,é\nfour,b\n"), {});
  EXPECT_EQ(data.source, "t.csv");
  EXPECT_THAT(data.texts, ElementsAre("one", "two", "three", "four"));
  EXPECT_THAT(data.label_names, ElementsAre("a", "b", "é"));
  EXPECT_THAT(data.labels, ElementsAre(1, 0, 2, 1));
  EXPECT_THAT(data.lines, ElementsAre(2, 3, 4, 5));
  EXPECT_EQ(data.Place(2), "t.csv line 4");
}

TEST_F(TextsTest, SortsIntegerLabelsByValue) {
  EXPECT_THAT(ReadLabelledTexts(
                  Write("t.jsonl", "{\"text\":\"x\",\"label\":10}\n{\"text\":\"y\",\"label\":\"9\"}\n{\"text\":\"z\",\"label\":-1}"), {})
                  .label_names,
              ElementsAre("-1", "9", "10"));
  EXPECT_THAT(ReadLabelledTexts(Write("t.csv", "text,label\nx,10\ny,9\nz,a\n"), {}).label_names, ElementsAre("10", "9", "a"));
  std::vector<std::string> names = {"8", "007", "7", "1000000000000000000"};
  SortLabelNames(names);
  EXPECT_THAT(names, ElementsAre("007", "1000000000000000000", "7", "8"));  // one is beyond 18 digits: all by their bytes
  names = {"8", "7", "007", "-2", "-10"};
  SortLabelNames(names);
  EXPECT_THAT(names, ElementsAre("-10", "-2", "007", "7", "8"));
}

TEST_F(TextsTest, TheSameTableGivesTheSameDataInEveryFormat) {
  const std::vector<std::string> paths = {
      Write("t.csv", "label,text\n3,\"a \"\"b\"\"\"\ntrue,c\n"), Write("t.TSV", "label\ttext\n3\t\"a \"\"b\"\"\"\ntrue\tc\n"),
      Write("t.jsonl", "{\"label\": 3, \"text\": \"a \\\"b\\\"\"}\n{\"label\": true, \"text\": \"c\"}\n")};
  for (const std::string& path : paths) {
    const LabelledTexts data = ReadLabelledTexts(path, {});
    EXPECT_THAT(data.texts, ElementsAre("a \"b\"", "c")) << path;
    EXPECT_THAT(data.label_names, ElementsAre("3", "true")) << path;
  }
}

TEST_F(TextsTest, KeepsGivenLabelsAndRefusesOthers) {
  const std::string path = Write("t.csv", "text,label\none,b\ntwo,a\n");
  const LabelledTexts data = ReadLabelledTexts(path, {.label_names = {"b", "c", "a"}});
  EXPECT_THAT(data.label_names, ElementsAre("b", "c", "a"));
  EXPECT_THAT(data.labels, ElementsAre(0, 2));
  EXPECT_EQ(ErrorOf([&] {
              ReadLabelledTexts(path, {.label_names = {"B", "a"}});
            }),
            path + ": line 2: expected a label among 'B', 'a', found 'b' (did you mean 'B'?)");
}

TEST_F(TextsTest, RefusesRowsWithoutALabel) {
  const std::string path = Write("t.csv", "text,label\none,a\ntwo,\nthree,b\n\"four\n\", \n");
  EXPECT_EQ(ErrorOf([&] { ReadLabelledTexts(path, {}); }),
            path + ": lines 3, 5: the column 'label' is empty (give these rows a label, or leave them out with --skip-unlabelled)");
  EXPECT_EQ(ErrorOf([&] { ReadLabelledTexts(Write("u.csv", "text,label\none,a\ntwo,\n"), {}); }),
            folder_ + "/u.csv: line 3: the column 'label' is empty (give the row a label, or leave it out with --skip-unlabelled)");
  std::string many = "text,label\nx,a\n";
  for (int i = 0; i < 7; ++i) many += "x,\n";
  EXPECT_THAT(ErrorOf([&] { ReadLabelledTexts(Write("v.csv", many), {}); }),
              testing::StartsWith(folder_ + "/v.csv: lines 3, 4, 5, 6, 7 and 2 more: the column 'label' is empty"));
}

TEST_F(TextsTest, LeavesUnlabelledRowsOutWhereThatIsAskedFor) {
  const std::string path = Write("t.csv", "text,label\none,a\ntwo,\nthree,b\nfour,\t\n");
  const LabelledTexts data = ReadLabelledTexts(path, {.skip_unlabelled = true});
  EXPECT_THAT(data.texts, ElementsAre("one", "three"));
  EXPECT_THAT(data.lines, ElementsAre(2, 4));
  EXPECT_THAT(data.notes, ElementsAre(path + ": 2 rows without a label are left out (lines 3, 5)"));
  EXPECT_EQ(ErrorOf([&] { ReadLabelledTexts(Write("u.csv", "text,label\none,\n"), {.skip_unlabelled = true}); }),
            folder_ + "/u.csv: none of the rows has a label in the column 'label'");
  const std::string numbers = Write("n.csv", "text,label\none,1.5\ntwo, \n");
  EXPECT_THAT(ReadLabelledTexts(numbers, {.targets = true, .skip_unlabelled = true}).targets, ElementsAre("1.5"));
  EXPECT_THAT(ReadLabelledTexts(numbers, {.targets = true}).targets, ElementsAre("1.5", " "));
}

TEST_F(TextsTest, LabelsLoseTheBlanksAtTheirEndsAndNothingElse) {
  const std::string path = Write("t.csv", "text,label\none,Login \ntwo,\tLogin\nthree,\xC2\xA0 login\xC2\xA0\nfour,Log in\nfive,Login\n");
  const LabelledTexts data = ReadLabelledTexts(path, {});
  EXPECT_THAT(data.label_names, ElementsAre("Log in", "Login", "login"));
  EXPECT_THAT(data.labels, ElementsAre(1, 1, 2, 0, 1));
  EXPECT_THAT(data.notes, ElementsAre(path + ": 3 labels in 'label' had blanks at an end and are read without"));
  EXPECT_EQ(TrimmedLabelsNote("t.csv", "topic", 1), "t.csv: 1 label in 'topic' had blanks at an end and is read without");
  EXPECT_EQ(TrimmedLabel(" \xC2\xA0\n"), "");
  EXPECT_EQ(TrimmedLabel("\xC2\xA1 \xE2\x80\xA0"), "\xC2\xA1 \xE2\x80\xA0") << "bytes of other characters stay";
  // A model that learnt the label with its blank is measured by it.
  const LabelledTexts known = ReadLabelledTexts(Write("u.csv", "text,label\none,Login \ntwo, Login\n"), {.label_names = {"Login", "Login "}});
  EXPECT_THAT(known.labels, ElementsAre(1, 0));
}

TEST_F(TextsTest, ASpreadsheetsExportGivesTheDataOfAPlainFile) {
  const LabelledTexts plain = ReadLabelledTexts(Write("a.csv", "text,label\none,b\n\" two \",a\nthree,b\n"), {});
  const LabelledTexts exported =
      ReadLabelledTexts(Write("b.csv", "\xEF\xBB\xBFsep=;\r\ntext;label;note\r\none;b ;\r\n;;\r\n two ;a;\r\nthree;b;x\r\n;;\r\n;;\r\n"), {});
  EXPECT_EQ(exported.texts, plain.texts) << "texts keep their blanks";
  EXPECT_EQ(exported.labels, plain.labels);
  EXPECT_EQ(exported.label_names, plain.label_names);
  EXPECT_THAT(plain.notes, IsEmpty());
}

TEST(ParseNumberCell, TakesAFiniteNumberWithSpacesAroundItAndNothingElse) {
  EXPECT_EQ(ParseNumberCell("3.5"), 3.5f);
  EXPECT_EQ(ParseNumberCell(" \t-1e-3 \t"), -1e-3f);
  for (const char* cell : {"", " ", "+1", "3,5", "3.5 kg", "1 2", "nan", "inf", "-inf", "1e60", "true", "1\n"})
    EXPECT_EQ(ParseNumberCell(cell), std::nullopt) << cell;
}

TEST(DecimalCommaHint, IsForNumbersAlone) {
  EXPECT_EQ(DecimalCommaHint("3,5"), "a decimal comma? Write 3.5");
  EXPECT_EQ(DecimalCommaHint("-0,25"), "a decimal comma? Write -0.25");
  for (const char* cell : {"", "3.5", ",", "a,b", "1,000,000", "3,5 kg"}) EXPECT_EQ(DecimalCommaHint(cell), "") << cell;
}

TEST_F(TextsTest, RefusesWhatCannotHoldLabels) {
  EXPECT_EQ(ErrorOf([&] { ReadLabelledTexts(folder_ + "/none.csv", {}); }), folder_ + "/none.csv: cannot open: No such file or directory");
  EXPECT_EQ(ErrorOf([&] { ReadLabelledTexts(Write("t.txt", "x\n"), {}); }),
            folder_ + "/t.txt: plain lines hold no labels (expected CSV, TSV, JSONL, or a folder of .txt files a label)");
  EXPECT_EQ(ErrorOf([&] { ReadLabelledTexts(Write("t.xlsx", "x\n"), {}); }),
            folder_ + "/t.xlsx: expected a file named .csv, .tsv, .jsonl or .txt (in Excel: Save As, 'CSV UTF-8')");
  EXPECT_EQ(ErrorOf([&] { ReadLabelledTexts(Write("t.csv", "x\n"), {.text_column = "x", .label_column = "x"}); }),
            "expected different columns for text and label, found 'x' for both");
}

TEST_F(TextsTest, ReadsAFolderOfTextsALabel) {
  Write("set/pos/b.txt", "good\nindeed\n");
  Write("set/pos/a.txt",
        "\xEF\xBB\xBF"
        "fine");
  Write("set/neg/c.txt", "");
  Write("set/neg/.hidden.txt", "x");
  Write("set/neg/readme.md", "x");
  Write("set/.git/x.txt", "x");
  Write("set/README.txt", "x");
  fs::create_directories(folder_ + "/set/none");
  for (const char* end : {"", "/", "/."}) {
    const LabelledTexts data = ReadLabelledTexts(folder_ + "/set" + end, {});
    EXPECT_EQ(data.source, "set");
    EXPECT_THAT(data.texts, ElementsAre("", "fine", "good\nindeed\n"));
    EXPECT_THAT(data.label_names, ElementsAre("neg", "pos"));
    EXPECT_THAT(data.labels, ElementsAre(0, 1, 1));
    EXPECT_EQ(data.Place(1), "set/pos/a.txt");
    EXPECT_THAT(data.notes, ElementsAre("set: the folder 'none' holds no .txt file and gives no label",
                                        "set: 2 entries were passed over, only LABEL/*.txt are read"));
  }
}

TEST_F(TextsTest, NamesTheBadFileOfAFolder) {
  Write("set/pos/a.txt", "caf\xE9 noir");
  EXPECT_THAT(ErrorOf([&] { ReadLabelledTexts(folder_ + "/set", {}); }),
              testing::StartsWith(folder_ + "/set/pos/a.txt: line 1, byte 4: expected UTF-8 text"));
  Write("set/pos/a.txt", "12345");
  EXPECT_EQ(ErrorOf([&] { ReadLabelledTexts(folder_ + "/set", {.max_row_bytes = 4}); }),
            folder_ + "/set/pos/a.txt: the text is longer than 4 bytes");
  fs::create_directories(folder_ + "/none");
  EXPECT_EQ(
      ErrorOf([&] { ReadLabelledTexts(folder_ + "/none", {}); }),
      folder_ +
          "/none: expected one folder of .txt files a label, found 0 folders and no text in them (a text stands in FOLDER/LABEL/NAME.txt)");
}

TEST_F(TextsTest, ReadsTextsAlone) {
  EXPECT_THAT(ReadTexts(Write("t.txt", "one\n\nthree\r\n")).texts, ElementsAre("one", "", "three"));
  EXPECT_THAT(ReadTexts(Write("t.csv", "id;text\n1;one\n")).texts, ElementsAre("one"));
  EXPECT_THAT(ReadTexts(Write("t.csv", "id;text\n1;one\n")).notes, ElementsAre(folder_ + "/t.csv: delimiter ';' recognised"));
  EXPECT_THAT(ReadTexts(Write("t.jsonl", "\n{\"q\": \"one\"}\n"), "q").lines, ElementsAre(2));
  EXPECT_EQ(ErrorOf([&] { ReadTexts(Write("t.txt", "")); }), folder_ + "/t.txt: the file is empty");
}

TEST_F(TextsTest, SubsetTakesRowsAndKeepsTheirPlaces) {
  const LabelledTexts data = ReadLabelledTexts(Write("t.csv", "text,label\none,b\ntwo,a\nthree,b\n"), {});
  const std::vector<size_t> rows = {2, 1};
  const LabelledTexts part = Subset(data, rows);
  EXPECT_THAT(part.texts, ElementsAre("three", "two"));
  EXPECT_THAT(part.labels, ElementsAre(1, 0));
  EXPECT_THAT(part.lines, ElementsAre(4, 3));
  EXPECT_EQ(part.label_names, data.label_names);
  EXPECT_THAT(part.files, IsEmpty());
}

}  // namespace
}  // namespace mlac
