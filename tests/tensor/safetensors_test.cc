#include "tensor/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <sstream>

#include "tests/support/system_faults.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::ReadWhole;
using test::TemporaryFolder;
using testing::ElementsAre;

// The bytes of a file with this header, its length before it, and num_data_bytes of data.
std::string FileOf(std::string_view header, size_t num_data_bytes = 0) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  bytes += header;
  for (size_t i = 0; i < num_data_bytes; ++i) bytes += static_cast<char>(i);
  return bytes;
}

SafetensorsFile Open(std::string bytes, const std::string& name = "m.safetensors") {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  return SafetensorsFile(std::as_bytes(std::span(*owner)), name, owner);
}

// A header with one F32 tensor "a" of shape [2], with more behind it.
std::string WithMore(std::string_view more) { return fmt::format(R"({{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}{}}})", more); }

std::string OneTensor(std::string_view fields) { return fmt::format(R"({{"a":{{{}}}}})", fields); }

// "1,1,1"
std::string Ones(size_t count) { return fmt::format("{}", fmt::join(std::vector<int>(count, 1), ",")); }

std::vector<std::string> Names(const SafetensorsFile& file) {
  std::vector<std::string> names;
  for (const TensorInfo& info : file.tensors()) names.push_back(info.name);
  return names;
}

// ---- Files that must open ----

TEST(Safetensors, GivesShapesTypesAndBytesOfEachTensor) {
  const SafetensorsFile file = Open(FileOf(R"({"b":{"dtype":"I16","shape":[1,2],"data_offsets":[8,12]},"a":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"}}    )", 12));
  EXPECT_THAT(Names(file), ElementsAre("a", "b"));
  EXPECT_EQ(file.num_data_bytes(), 12u);
  const Tensor b = file.Get("b");
  EXPECT_EQ(b.dtype(), DType::kI16);
  EXPECT_THAT(b.shape(), ElementsAre(1, 2));
  EXPECT_EQ(std::memcmp(b.data(), "\x08\x09\x0a\x0b", 4), 0);
  EXPECT_EQ(file.Find("c"), nullptr);
}

TEST(Safetensors, AcceptsFilesWithoutTensors) {
  for (const std::string_view header : {"{}", "{}      ", "{ }", "{\"__metadata__\":{}}", "{\"__metadata__\":{\"format\":\"pt\",\"\":\"\"}}"}) {
    const SafetensorsFile file = Open(FileOf(header));
    EXPECT_TRUE(file.tensors().empty()) << header;
  }
}

TEST(Safetensors, AcceptsScalarsAndEmptyTensors) {
  const SafetensorsFile file = Open(FileOf(
      R"({"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"e":{"dtype":"F32","shape":[3,0,5],"data_offsets":[8,8]},"f":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
      8));
  EXPECT_EQ(file.Get("s").num_elements(), 1u);
  EXPECT_TRUE(file.Get("s").shape().empty());
  EXPECT_EQ(file.Get("e").num_elements(), 0u);
  EXPECT_THAT(file.Get("e").shape(), ElementsAre(3, 0, 5));
  EXPECT_TRUE(file.Get("f").defined());
}

TEST(Safetensors, AcceptsAnEmptyTensorWhoseOtherDimensionsAreHuge) {
  // As the reference does: 0 times anything is 0, as long as no product before it overflows.
  EXPECT_EQ(Open(FileOf(OneTensor(R"("dtype":"U8","shape":[0,9223372036854775808,18446744073709551615],"data_offsets":[0,0])"))).Get("a").num_elements(), 0u);
}

TEST(Safetensors, AcceptsAsManyDimensionsAsAnyFrameworkMakes) {
  EXPECT_EQ(Open(FileOf(OneTensor(fmt::format(R"("dtype":"U8","shape":[{}],"data_offsets":[0,1])", Ones(64))), 1)).Get("a").shape().size(), 64u);
}

