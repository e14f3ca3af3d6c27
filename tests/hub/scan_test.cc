#include "hub/scan.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/sha256.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::TemporaryFolder;

std::string HashOf(const std::string& content) {
  Sha256 hash;
  hash.Add(content);
  return hash.Finish();
}

// A scan long after the files were written, so that their stamps can be relied on, and what it read.
struct LateScan {
  Manifest manifest;
  uint64_t num_bytes_read = 0;
};
LateScan ScanLate(const std::string& source, const std::string& index, std::time_t seconds_later = 10) {
  LateScan scan;
  scan.manifest = Scan(source, {.index_folder = index,
                                .on_progress = [&](const ScanProgress& progress) { scan.num_bytes_read = progress.num_bytes_read; },
                                .now = [=] { return std::time(nullptr) + seconds_later; }});
  return scan;
}

TEST(Scan, TakesEveryFileButThoseOfGitAndOfTheStore) {
  const TemporaryFolder folder;
  folder.Write("d/a", "1");
  folder.Write("d/empty", "");
  folder.Write("d/inner/.hidden", "22");
  folder.Write("d/.git/config", "x");
  folder.Write("d/inner/.mlac/store.json", "x");
  fs::create_directories(folder / "d/nothing");
  const Manifest manifest = Scan(folder / "d");
  ASSERT_EQ(manifest.entries().size(), 3u);
  EXPECT_EQ(*manifest.Find("a"), (ManifestEntry{"a", 1, HashOf("1")}));
  EXPECT_EQ(*manifest.Find("empty"), (ManifestEntry{"empty", 0, HashOf("")}));
  EXPECT_EQ(*manifest.Find("inner/.hidden"), (ManifestEntry{"inner/.hidden", 2, HashOf("22")}));
  EXPECT_EQ(Scan(folder / "d/"), manifest);
  EXPECT_EQ(Scan(folder / "d/a"), Manifest({{"a", 1, HashOf("1")}}));
}

TEST(Scan, RefusesWhatIsNoArtefact) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "empty/inner");
  ExpectError(ErrorCode::kInvalidInput, folder / "empty: holds no file", [&] { Scan(folder / "empty"); });
  ExpectError(ErrorCode::kNotFound, folder / "none: cannot open: No such file or directory", [&] { Scan(folder / "none"); });
  ExpectError(ErrorCode::kInvalidArgument, "the path 'a\\x00b' holds a NUL byte", [&] { Scan(std::string("a\0b", 3)); });
  EXPECT_THROW(Scan(""), Error);
  ExpectError(ErrorCode::kInvalidInput, "/dev/zero: expected a file, found a device", [&] { Scan("/dev/zero"); });
}

TEST(Scan, FollowsLinksThatStayInsideAndRefusesAllOthers) {
  const TemporaryFolder folder;
  folder.Write("secret", "s");
  folder.Write("outside/f", "o");
  const auto refuse = [&](const std::string& name, const std::function<void(const std::string&)>& make, const std::string& message) {
    const TemporaryFolder inner;
    inner.Write("f", "content");
    make(inner / name);
    ExpectError(ErrorCode::kInvalidInput, fmt::format("{}/{}: {}", inner.path(), name, message), [&] { Scan(inner.path()); });
  };
  refuse("up", [&](const std::string& path) { fs::create_symlink("../" + fs::path(folder.path()).filename().string() + "/secret", path); },
         "is a link that leads out of the folder");
  refuse("absolute", [&](const std::string& path) { fs::create_symlink(folder / "secret", path); }, "is a link that leads out of the folder");
  refuse("loop", [&](const std::string& path) { fs::create_symlink("loop", path); }, "is a link that leads nowhere or into /proc");
  refuse("proc", [&](const std::string& path) { fs::create_symlink("/proc/self/environ", path); }, "is a link that leads out of the folder");
  refuse("folder", [&](const std::string& path) { fs::create_symlink(folder / "outside", path); }, "is a link that leads out of the folder");
  refuse("here", [&](const std::string& path) { fs::create_symlink(".", path); }, "expected a file, found a folder");
  refuse("hard", [&](const std::string& path) { fs::create_hard_link(folder / "secret", path); }, "is one of 2 hard links to a file; expected one");
  refuse("fifo", [](const std::string& path) { ASSERT_EQ(mkfifo(path.c_str(), 0600), 0); }, "expected files and folders, found a device, FIFO or socket");
  refuse("socket",
         [](const std::string& path) {
           const FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM, 0));
           struct sockaddr_un address = {};
           address.sun_family = AF_UNIX;
           ASSERT_LT(path.size(), sizeof address.sun_path);
           path.copy(address.sun_path, path.size());
           ASSERT_EQ(bind(fd.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address), 0);
         },
         "expected files and folders, found a device, FIFO or socket");

  folder.Write("d/real/f", "inside");
  fs::create_symlink("real/f", folder / "d/link");
  fs::create_symlink("../link", folder / "d/real/up");
  const Manifest manifest = Scan(folder / "d");
  for (const char* path : {"link", "real/f", "real/up"}) EXPECT_EQ(manifest.Find(path)->sha256, HashOf("inside")) << path;
}

