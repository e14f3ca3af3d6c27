#pragma once
// Committed hashes of results: what makes "the same bits on every machine" a test. They are written by the plain scalar reference path alone,
// by `./dev fixtures`, which runs the tests that use them with MLAC_WRITE_BIT_HASHES=1 and MLAC_ISA=scalar after parity has passed.
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace mlac::test {

// Whether this run writes hashes. Then a test computes with the instruction set in use alone, which is the scalar one, or there is a failure.
bool WritesBitHashes();

// Hashes of tensors by name, as hexadecimal.
using BitHashes = std::map<std::string, std::string>;
std::string HexHash(std::span<const float> values);

// Compares with tests/data/bits/NAME.json, failing the test for each hash that differs, is missing there or here. what: for messages. When
// hashes are written it writes that file instead.
void ExpectBitHashes(std::string_view name, const BitHashes& hashes, std::string_view what = "");

}  // namespace mlac::test
