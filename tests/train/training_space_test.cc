// The room that a training needs: what is written beside what.
#include "train/training_space.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/free_space.h"
#include "tests/support/test_support.h"
#include "tests/train/tiny_training.h"

namespace mlac {
namespace {

using test::ExpectError;

TEST(TrainingSpace, CountsWhatStandsSideBySide) {
  EXPECT_EQ((TrainingSpace{.result = 100, .checkpoint = 400, .num_checkpoints = 0}.BytesNeeded()), 100u);
  EXPECT_EQ((TrainingSpace{.result = 100, .checkpoint = 400, .num_checkpoints = 1}.BytesNeeded()), 500u)
      << "the result beside the checkpoint";
  EXPECT_EQ((TrainingSpace{.result = 100, .checkpoint = 400, .num_checkpoints = 2}.BytesNeeded()), 800u)
      << "a checkpoint beside the one before";
  EXPECT_EQ((TrainingSpace{.result = 100, .checkpoint = 400, .num_checkpoints = 9}.BytesNeeded()), 800u);
  EXPECT_EQ((TrainingSpace{.result = 900, .checkpoint = 400, .num_checkpoints = 9}.BytesNeeded()), 1300u);
  EXPECT_EQ((TrainingSpace{.result = 100, .checkpoint = 400, .num_checkpoints = 0, .has_checkpoint = true}.BytesNeeded()), 100u);
  EXPECT_EQ((TrainingSpace{.result = 100, .checkpoint = 400, .num_checkpoints = 1, .has_checkpoint = true}.BytesNeeded()), 400u)
      << "one is there already";
}

TEST(TrainingSpace, FollowsFromModelAndOptions) {
  const std::unique_ptr<Model> model = test::TinyModel();
  const uint64_t weights = 4 * model->parameters().num_elements();
  TrainingOptions options = {.num_epochs = 3, .batch_size = 8, .save_steps = 11};
  const TrainingSpace space =
      SpaceOf(*model, options, /*num_examples=*/28, /*has_validation=*/true, /*adapter=*/false, /*has_checkpoint=*/false);
  EXPECT_EQ(space.result, weights);
  EXPECT_EQ(space.checkpoint, 4 * weights);
  EXPECT_EQ(space.num_checkpoints, 1u) << "of 12 steps";
  EXPECT_EQ(SpaceOf(*model, options, 28, false, false, false).checkpoint, 3 * weights) << "there is no best epoch";
  options.save_steps = 12;
  EXPECT_EQ(SpaceOf(*model, options, 28, true, false, false).num_checkpoints, 0u) << "the last step ends training";
  options.save_steps = 0;
  EXPECT_EQ(SpaceOf(*model, options, 28, true, false, false).num_checkpoints, 0u);
  options.freeze = true;
  EXPECT_LT(SpaceOf(*model, options, 28, true, false, false).checkpoint, weights) << "the head alone learns";
}

TEST(CheckSpace, RefusesWithBothNumbers) {
  const TrainingSpace space = {.result = 91'000'000, .checkpoint = 364'000'000, .num_checkpoints = 2};
  const auto free = [](uint64_t count) { return [count](const std::string&) { return std::optional<uint64_t>(count); }; };
  EXPECT_NO_THROW(CheckSpace(space, "out", free(728'000'000), false));
  EXPECT_EQ(ExpectError(ErrorCode::kResourceExhausted, "out: the trained weights and checkpoints need 728.0 MB, 60.0 MB are free there",
                        [&] { CheckSpace(space, "out", free(60'000'000), false); })
                .hint(),
            "free some space there, or choose another --out; with --save-steps 0, without checkpoints, it needs 91.0 MB");
  EXPECT_EQ(ExpectError(ErrorCode::kResourceExhausted, "out: the trained weights need 91.0 MB, 90.9 MB are free there",
                        [&] { CheckSpace({.result = 91'000'000}, "out", free(90'900'000), true); })
                .hint(),
            "free some space there");
  EXPECT_NO_THROW(CheckSpace(
      space, "out", [](const std::string&) { return std::optional<uint64_t>(); }, false))
      << "nobody knows";
}

TEST(FreeBytes, AsksTheNearestFolderThatIsThere) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(FreeBytes(folder.path()));
  EXPECT_GT(*FreeBytes(folder.path()), 0u);
  EXPECT_TRUE(FreeBytes(folder / "not/yet/there"));
  EXPECT_TRUE(FreeBytes("not-there-either"));
}

}  // namespace
}  // namespace mlac
