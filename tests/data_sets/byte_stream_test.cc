#include "data/byte_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "data/encoding.h"
#include "tests/data_sets/reading.h"

namespace mlac {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Lines(std::string_view content) {
  ByteStream stream(content, "t.txt");
  std::vector<std::string> lines;
  for (std::string line; ReadLine(stream, /*max_bytes=*/1 << 20, line);) lines.push_back(line);
  return lines;
}

std::string StreamError(std::string_view content) {
  return ErrorOf([&] { Lines(content); });
}

TEST(ReadLine, EndsALineAtLfCrlfAndCr) {
  EXPECT_THAT(Lines("a\nb\r\nc\rd"), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(Lines("\n\r\n\r\rx\n"), ElementsAre("", "", "", "", "x"));
  EXPECT_THAT(Lines(""), ElementsAre());
  EXPECT_THAT(Lines("\xEF\xBB\xBF"), ElementsAre());
  EXPECT_THAT(Lines("\xEF\xBB\xBF"
                    "a\xEF\xBB\xBF"),
              ElementsAre("a\xEF\xBB\xBF"));  // only the first is a mark
}

TEST(ByteStream, CountsLinesAsReadLineDoes) {
  ByteStream stream("a\n\r\n\rb\r\nc", "t.txt");
  std::string seen;
  for (int byte = stream.Peek(); byte != ByteStream::kEnd; byte = stream.Peek()) {
    if (byte != '\n' && byte != '\r') seen += fmt::format("{}{} ", static_cast<char>(byte), stream.line());
    stream.Get();
  }
  EXPECT_EQ(seen, "a1 b4 c5 ");
}

// Sequences of 1 to 4 bytes at every place around the end of the block of 64 KiB that is read at once.
TEST(ByteStream, SequencesMayCrossBlocks) {
  for (const std::string_view letter : {"a", "é", "日", "😀"}) {
    for (size_t before = 65536 - 5; before <= 65536 + 1; ++before) {
      const std::string content = std::string(before, 'x') + std::string(letter) + "y";
      EXPECT_THAT(Lines(content), ElementsAre(content)) << letter << " at " << before;
      const std::string cut = content.substr(0, before + letter.size() - 1);
      if (letter.size() == 1) continue;
      EXPECT_THAT(StreamError(cut), testing::StartsWith(fmt::format("t.txt: line 1, byte {}: expected UTF-8", before + 1)));
    }
  }
}

TEST(ByteStream, NamesLineAndByteOfInvalidUtf8) {
  EXPECT_EQ(StreamError("abc\nun caf\xE9 noir\n"),
            "t.txt: line 2, byte 7: expected UTF-8 text, found the byte 0xE9; the file looks like WINDOWS-1252 (to convert it: iconv -f "
            "WINDOWS-1252 -t "
            "UTF-8 FILE > NEW)");
  EXPECT_THAT(StreamError("\xEF\xBB\xBF"
                          "a\xFF"),
              testing::StartsWith("t.txt: line 1, byte 2: expected UTF-8 text, found the byte 0xFF"));
  EXPECT_THAT(StreamError("a\rb\r\n\xC0\x80"), testing::StartsWith("t.txt: line 3, byte 1: expected UTF-8 text, found the byte 0xC0"));
  EXPECT_THAT(StreamError(std::string(70000, 'x') + "\r" + std::string(70000, 'y') + "\xED\xA0\x80"),
              testing::StartsWith("t.txt: line 2, byte 70001: expected UTF-8 text, found the byte 0xED"));
  EXPECT_EQ(StreamError(std::string_view("a\nb\0c and more", 14)),
            "t.txt: line 2, byte 2: expected UTF-8 text, found a NUL byte; the file looks like a binary file (expected CSV, TSV, JSONL or "
            "plain text)");
}

TEST(ByteStream, ReadsAPipeThatDeliversInPieces) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    for (const char c : std::string_view("日本\nx")) EXPECT_EQ(write(ends[1], &c, 1), 1);
    close(ends[1]);
  });
  ByteStream stream(FileDescriptor(ends[0]), "standard input");
  std::string line;
  EXPECT_TRUE(ReadLine(stream, 100, line));
  EXPECT_EQ(line, "日本");
  EXPECT_TRUE(ReadLine(stream, 100, line));
  EXPECT_EQ(line, "x");
  EXPECT_FALSE(ReadLine(stream, 100, line));
  writer.join();
}

TEST(ByteStream, SaysWhatTheSystemRefuses) {
  EXPECT_EQ(ErrorOf([] { ByteStream stream("/nonexistent/x.csv"); }), "/nonexistent/x.csv: cannot open: No such file or directory");
  EXPECT_EQ(ErrorOf([] {
              ByteStream stream(FileDescriptor(open("/", O_RDONLY)), "a folder");
              stream.Peek();
            }),
            "a folder: cannot read: Is a directory");
}

// Check 13 of the reliability list: 10 GB come through a socket, without a line end.
TEST(ByteStream, ALineOfTenGigabytesStopsInBoundedMemory) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  size_t num_taken = 0;
  std::thread writer([&] {
    const std::string head = "text,label\n", block(1 << 16, 'x');
    send(ends[1], head.data(), head.size(), MSG_NOSIGNAL);
    for (ssize_t sent = 0; num_taken < size_t{10} << 30; num_taken += static_cast<size_t>(sent)) {
      sent = send(ends[1], block.data(), block.size(), MSG_NOSIGNAL);
      if (sent < 0) break;  // the reader has closed
    }
    close(ends[1]);
  });
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  EXPECT_EQ(ErrorOf([&] {
              ReadRows(*OpenTable(ByteStream(FileDescriptor(ends[0]), "big.csv"), TableFormat::kCsv, {.columns = {"text", "label"}}));
            }),
            "big.csv: line 2: the row is longer than 16777216 bytes");
  getrusage(RUSAGE_SELF, &after);
  writer.join();
  EXPECT_LE(num_taken, size_t{17} << 20);
#ifndef __SANITIZE_ADDRESS__                                       // it keeps freed memory
  EXPECT_LE(after.ru_maxrss - before.ru_maxrss, (16 + 32) << 10);  // KiB
#endif
}

struct Sample {
  std::string_view encoding, bytes;
};
// Two sentences of each language, written by Python's codecs.
constexpr Sample kSamples[] = {
#include "tests/data_sets/encoding_samples.inc"
};

TEST(GuessFile, NamesTheEncodingOfRealSentences) {
  for (const Sample& sample : kSamples) EXPECT_EQ(GuessFile(sample.bytes, 0).name, sample.encoding);
}

TEST(GuessFile, KnowsWhatPeopleHandOverByMistake) {
  EXPECT_EQ(GuessFile(std::string_view("PK\x03\x04\x14\0", 6), 0).name, "an Excel workbook or a zip archive");
  EXPECT_EQ(GuessFile(std::string_view("\x1F\x8B\x08\0", 4), 0).name, "a gzip archive");
  EXPECT_EQ(GuessFile("PAR1\x15\x04", 0).name, "a Parquet file");
  EXPECT_EQ(GuessFile("PAR1\x15\xFF", 65536).name, "WINDOWS-1252");  // a signature stands at the start only
  EXPECT_EQ(GuessFile("m\x81rchen f\x81r kinder", 0).name, "");      // code page 850: no name is better than a wrong one
  EXPECT_EQ(GuessFile("m\x81rchen f\x81r kinder", 0).hint, "save it as UTF-8");
}

}  // namespace
}  // namespace mlac