TEST(Scan, RefusesFileNamesThatNoManifestHolds) {
  for (const std::string name : {"a\\b", "a\nb", "a\tb", "\xff", "a\x7f"}) {
    const TemporaryFolder folder;
    folder.Write("d/" + name, "");
    EXPECT_THROW(Scan(folder / "d"), Error) << name;
  }
}

// ---- The index ----

TEST(Index, TheSecondScanReadsOnlyWhatChanged) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "index");
  for (int i = 0; i < 20; ++i) folder.Write(fmt::format("d/{}", i), std::string(100, static_cast<char>('a' + i)));
  const LateScan first = ScanLate(folder / "d", folder / "index");
  EXPECT_EQ(first.num_bytes_read, 2000u);
  const LateScan second = ScanLate(folder / "d", folder / "index");
  EXPECT_EQ(second.num_bytes_read, 0u);
  EXPECT_EQ(second.manifest, first.manifest);

  folder.Write("d/3", std::string(100, 'X'));
  folder.Write("d/new", "12345");
  fs::remove(folder / "d/4");
  const LateScan third = ScanLate(folder / "d", folder / "index", 20);
  EXPECT_EQ(third.num_bytes_read, 105u);
  EXPECT_EQ(third.manifest, Scan(folder / "d"));
  EXPECT_EQ(ScanLate(folder / "d", folder / "index").num_bytes_read, 0u);
  EXPECT_EQ(ScanLate(folder / "d/3", folder / "index").num_bytes_read, 100u) << "another source has an index of its own";
  EXPECT_EQ(ScanLate(folder / "d/3", folder / "index").num_bytes_read, 0u);
}

TEST(Index, AFileThatChangedAMomentAgoIsReadAgain) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "index");
  const std::string path = folder.Write("d/f", "old");
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  const auto bytes_read = [&](std::time_t seconds_later) {
    uint64_t num_bytes = 0;
    Scan(folder / "d", {.index_folder = folder / "index",
                        .on_progress = [&](const ScanProgress& progress) { num_bytes = progress.num_bytes_read; },
                        .now = [&] { return status.st_ctim.tv_sec + seconds_later; }});
    return num_bytes;
  };
  EXPECT_EQ(bytes_read(0), 3u);
  EXPECT_EQ(bytes_read(0), 3u) << "its stamp may hide a second change";
  EXPECT_EQ(bytes_read(2), 3u);
  EXPECT_EQ(bytes_read(3), 3u) << "it was not relied on before";
  EXPECT_EQ(bytes_read(3), 0u) << "its stamp was old enough when it was read";
  EXPECT_EQ(bytes_read(0), 0u);
}

TEST(Index, ATimeOfModificationThatIsSetBackHidesNothing) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "index");
  const std::string path = folder.Write("d/f", "old");
  const struct timespec times[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  ScanLate(folder / "d", folder / "index");
  // In place, the same size and the same time of modification: only ctime tells. The clock has gone on by then, since the file is synced.
  const FileDescriptor file(open(path.c_str(), O_WRONLY));
  struct stat before, after;
  ASSERT_EQ(fstat(file.get(), &before), 0);
  do {
    ASSERT_EQ(pwrite(file.get(), "new", 3, 0), 3);
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    ASSERT_EQ(fstat(file.get(), &after), 0);
  } while (after.st_ctim.tv_sec == before.st_ctim.tv_sec && after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
  EXPECT_EQ(ScanLate(folder / "d", folder / "index").manifest.Find("f")->sha256, HashOf("new"));
}

TEST(Index, ADamagedOneIsMadeAnewAndIsBelievedInNothing) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "index");
  folder.Write("d/f", "content");
  const Manifest expected = ScanLate(folder / "d", folder / "index").manifest;
  const std::string index = folder / "index/" + NamesIn(folder / "index").front();
  const std::string text = test::ReadWhole(index);
  EXPECT_TRUE(IsWholeIndex(text));
  for (size_t i = 0; i < text.size(); ++i) {
    std::string flipped = text;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_FALSE(IsWholeIndex(flipped)) << i;
    if (i % 16 != 0) continue;
    WriteFileAtomically(index, flipped);
    const LateScan scan = ScanLate(folder / "d", folder / "index");
    EXPECT_EQ(scan.num_bytes_read, 7u);
    EXPECT_EQ(scan.manifest, expected);
    EXPECT_EQ(test::ReadWhole(index), text);
  }
  // A whole one with another hash in a line that is none.
  const std::string lines = std::string(64, 'x') + " 1 2\n";
  WriteFileAtomically(index, lines + HashOf(lines) + "\n");
  EXPECT_EQ(ScanLate(folder / "d", folder / "index").manifest, expected);
}

TEST(Index, GoesWithoutWhereItCannotBeWritten) {
  const TemporaryFolder folder;
  folder.Write("d/f", "content");
  EXPECT_EQ(ScanLate(folder / "d", folder / "none").manifest, Scan(folder / "d"));
  EXPECT_EQ(ScanLate(folder / "d", "").num_bytes_read, 7u);
}

}  // namespace
}  // namespace mlac
