// A model whose batches are computed beside each other: each request gets the bits of its texts alone.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/random.h"
#include "optimize/int8_folder.h"
#include "serve/batch_queue.h"
#include "serve/served_model.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::FixturePath;
using test::SameBits;
using test::TemporaryFolder;

constexpr size_t kNumLanes = 3;

QueuedSequence RandomSequence(Random& random) {
  QueuedSequence sequence;
  for (size_t length = 1 + random.Below(random.Below(12) == 0 ? 40 : 12); length > 0; --length)
    sequence.token_ids.push_back(static_cast<int32_t>(random.Below(100)));
  sequence.token_type_ids.resize(sequence.token_ids.size());
  return sequence;
}

void ExpectTheBitsOfTextsAlone(const std::string& folder, DType dtype) {
  const std::unique_ptr<ServedModel> alone = OpenServedModel(folder, {.num_threads = 1, .max_length = {}, .dtype = dtype});
  const std::unique_ptr<ServedModel> model =
      OpenServedModel(folder, {.max_length = {}, .dtype = dtype, .team = std::make_shared<ThreadTeam>(kNumLanes)});
  const size_t size = model->row_size(Output::kSequence);
  ComputeTurns turns(kNumLanes);
  std::array<std::atomic<int>, kNumLanes + 1> num_batches = {};  // the last: of all threads
  BatchQueue queue({.row_sizes = {size}, .max_batch_tokens = 96, .max_lane_tokens = 24, .min_lane_tokens = 6, .num_workers = kNumLanes, .turns = &turns},
                   [&](const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out, Lane lane) {
                     ++num_batches[lane.value_or(kNumLanes)];
                     model->Compute(batch, wanted, out, lane);
                   });
  std::mutex mutex;  // of `alone`
  std::vector<std::thread> clients;
  for (size_t c = 0; c < 6; ++c)
    clients.emplace_back([&, c] {
      Random random(/*seed=*/c);
      for (size_t i = 0; i < 20; ++i) {
        std::vector<QueuedSequence> sequences;
        for (size_t s = 0; s <= random.Below(8); ++s) sequences.push_back(RandomSequence(random));
        std::vector<float> expected(sequences.size() * size);
        for (size_t s = 0; s < sequences.size(); ++s) {
          const TokenBatch batch = {sequences[s].token_ids, sequences[s].token_type_ids, {0, sequences[s].token_ids.size()}};
          const std::lock_guard lock(mutex);
          alone->Compute(batch, {Output::kSequence}, std::span(expected).subspan(s * size, size), kWholeTeam);
        }
        std::promise<BatchResult> promise;
        queue.Submit(std::move(sequences), [&](BatchResult result) { promise.set_value(std::move(result)); });
        EXPECT_TRUE(SameBits(promise.get_future().get().values, expected)) << c << ", " << i;
      }
    });
  for (std::thread& client : clients) client.join();
  EXPECT_GT(num_batches[0] + num_batches[1] + num_batches[2], 0) << "none in a lane";
  EXPECT_GT(num_batches[kNumLanes], 0) << "none by all threads";
}

TEST(Lanes, GiveTheBitsOfTextsAlone) { ExpectTheBitsOfTextsAlone(FixturePath("models/classifier"), DType::kF32); }

TEST(Lanes, GiveTheBitsOfTextsAloneInBf16) {
  ExpectTheBitsOfTextsAlone(FixturePath("models/classifier"), DType::kBF16);
}

TEST(Lanes, GiveTheBitsOfTextsAloneInInt8) {
  const TemporaryFolder folder;
  WriteInt8Folder(FixturePath("models/classifier"), folder.path());
  ExpectTheBitsOfTextsAlone(folder.path(), DType::kF32);
}

}  // namespace
}  // namespace mlac
