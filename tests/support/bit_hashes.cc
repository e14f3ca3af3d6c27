#include "tests/support/bit_hashes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "kernels/instruction_set.h"
#include "tests/support/numbers.h"

namespace mlac::test {

bool WritesBitHashes() {
  const char* value = std::getenv("MLAC_WRITE_BIT_HASHES");
  return value != nullptr && std::string_view(value) == "1";
}

std::string HexHash(std::span<const float> values) { return fmt::format("{:016x}", HashOfBits(values)); }

void ExpectBitHashes(std::string_view name, const BitHashes& hashes, std::string_view what) {
  const std::string path = fmt::format("{}/bits/{}.json", MLAC_TEST_DATA, name);
  if (WritesBitHashes()) {
    ASSERT_EQ(kernels::InstructionSetInUse(), "scalar") << "hashes are written by the reference path alone: set MLAC_ISA=scalar";
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    WriteFileAtomically(path, nlohmann::json(hashes).dump(1) + "\n");
    return;
  }
  const auto expected = ReadJsonFile(path).get<BitHashes>();
  for (const auto& [key, hash] : expected) {
    const auto found = hashes.find(key);
    if (found == hashes.end()) {
      ADD_FAILURE() << what << ": '" << key << "' was not computed";
    } else {
      EXPECT_EQ(found->second, hash) << what << ": the bits of '" << key << "'";
    }
  }
  EXPECT_EQ(hashes.size(), expected.size()) << what;
}

}  // namespace mlac::test