TEST(Safetensors, ReadsMetadataAndEscapedNames) {
  const SafetensorsFile file =
      Open(FileOf(R"({"__metadata__":{"format":"pt","k\u00e9y":"a\n\ud83d\ude00"},"\u0041\t\\":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.metadata().at("kéy"), "a\n😀");
  EXPECT_THAT(Names(file), ElementsAre("A\t\\"));
}

TEST(Safetensors, BorrowsAlignedTensorsAndCopiesOthers) {
  // 8 + length of the header decides where the data begins.
  for (size_t padding = 0; padding < 8; ++padding) {
    const std::string header = OneTensor(R"("dtype":"F64","shape":[1],"data_offsets":[0,8])") + std::string(padding, ' ');
    const std::string bytes = FileOf(header, 8);
    std::unique_ptr<std::byte[]> memory(new (std::align_val_t(64)) std::byte[bytes.size()]);
    std::memcpy(memory.get(), bytes.data(), bytes.size());
    const std::byte* data = memory.get() + 8 + header.size();
    const SafetensorsFile file(std::span(memory.get(), bytes.size()), "m", nullptr);
    const Tensor tensor = file.Get("a");
    const bool aligned = reinterpret_cast<uintptr_t>(data) % 8 == 0;
    EXPECT_EQ(tensor.data() == data, aligned) << padding;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % 8, 0u);
    EXPECT_EQ(std::memcmp(tensor.data(), data, 8), 0);
    operator delete[](memory.release(), std::align_val_t(64));
  }
}

TEST(Safetensors, KeepsTheMappingAliveAsLongAsATensorBorrowsIt) {
  const TemporaryFolder folder;
  Tensor tensor;
  {
    const SafetensorsFile file(std::make_shared<const MappedFile>(folder.Write("m", FileOf(WithMore("") + " ", 8))));
    tensor = file.Get("a");
  }
  EXPECT_EQ(std::memcmp(tensor.data(), "\0\1\2\3\4\5\6\7", 8), 0);
}

TEST(Safetensors, ListsATensorOfATypeThatMlacDoesNotStoreAndRefusesItOnlyWhenItIsRead) {
  const SafetensorsFile file = Open(FileOf(
      R"({"w":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]},"q":{"dtype":"F4","shape":[2],"data_offsets":[3,4]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}})",
      8));
  EXPECT_EQ(file.Find("w")->dtype_name, "F8_E4M3");
  EXPECT_FALSE(file.Find("w")->dtype.has_value());
  EXPECT_EQ(file.Get("b").dtype(), DType::kBF16);
  const Error error =
      ExpectError(ErrorCode::kUnsupported, "m.safetensors: tensor 'w' is F8_E4M3, which mlac cannot compute with", [&] { file.Get("w"); });
  EXPECT_EQ(error.hint(), "use a revision of the model in F32, BF16 or F16");
}

TEST(Safetensors, NamesTheNearestTensorWhereOneIsMissing) {
  const SafetensorsFile file = Open(FileOf(R"({"pooler.weight":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"));
  const Error near = ExpectError(ErrorCode::kNotFound, "m.safetensors: has no tensor 'poler.weight'", [&] { file.Get("poler.weight"); });
  EXPECT_EQ(near.hint(), "did you mean 'pooler.weight'?");
  EXPECT_EQ(ExpectError(ErrorCode::kNotFound, "m.safetensors: has no tensor 'x'", [&] { file.Get("x"); }).hint(), "");
}

// ---- Files that must be refused, each with one line ----

struct BadFile {
  std::string bytes, message;
  ErrorCode code = ErrorCode::kInvalidInput;
};

std::vector<BadFile> BadFiles() {
  const std::string offsets = R"("data_offsets":[0,8])", shape = R"("shape":[2])", dtype = R"("dtype":"F32")";
  const std::string all_types =
      "BOOL, F4, F6_E2M3, F6_E3M2, U8, I8, F8_E5M2, F8_E4M3, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64";
  const std::string structure = "The JSON document has an improper structure: missing or superfluous commas, braces, missing keys, etc.";
  const auto tensor = [](std::string_view name, size_t begin, size_t end) {
    return fmt::format(R"("{}":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", name, end - begin, begin, end);
  };
  const auto with_length = [](uint64_t length) {
    std::string bytes = FileOf("{}");
    std::memcpy(bytes.data(), &length, 8);
    return bytes;
  };
  return {
      // The length of the header
      {"", "has 0 bytes; expected at least 8, the length of the header"},
      {"1234567", "has 7 bytes; expected at least 8, the length of the header"},
      {with_length(3), "claims a header of 3 bytes; 2 follow"},
      {with_length(100'000'000), "claims a header of 100000000 bytes; 2 follow"},
      {with_length(100'000'001), "claims a header of 100000001 bytes; at most 100000000 are read", ErrorCode::kTooLarge},
      {with_length(~uint64_t{0}), "claims a header of 18446744073709551615 bytes; at most 100000000 are read", ErrorCode::kTooLarge},
      {"<!DOCTYPE html>", "claims a header of 5789751444030890300 bytes; at most 100000000 are read", ErrorCode::kTooLarge},
      // What the header is
      {FileOf(""), "the header begins with ''; expected '{'"},
      {FileOf(" {}"), "the header begins with ' '; expected '{'"},
      {FileOf("[]"), "the header begins with '['; expected '{'"},
      {FileOf("\xEF\xBB\xBF{}"), "the header begins with '\\xef'; expected '{'"},
      {FileOf("{\"a\xff\":1}"), "the header is no valid UTF-8 at byte 3"},
      {FileOf(R"({"\udc00":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"), "the header is no valid JSON near byte 10: Problem while parsing a string"},
      {FileOf(R"({"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"), "the header is no valid JSON near byte 10: Problem while parsing a string"},
      {FileOf(R"({"\ud800x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"), "the header is no valid JSON near byte 11: Problem while parsing a string"},
      {FileOf(R"({"\ud800\u0041":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"), "the header is no valid JSON near byte 16: Problem while parsing a string"},
      {FileOf(R"({"__metadata__":{"a":"\udfff"}})"), "the header is no valid JSON near byte 29: Problem while parsing a string"},
      {FileOf("{\"a"), "the header is no valid JSON: A string is opened, but never closed."},
      {FileOf("{"), "the header is no valid JSON near byte 0: JSON document ended early in the middle of an object or array."},
      {FileOf(R"({"a\q":{}})"), "the header is no valid JSON near byte 7: Problem while parsing a string"},
      {FileOf("{\"a\nb\":{}}"), "the header is no valid JSON: Within strings, some characters must be escaped, we found unescaped characters"},
      {FileOf(WithMore(",")), "the header is no valid JSON near byte 54: " + structure},
      {FileOf(WithMore("") + "{}"), "the header goes on behind its closing brace"},
      {FileOf(WithMore("") + "x"), "the header is no valid JSON near byte 0: JSON document ended early in the middle of an object or array."},
      {FileOf("{" + tensor("a", 0, 0) + " " + tensor("b", 0, 0) + "}"), "the header is no valid JSON near byte 53: " + structure},
      {FileOf("{a:1}"), "the header is no valid JSON near byte 1: " + structure},
      // What a tensor is
      {FileOf(R"({"a":3})"), "tensor 'a': expected an object, found '3'"},
      {FileOf(R"({"a":[[[[[[]]]]]]})"), "tensor 'a': expected an object, found an array"},
      {FileOf(R"({"a":null})"), "tensor 'a': expected an object, found 'null'"},
      {FileOf(R"({"a\nb":"x"})"), "tensor 'a\\nb': expected an object, found '\"x\"'"},
      {FileOf(OneTensor(shape + "," + offsets), 8), "tensor 'a': dtype is missing"},
      {FileOf(OneTensor(dtype + "," + offsets), 8), "tensor 'a': shape is missing"},
      {FileOf(OneTensor(dtype + "," + shape), 8), "tensor 'a': data_offsets is missing"},
      {FileOf(OneTensor(dtype + "," + dtype + "," + shape + "," + offsets), 8), "tensor 'a': dtype stands twice"},
      {FileOf(OneTensor(dtype + "," + shape + "," + shape + "," + offsets), 8), "tensor 'a': shape stands twice"},
      {FileOf(OneTensor(dtype + "," + shape + "," + offsets + "," + offsets), 8), "tensor 'a': data_offsets stands twice"},
      {FileOf(OneTensor(dtype + "," + shape + "," + offsets + R"(,"strides":[1])"), 8),
       "tensor 'a': expected dtype, shape and data_offsets, found the field 'strides'"},
      {FileOf(WithMore(R"(,"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]})"), 16), "tensor 'a' stands twice"},
      {FileOf(WithMore(R"(,"\u0061":{"dtype":"F32","shape":[2],"data_offsets":[8,16]})"), 16), "tensor 'a' stands twice"},
      // dtype
      {FileOf(OneTensor(R"("dtype":5,)" + shape + "," + offsets), 8), "tensor 'a': dtype: expected text, found '5'"},
      {FileOf(OneTensor(R"("dtype":"F33",)" + shape + "," + offsets), 8), "tensor 'a': dtype: expected one of " + all_types + ", found 'F33'"},
      {FileOf(OneTensor(R"("dtype":"f32",)" + shape + "," + offsets), 8), "tensor 'a': dtype: expected one of " + all_types + ", found 'f32'"},
      {FileOf(OneTensor(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])"), 2), "tensor 'a': F4 [3] has 12 bits; expected whole bytes"},
      // shape
      {FileOf(OneTensor(dtype + R"(,"shape":2,)" + offsets), 8), "tensor 'a': shape: expected an array, found '2'"},
      {FileOf(OneTensor(dtype + R"(,"shape":[-1],)" + offsets), 8), "tensor 'a': shape[0]: expected a whole number from 0 to 2^64 - 1, found '-1'"},
      {FileOf(OneTensor(dtype + R"(,"shape":[1,2.0],)" + offsets), 8), "tensor 'a': shape[1]: expected a whole number from 0 to 2^64 - 1, found '2.0'"},
      {FileOf(OneTensor(dtype + R"(,"shape":[1, "2" ],)" + offsets), 8), "tensor 'a': shape[1]: expected a whole number from 0 to 2^64 - 1, found '\"2\"'"},
      {FileOf(OneTensor(dtype + R"(,"shape":[02],)" + offsets), 8), "tensor 'a': shape[0]: expected a whole number from 0 to 2^64 - 1, found '02'"},
      {FileOf(OneTensor(dtype + R"(,"shape":[18446744073709551616],)" + offsets), 8),
       "tensor 'a': shape[0]: expected a whole number from 0 to 2^64 - 1, found '18446744073709551616'"},
      {FileOf(OneTensor(dtype + R"(,"shape":[[2]],)" + offsets), 8), "tensor 'a': shape[0]: expected a whole number from 0 to 2^64 - 1, found an array"},
      {FileOf(OneTensor(fmt::format(R"("dtype":"U8","shape":[{}],"data_offsets":[0,1])", Ones(65))), 1),
       "tensor 'a': shape: expected at most 64 numbers, found more"},
      {FileOf(OneTensor(dtype + R"(,"shape":[4294967296,4294967296],)" + offsets), 8), "tensor 'a': F32 [4294967296, 4294967296] has more than 2^63 bits"},
      {FileOf(OneTensor(dtype + R"(,"shape":[9223372036854775807,2],)" + offsets), 8), "tensor 'a': F32 [9223372036854775807, 2] has more than 2^63 bits"},
      {FileOf(OneTensor(dtype + R"(,"shape":[288230376151711744],)" + offsets), 8), "tensor 'a': F32 [288230376151711744] has more than 2^63 bits"},
      {FileOf(OneTensor(dtype + R"(,"shape":[18446744073709551615,0],"data_offsets":[0,0])")), "tensor 'a': F32 [18446744073709551615, 0] has more than 2^63 bits"},
      // data_offsets
      {FileOf(OneTensor(dtype + "," + shape + R"(,"data_offsets":"0")"), 8), "tensor 'a': data_offsets: expected an array, found '\"0\"'"},
      {FileOf(OneTensor(dtype + "," + shape + R"(,"data_offsets":[])"), 8), "tensor 'a': data_offsets: expected 2 numbers, found 0"},
      {FileOf(OneTensor(dtype + "," + shape + R"(,"data_offsets":[8])"), 8), "tensor 'a': data_offsets: expected 2 numbers, found 1"},
      {FileOf(OneTensor(dtype + "," + shape + R"(,"data_offsets":[0,8,8])"), 8), "tensor 'a': data_offsets: expected at most 2 numbers, found more"},
      {FileOf(OneTensor(dtype + "," + shape + R"(,"data_offsets":[8,0])"), 8), "tensor 'a': data_offsets [8, 0]: expected the begin before the end"},
      {FileOf(OneTensor(dtype + "," + shape + R"(,"data_offsets":[0,7])"), 8), "tensor 'a': F32 [2] asks for 8 bytes; data_offsets [0, 7] hold 7"},
      {FileOf(OneTensor(dtype + "," + shape + R"(,"data_offsets":[0,9])"), 9), "tensor 'a': F32 [2] asks for 8 bytes; data_offsets [0, 9] hold 9"},
      {FileOf(OneTensor(dtype + "," + shape + R"(,"data_offsets":[18446744073709551608,0])"), 8),
       "tensor 'a': data_offsets [18446744073709551608, 0]: expected the begin before the end"},
      // The layout
      {FileOf(WithMore(""), 7), "tensor 'a': data_offsets [0, 8]: the data has 7 bytes"},
      {FileOf(OneTensor(dtype + "," + shape + R"(,"data_offsets":[18446744073709551607,18446744073709551615])"), 8),
       "tensor 'a': data_offsets [18446744073709551607, 18446744073709551615]: the data has 8 bytes"},
      {FileOf(WithMore(""), 9), "the bytes 8 to 9 of the data belong to no tensor"},
      {FileOf("{}", 1), "the bytes 0 to 1 of the data belong to no tensor"},
      {FileOf("{" + tensor("a", 1, 8) + "}", 8), "the bytes 0 to 1 of the data belong to no tensor"},
      {FileOf("{" + tensor("b", 5, 8) + "," + tensor("a", 0, 4) + "}", 8), "the bytes 4 to 5 of the data belong to no tensor"},
      {FileOf("{" + tensor("a", 0, 5) + "," + tensor("b", 4, 8) + "}", 8), "tensor 'b': data_offsets [4, 8] overlap those of tensor 'a', [0, 5]"},
      {FileOf("{" + tensor("a", 0, 8) + "," + tensor("b", 0, 8) + "}", 8), "tensor 'b': data_offsets [0, 8] overlap those of tensor 'a', [0, 8]"},
      {FileOf("{" + tensor("a", 0, 8) + "," + tensor("b", 4, 4) + "}", 8), "tensor 'b': data_offsets [4, 4] overlap those of tensor 'a', [0, 8]"},
      // The metadata
      {FileOf(R"({"__metadata__":[]})"), "__metadata__: expected an object, found an array"},
      {FileOf(R"({"__metadata__":null})"), "__metadata__: expected an object, found 'null'"},
      {FileOf(R"({"__metadata__":{"a":1}})"), "__metadata__: 'a': expected text, found '1'"},
      {FileOf(R"({"__metadata__":{"a":{"b":"c"}}})"), "__metadata__: 'a': expected text, found an object"},
      {FileOf(R"({"__metadata__":{"a":"1","a":"1"}})"), "__metadata__: 'a' stands twice"},
      {FileOf(R"({"__metadata__":{},"__metadata__":{}})"), "__metadata__ stands twice"},
  };
}

TEST(Safetensors, RefusesEachKindOfBadFileWithOneLineThatNamesWhatWasExpectedAndFound) {
  for (const BadFile& bad : BadFiles()) {
    SCOPED_TRACE(bad.bytes.substr(0, 300));
    const Error error = ExpectError(bad.code, "m.safetensors: " + bad.message, [&] { Open(bad.bytes); });
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

// ---- Hostile input: bounded, never a crash ----

// The resident memory of this process at its highest, in bytes. 0 under the address sanitiser, which keeps what was freed.
size_t PeakMemory() {
#ifdef __SANITIZE_ADDRESS__
  return 0;
#endif
  std::istringstream status(ReadWhole("/proc/self/status"));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) << 10;
  return 0;
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string whole = ReadWhole(MLAC_TEST_DATA "/tensor/reference.safetensors");
  ASSERT_FALSE(whole.empty());
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_THROW(Open(whole.substr(0, size)), Error) << size;
}

TEST(Safetensors, NeitherCrashesNorGrowsOnAnyFlippedBit) {
  const std::string whole = ReadWhole(MLAC_TEST_DATA "/tensor/reference.safetensors");
  ASSERT_FALSE(whole.empty());
  const size_t before = PeakMemory();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    try {
      const SafetensorsFile file = Open(flipped);
      for (const TensorInfo& info : file.tensors()) EXPECT_EQ(file.Get(info.name).num_bytes(), info.num_bytes);
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kInvalidInput || error.code() == ErrorCode::kTooLarge || error.code() == ErrorCode::kUnsupported)
          << error.what();
    }
  }
  EXPECT_LE(PeakMemory() - before, size_t{32} << 20);
}

TEST(Safetensors, RefusesClaimsOfHugeSizesAtOnce) {
  const size_t before = PeakMemory();
  const auto begin = std::chrono::steady_clock::now();
  size_t num_files = 0;
  for (unsigned power = 32; power < 64; ++power) {
    const uint64_t huge = uint64_t{1} << power;
    for (const std::string& bytes :
         {FileOf(OneTensor(fmt::format(R"("dtype":"F32","shape":[{}],"data_offsets":[0,8])", huge)), 8),
          FileOf(OneTensor(fmt::format(R"("dtype":"U8","shape":[{}],"data_offsets":[0,{}])", huge, huge)), 8),
          FileOf(OneTensor(fmt::format(R"("dtype":"U8","shape":[{},{}],"data_offsets":[0,8])", huge, huge)), 8),
          FileOf(OneTensor(fmt::format(R"("dtype":"U8","shape":[8],"data_offsets":[{},{}])", huge, huge + 8)), 8)}) {
      EXPECT_THROW(Open(bytes), Error) << power;
      ++num_files;
    }
    std::string bytes = FileOf("{}");
    std::memcpy(bytes.data(), &huge, 8);
    EXPECT_THROW(Open(bytes), Error) << power;
    ++num_files;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, num_files * std::chrono::milliseconds(50));
  EXPECT_LE(PeakMemory() - before, size_t{16} << 20);
}

TEST(Safetensors, RefusesDeepNestingAtItsFirstLevel) {
  // A reader that recursed would need a stack for a million levels.
  const std::string brackets(1'000'000, '[');
  EXPECT_THROW(Open(FileOf("{\"a\":" + brackets + "}")), Error);
  EXPECT_THROW(Open(FileOf(OneTensor("\"shape\":" + brackets))), Error);
  std::string objects = "{";
  for (int i = 0; i < 200'000; ++i) objects += "\"a\":{";
  EXPECT_THROW(Open(FileOf(objects + "}")), Error);
}

TEST(Safetensors, KeepsItsMessagesShortWhateverTheFileSays) {
  const std::string name(1 << 20, 'n');
  for (const std::string& bytes : {FileOf("{\"" + name + "\":1}"), FileOf("{\"a\":\"" + name + "\"}"), FileOf("{\"a\":{\"" + name + "\":1}}"),
                                   FileOf("{\"a\":{\"dtype\":\"" + name + "\"}}"), FileOf("{\"__metadata__\":{\"" + name + "\":1}}")}) {
    try {
      Open(bytes);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_LT(error.message().size(), 500u);
    }
  }
}

// ---- Writing ----

// The tensors of tests/data/tensor/make_reference.py.
std::vector<NamedTensor> ReferenceTensors() {
  struct Entry {
    std::string name;
    DType dtype;
    Shape shape;
  };
  const std::vector<Entry> entries = {
      {"f32", DType::kF32, {2, 3}},
      {"scalar", DType::kF32, {}},
      {"empty", DType::kF32, {0, 5}},
      {"f16", DType::kF16, {3}},
      {"bf16", DType::kBF16, {5}},
      {"f64", DType::kF64, {1, 1, 2}},
      {"i8", DType::kI8, {7}},
      {"i16", DType::kI16, {2}},
      {"i32", DType::kI32, {3}},
      {"i64", DType::kI64, {1}},
      {"u8", DType::kU8, {5}},
      {"u16", DType::kU16, {1}},
      {"u32", DType::kU32, {2}},
      {"u64", DType::kU64, {2}},
      {"bool", DType::kBool, {3}},
      {"größe/重み😀", DType::kF32, {1}},
      {"quote \" backslash \\ tab \t line \n bell \a back \b form \f delete \x7f", DType::kF32, {1}},
      {"Z", DType::kF32, {1}},
      {"", DType::kF32, {1}},
  };
  std::vector<NamedTensor> tensors;
  for (size_t place = 0; place < entries.size(); ++place) {
    const auto& [name, dtype, shape] = entries[place];
    Tensor tensor = Tensor::Zeros(shape, dtype);
    const std::span<std::byte> bytes = tensor.mutable_bytes();
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>((37 * place + i) % (dtype == DType::kBool ? 2 : 256));
    tensors.push_back({name, tensor});
  }
  return tensors;
}

TEST(WriteSafetensors, WritesTheBytesOfTheReferenceLibraryWhateverTheOrderOfTheTensors) {
  const TemporaryFolder folder;
  const std::string expected = ReadWhole(MLAC_TEST_DATA "/tensor/reference.safetensors");
  std::vector<NamedTensor> tensors = ReferenceTensors();
  WriteSafetensors(folder / "m.safetensors", tensors, {{"format", "pt"}});
  EXPECT_EQ(ReadWhole(folder / "m.safetensors"), expected);
  std::reverse(tensors.begin(), tensors.end());
  WriteSafetensors(folder / "m.safetensors", tensors, {{"format", "pt"}});
  EXPECT_EQ(ReadWhole(folder / "m.safetensors"), expected);
  EXPECT_THAT(folder.List(), ElementsAre("m.safetensors"));
}

TEST(WriteSafetensors, IsReadBackBitForBit) {
  const TemporaryFolder folder;
  const std::vector<NamedTensor> tensors = ReferenceTensors();
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"b\n", "\"😀"}, {"a", ""}};
  WriteSafetensors(folder / "m", tensors, metadata);
  const SafetensorsFile file(std::make_shared<const MappedFile>(folder / "m"));
  EXPECT_EQ(file.metadata(), metadata);
  EXPECT_EQ(file.tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const Tensor read = file.Get(name);
    EXPECT_EQ(read.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(read.shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(read.data(), tensor.data(), tensor.num_bytes()), 0) << name;
  }
}

TEST(WriteSafetensors, PadsTheHeaderSoThatTensorsAreReadInPlace) {
  const TemporaryFolder folder;
  for (size_t length = 0; length < 8; ++length) {
    WriteSafetensors(folder / "m", std::vector<NamedTensor>{{std::string(length, 'n'), Tensor::Zeros({3}, DType::kF64)}});
    const auto mapped = std::make_shared<const MappedFile>(folder / "m");
    const Tensor tensor = SafetensorsFile(mapped).Get(std::string(length, 'n'));
    EXPECT_EQ(tensor.data() + 24, mapped->bytes().data() + mapped->bytes().size());
  }
}

TEST(WriteSafetensors, WritesAFileWithoutTensors) {
  const TemporaryFolder folder;
  WriteSafetensors(folder / "m", {});
  EXPECT_EQ(ReadWhole(folder / "m"), std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
}

TEST(WriteSafetensors, RefusesNamesThatNoReaderWouldTakeAndWritesNothing) {
  const TemporaryFolder folder;
  const Tensor zero = Tensor::Zeros({1});
  const std::string path = folder / "m";
  const auto write = [&](std::vector<NamedTensor> tensors, std::map<std::string, std::string> metadata = {}) {
    return [=] { WriteSafetensors(path, tensors, metadata); };
  };
  ExpectError(ErrorCode::kInvalidArgument, path + ": the name 'a' stands twice", write({{"a", zero}, {"b", zero}, {"a", zero}}));
  ExpectError(ErrorCode::kInvalidArgument, path + ": the name '__metadata__' is kept for metadata", write({{"__metadata__", zero}}));
  ExpectError(ErrorCode::kInvalidArgument, path + ": the name 'a\\xff' is no valid UTF-8", write({{"a\xff", zero}}));
  ExpectError(ErrorCode::kInvalidArgument, path + ": the name '\\xff' in the metadata is no valid UTF-8", write({}, {{"a", "\xff"}}));
  EXPECT_TRUE(folder.List().empty());
}

TEST(WriteSafetensors, LeavesTheOldFileAndNoTemporaryWhereverTheDiskIsFull) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("m", "old");
  const std::vector<NamedTensor> tensors = ReferenceTensors();
  size_t nth = 0;
  for (;; ++nth) {
    const test::SystemFault full("write", nth, ENOSPC);
    try {
      WriteSafetensors(path, tensors);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
      EXPECT_EQ(error.message(), path + ": cannot write: No space left on device");
      EXPECT_EQ(error.hint(), "free some space there");
    }
    if (!full.struck()) break;
    EXPECT_EQ(ReadWhole(path), "old") << nth;
    EXPECT_THAT(folder.List(), ElementsAre("m"));
  }
  EXPECT_EQ(nth, tensors.size());  // the header and each tensor but the empty one
}

}  // namespace
}  // namespace mlac
