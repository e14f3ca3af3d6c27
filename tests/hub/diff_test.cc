#include "hub/diff.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/table_difference.h"
#include "tests/hub/store_folder.h"

namespace mlac {
namespace {

using test::StoreFolder;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Lines(const std::vector<FileChange>& files) {
  std::vector<std::string> lines;
  const auto size = [](const std::optional<uint64_t>& value) { return value ? fmt::format("{}", *value) : "none"; };
  for (const FileChange& file : files) lines.push_back(fmt::format("{} {} {}", file.path, size(file.size_before), size(file.size_after)));
  return lines;
}

TEST(Diff, ListsFilesParametersDataAndFigures) {
  StoreFolder s;
  const auto data = [&](const std::string& rows) {
    return s.Add("topics.train", {{"train.csv", "text,label\n" + rows}}, {.name = "", .revision = "", .kind = ArtefactKind::kData});
  };
  const std::string old_data = data("a,x\nb,y\nb,y\n"), new_data = data("b,y\n\"c\nc\",z\nd,x\n");
  const std::string before =
      s.Add("topics", {{"same", "1"}, {"changed", "1"}, {"removed", "1"}, {"metrics.json", R"({"format_version": 1, "accuracy": 0.5, "per_class": {"x": {"f1": 0.25}}, "accuracy_interval": [0, 1]})"}},
            {.name = "", .revision = "", .data = {{"train", old_data}, {"test", old_data}}, .parameters = {{"lr", "1"}, {"epochs", "2"}}, .seed = 1});
  const std::string after = s.Add("topics", {{"same", "1"}, {"changed", "22"}, {"added", "1"}, {"metrics.json", R"({"format_version": 1, "accuracy": 0.75, "loss": 2})"}},
                                  {.name = "", .revision = "", .base = before, .data = {{"train", new_data}, {"test", old_data}}, .parameters = {{"lr", "2"}, {"epochs", "2"}}, .seed = 2});
  const RevisionDiff diff = DiffRevisions(s.store, before, after);
  EXPECT_EQ(diff.num_files_equal, 1u);
  const uint64_t old_size = s.store.ReadManifest(before).Find("metrics.json")->size, new_size = s.store.ReadManifest(after).Find("metrics.json")->size;
  EXPECT_THAT(Lines(diff.files), ElementsAre("added none 1", "changed 1 2", fmt::format("metrics.json {} {}", old_size, new_size), "removed 1 none"));
  std::vector<std::string> parameters;
  for (const ValueChange& value : diff.parameters) parameters.push_back(fmt::format("{} {} {}", value.name, value.before, value.after));
  EXPECT_THAT(parameters, ElementsAre("base  " + before, "lr 1 2", "seed 1 2"));
  ASSERT_EQ(diff.data.size(), 1u);
  const DataChange& change = diff.data.front();
  EXPECT_EQ(change.role, "train");
  EXPECT_EQ(change.num_rows_before, 3u);
  EXPECT_EQ(change.num_rows_after, 3u);
  EXPECT_EQ(change.num_rows_added, 2u);
  EXPECT_EQ(change.num_rows_removed, 2u) << "one of two equal rows too";
  std::vector<std::string> figures;
  for (const FigureChange& figure : diff.figures) figures.push_back(fmt::format("{} {} {}", figure.name, figure.before.value_or(-1), figure.after.value_or(-1)));
  EXPECT_THAT(figures, ElementsAre("accuracy 0.5 0.75", "loss -1 2", "per_class.x.f1 0.25 -1"));

  const RevisionDiff back = DiffRevisions(s.store, after, before);
  EXPECT_THAT(Lines(back.files), ElementsAre("added 1 none", "changed 2 1", fmt::format("metrics.json {} {}", new_size, old_size), "removed none 1"));
  const RevisionDiff none = DiffRevisions(s.store, after, after);
  EXPECT_THAT(none.files, IsEmpty());
  EXPECT_THAT(none.parameters, IsEmpty());
  EXPECT_THAT(none.data, IsEmpty());
  EXPECT_EQ(none.figures.size(), 2u) << "equal figures are shown";

  const RevisionDiff rows = DiffRevisions(s.store, old_data, new_data);
  ASSERT_EQ(rows.data.size(), 1u);
  EXPECT_EQ(rows.data.front().role, "rows");
  EXPECT_EQ(rows.data.front().num_rows_added, 2u);
}

TEST(Diff, TakesTheRecordOfTheNameThatWasMeant) {
  StoreFolder s;
  const std::string before = s.Add("a1", {{"f", "1"}}, {.name = "", .revision = "", .parameters = {{"lr", "1"}}});
  s.Add("b1", {{"f", "1"}}, {.name = "", .revision = "", .parameters = {{"lr", "2"}}});
  EXPECT_THAT(DiffRevisions(s.store, before, before, "a1", "a1").parameters, IsEmpty());
  EXPECT_EQ(DiffRevisions(s.store, before, before, "a1", "b1").parameters.size(), 1u);
}

TEST(CompareTables, CountsRowsOfEachFormatWhereverTheyStand) {
  const test::TemporaryFolder folder;
  const auto compare = [&](const std::string& name, const std::string& before, const std::string& after) {
    const TableDifference d = CompareTables(folder.Write("before/" + name, before), folder.Write("after/" + name, after));
    return fmt::format("{} {} +{} -{}", d.num_rows_before, d.num_rows_after, d.num_rows_added, d.num_rows_removed);
  };
  EXPECT_EQ(compare("a.csv", "t,l\n1,a\n2,b\n", "t,l\n2,b\n1,a\n"), "2 2 +0 -0");
  EXPECT_EQ(compare("a.csv", "t,l\n1,a\n", "t;l\r\n1;a\r\n"), "1 1 +0 -0") << "the same rows, written in another way";
  EXPECT_EQ(compare("a.csv", "t,l\nab,c\n", "t,l\na,bc\n"), "1 1 +1 -1");
  EXPECT_EQ(compare("a.csv", "t,l\n\"x\ny\",a\n", "t,l\n\"x\ny\",a\n\"x\ny\",a\n"), "1 2 +1 -0");
  EXPECT_EQ(compare("a.tsv", "t\tl\n1\ta\n", "t\tl\n"  "2\ta\n"), "1 1 +1 -1");
  EXPECT_EQ(compare("a.jsonl", "{\"t\":1}\n\n{\"t\":2}\n", "{\"t\":2}\n"), "2 1 +0 -1");
  EXPECT_EQ(compare("a.txt", "1\n\n2\n", "1\n2\n3\n"), "3 3 +1 -1");
  EXPECT_TRUE(IsTable("x.csv") && IsTable("x.JSONL"));
  EXPECT_FALSE(IsTable("model.safetensors") || IsTable("csv"));
}

}  // namespace
}  // namespace mlac
