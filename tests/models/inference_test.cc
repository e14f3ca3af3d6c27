#include "models/inference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <thread>

namespace mlac {
namespace {

struct Group {
  size_t first_sequence, num_sequences, num_tokens, num_threads;
};

std::vector<Group> GroupsOf(const std::vector<size_t>& lengths, size_t num_threads) {
  TokenBatch batch;
  for (const size_t length : lengths) batch.offsets.push_back(batch.offsets.back() + length);
  batch.token_ids.resize(batch.offsets.back());
  batch.token_type_ids.resize(batch.offsets.back());
  std::mutex mutex;
  std::vector<Group> groups;
  Inference(num_threads).ForEachGroup(batch, [&](mlac::Run& run, const TokenBatch& group, size_t first) {
    const std::lock_guard<std::mutex> lock(mutex);
    groups.push_back({first, group.num_sequences(), group.offsets.back(), run.num_threads()});
  });
  std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.first_sequence < b.first_sequence; });
  size_t next = 0;
  for (const Group& group : groups) {
    EXPECT_EQ(group.first_sequence, next) << "each sequence is in one group";
    next += group.num_sequences;
  }
  EXPECT_EQ(next, lengths.size());
  return groups;
}

TEST(Inference, GivesEachThreadAGroupOfItsOwnWhereNoneWouldWait) {
  for (const size_t length : {21, 12}) {  // 168 and 96 tokens
    const std::vector<Group> groups = GroupsOf(std::vector<size_t>(8, length), 2);
    ASSERT_EQ(groups.size(), 2u) << length;
    for (const Group& group : groups) EXPECT_TRUE(group.num_tokens == 4 * length && group.num_threads == 1) << length;
  }
  EXPECT_EQ(GroupsOf({60, 50, 10}, 2).size(), 2u) << "a little apart";
}

TEST(Inference, ComputesWithAllThreadsWhatCannotBeCutEvenlyOrIsShort) {
  for (const std::vector<size_t>& lengths : {std::vector<size_t>{168}, {100, 21, 21}, {21, 21, 21}, {47, 47}, {100, 40, 30}}) {
    const std::vector<Group> groups = GroupsOf(lengths, 2);
    ASSERT_EQ(groups.size(), 1u) << lengths.size();
    EXPECT_EQ(groups[0].num_threads, 2u);
  }
  EXPECT_EQ(GroupsOf({21, 21}, 1).size(), 1u);
}

TEST(Inference, ComputesInALaneOnTheCallingThread) {
  TokenBatch batch;
  for (size_t i = 0; i < 12; ++i) batch.offsets.push_back(batch.offsets.back() + 33);
  batch.token_ids.resize(batch.offsets.back());
  batch.token_type_ids.resize(batch.offsets.back());
  Inference inference(2);
  std::vector<std::vector<mlac::Run*>> runs(2);
  for (const size_t lane : {0, 1}) {
    size_t num_sequences = 0;
    inference.ForEachGroup(
        batch,
        [&, caller = std::this_thread::get_id()](mlac::Run& run, const TokenBatch& group, size_t first) {
          EXPECT_EQ(first, num_sequences);
          EXPECT_EQ(std::this_thread::get_id(), caller);
          EXPECT_EQ(run.num_threads(), 1u);
          EXPECT_LE(group.num_tokens(), 165u);
          num_sequences += group.num_sequences();
          runs[lane].push_back(&run);
        },
        lane);
    EXPECT_EQ(num_sequences, 12u);
    EXPECT_EQ(runs[lane].size(), 3u);
    EXPECT_EQ(std::count(runs[lane].begin(), runs[lane].end(), runs[lane][0]), 3);
  }
  EXPECT_NE(runs[0][0], runs[1][0]) << "lanes share no memory";
}

TEST(Inference, CutsALargeBatchIntoGroupsThatStayInTheCache) {
  for (const size_t num_threads : {1, 2, 3}) {
    const std::vector<Group> groups = GroupsOf(std::vector<size_t>(100, 33), num_threads);
    EXPECT_EQ(groups.size() % num_threads, 0u);
    for (const Group& group : groups) EXPECT_TRUE(group.num_tokens >= 66 && group.num_tokens <= 165 && group.num_threads == 1) << group.num_tokens;
  }
}

}  // namespace
}  // namespace mlac
