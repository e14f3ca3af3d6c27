#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

#include "tests/support/system_faults.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::KernelChecksLinks;
using test::ReadWhole;
using test::SystemFault;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

mode_t ModeOf(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

std::string Content(const MappedFile& file) { return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}; }

// ---- Reading ----

TEST(ReadFile, ReadsTheWholeFileUpToItsLimit) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("f", std::string("a\0b", 3));
  EXPECT_EQ(ReadFile(path, 3), std::string("a\0b", 3));
  ExpectError(ErrorCode::kTooLarge, path + ": 3 bytes, at most 2 are read", [&] { ReadFile(path, 2); });
  EXPECT_EQ(ReadFile(folder.Write("empty", ""), 0), "");
}

TEST(OpenForReading, RefusesWhatIsNoFileAndWaitsForNothing) {
  const TemporaryFolder folder;
  ExpectError(ErrorCode::kNotFound, folder / "none: cannot open: No such file or directory", [&] { OpenForReading(folder / "none"); });
  ExpectError(ErrorCode::kInvalidInput, folder.path() + ": expected a file, found a folder", [&] { OpenForReading(folder.path()); });
  ExpectError(ErrorCode::kInvalidInput, "/dev/zero: expected a file, found a device", [] { OpenForReading("/dev/zero"); });
  const std::string fifo = folder / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  ExpectError(ErrorCode::kInvalidInput, fifo + ": expected a file, found a FIFO", [&] { OpenForReading(fifo); });
  ExpectError(ErrorCode::kInvalidArgument, "the path 'a\\x00b' holds a NUL byte", [] { OpenForReading(std::string("a\0b", 3)); });
}

TEST(FileExists, FollowsLinksAndTellsFilesFromFolders) {
  const TemporaryFolder folder;
  folder.Write("f", "");
  fs::create_symlink("f", folder / "link");
  fs::create_symlink("none", folder / "dangling");
  EXPECT_TRUE(FileExists(folder / "f") && FileExists(folder / "link"));
  EXPECT_FALSE(FileExists(folder.path()) || FileExists(folder / "dangling") || FileExists(folder / "none"));
  EXPECT_TRUE(FolderExists(folder.path()));
  EXPECT_FALSE(FolderExists(folder / "f") || FolderExists(folder / "none"));
}

// ---- Names that strangers wrote ----

TEST(OpenBeneath, OpensFilesInTheFolderAndFollowsLinksThatStayInside) {
  if (!KernelChecksLinks()) GTEST_SKIP() << "this system has no openat2";
  const TemporaryFolder folder;
  folder.Write("f", "content");
  folder.Write("inner/g", "more");
  fs::create_symlink("inner/g", folder / "link");
  fs::create_symlink("../f", folder / "inner/up");
  for (const auto& [name, content] :
       {std::pair{"f", "content"}, {"inner/g", "more"}, {"link", "more"}, {"inner/up", "content"}}) {
    const FileDescriptor file = OpenBeneath(folder.path(), name);
    EXPECT_EQ(ReadFile(file, name, 100), content);
  }
}

TEST(OpenBeneath, SaysWhyItRefusesAName) {
  if (!KernelChecksLinks()) GTEST_SKIP() << "this system has no openat2";
  const TemporaryFolder outer;
  const std::string folder = outer / "m";
  outer.Write("secret", "s");
  outer.Write("m/f", "f");
  fs::create_symlink("../secret", folder + "/out");
  fs::create_symlink("loop", folder + "/loop");
  fs::create_hard_link(outer / "secret", folder + "/hard");
  const auto refuse = [&](const std::string& name, const std::string& message) {
    ExpectError(ErrorCode::kInvalidInput, folder + message, [&] { OpenBeneath(folder, name); });
  };
  refuse("", ": the file name '' is empty");
  refuse("/etc/passwd", ": the file name '/etc/passwd' is absolute; expected one inside the folder");
  refuse("../secret", ": the file name '../secret' has a part that is empty, '.' or '..'");
  refuse("a/../../secret", ": the file name 'a/../../secret' has a part that is empty, '.' or '..'");
  refuse("a//f", ": the file name 'a//f' has a part that is empty, '.' or '..'");
  refuse("f/", ": the file name 'f/' has a part that is empty, '.' or '..'");
  refuse("./f", ": the file name './f' has a part that is empty, '.' or '..'");
  refuse("..\\f", ": the file name '..\\f' holds a backslash or a control character");
  refuse("f\n", ": the file name 'f\\n' holds a backslash or a control character");
  refuse(std::string("f\0", 2), ": the file name 'f\\x00' holds a backslash or a control character");
  refuse("out", "/out: is a link that leads out of the folder");
  refuse("loop", "/loop: is a link that leads nowhere or into /proc");
  refuse("hard", "/hard: is one of 2 hard links to a file; expected one");
  ExpectError(ErrorCode::kNotFound, folder + "/none: cannot open: No such file or directory", [&] { OpenBeneath(folder, "none"); });
  ExpectError(ErrorCode::kNotFound, folder + "/%2e%2e%2fsecret: cannot open: No such file or directory",
              [&] { OpenBeneath(folder, "%2e%2e%2fsecret"); });
  ExpectError(ErrorCode::kNotFound, outer / "none: cannot open: No such file or directory", [&] { OpenBeneath(outer / "none", "f"); });
}

TEST(OpenBeneath, FollowsNoLinkWhereTheKernelCannotCheckIt) {
  const TemporaryFolder folder;
  folder.Write("f", "content");
  folder.Write("inner/g", "more");
  fs::create_symlink("f", folder / "link");
  fs::create_symlink("inner", folder / "folder_link");
  for (const int refusal : {ENOSYS, EPERM}) {
    const auto open = [&](const std::string& name) {
      const SystemFault fault("syscall", 0, refusal);
      const FileDescriptor file = OpenBeneath(folder.path(), name);
      EXPECT_TRUE(fault.struck());
      return ReadFile(file, name, 100);
    };
    EXPECT_EQ(open("f"), "content");
    EXPECT_EQ(open("inner/g"), "more");
    for (const std::string name : {"link", "folder_link/g"})
      ExpectError(ErrorCode::kInvalidInput, fmt::format("{}: is a link, and this system cannot say where it leads (no openat2)", folder / name),
                  [&] { open(name); });
    ExpectError(ErrorCode::kNotFound, folder / "inner/none: cannot open: No such file or directory", [&] { open("inner/none"); });
    ExpectError(ErrorCode::kNotFound, folder / "f/g: cannot open: Not a directory", [&] { open("f/g"); });
  }
}

TEST(OpenBeneath, TakesOnlyTheRealLayoutForTheHuggingFaceCache) {
  if (!KernelChecksLinks()) GTEST_SKIP() << "this system has no openat2";
  const TemporaryFolder folder;
  // Looks like a snapshot, but the folder above is no repository of the cache: a link out of it is refused.
  folder.Write("blobs/1", "blob");
  folder.Write("snapshots/rev/f", "f");
  fs::create_symlink("../../blobs/1", folder / "snapshots/rev/link");
  EXPECT_THROW(OpenBeneath(folder / "snapshots/rev", "link"), Error);
  fs::rename(folder / "snapshots", folder / "other");
  fs::create_directories(folder / "models--a");
  fs::rename(folder / "other", folder / "models--a/snapshots");
  EXPECT_THROW(OpenBeneath(folder / "models--a/snapshots/rev", "link"), Error);
  folder.Write("models--a/blobs/1", "blob");
  EXPECT_EQ(ReadFile(OpenBeneath(folder / "models--a/snapshots/rev", "link"), "link", 100), "blob");
  // Of a model in a folder inside the snapshot, as sentence-transformers has them, likewise.
  fs::create_directory(folder / "models--a/snapshots/rev/0_Transformer");
  fs::create_symlink("../../../blobs/1", folder / "models--a/snapshots/rev/0_Transformer/link");
  EXPECT_EQ(ReadFile(OpenBeneath(folder / "models--a/snapshots/rev/0_Transformer", "link"), "link", 100), "blob");
  fs::create_symlink("../../../../blobs/1", folder / "models--a/snapshots/rev/0_Transformer/out");
  EXPECT_THROW(OpenBeneath(folder / "models--a/snapshots/rev/0_Transformer", "out"), Error);
}

// ---- Mapped files ----

TEST(MappedFile, GivesTheBytesAndKeepsThemWhenTheFileIsReplaced) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("f", "old");
  const MappedFile file(path);
  EXPECT_EQ(Content(file), "old");
  WriteFileAtomically(path, "new content");
  EXPECT_EQ(Content(file), "old");
  file.CheckUnchanged();
  EXPECT_TRUE(MappedFile(folder.Write("empty", "")).bytes().empty());
}

TEST(MappedFile, NoticesThatItsFileWasWrittenTo) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("f", "0123456789");
  const MappedFile file(path);
  struct timespec times[2] = {{0, UTIME_OMIT}, {1, 0}};  // as a write does, without waiting for the clock to go on
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  ExpectError(ErrorCode::kIo, path + ": was written to while it was in use", [&] { file.CheckUnchanged(); });
  ASSERT_EQ(truncate(path.c_str(), 4), 0);
  ExpectError(ErrorCode::kIo, path + ": had 10 bytes when it was opened, has 4 now", [&] { file.CheckUnchanged(); });
}

TEST(MappedFileAt, NamesTheFileOfAnAddressAsLongAsItIsMapped) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("f", "0123456789");
  const std::byte* data = nullptr;
  {
    const MappedFile file(path), other(folder.Write("g", "x"));
    data = file.bytes().data();
    EXPECT_STREQ(MappedFileAt(data), path.c_str());
    EXPECT_STREQ(MappedFileAt(data + 9), path.c_str());
    EXPECT_EQ(MappedFileAt(data + 10), nullptr);
    EXPECT_EQ(MappedFileAt(data - 1), nullptr);
    EXPECT_EQ(MappedFileAt(nullptr), nullptr);
  }
  EXPECT_EQ(MappedFileAt(data), nullptr);
}

TEST(MappedFileAt, TellsAHandlerOfSigbusWhichFileWasCutShort) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("weights", std::string(1 << 16, 'x'));
  const auto child = [&] {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      const char* name = MappedFileAt(info->si_addr);
      if (name == nullptr) _exit(2);
      [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, name, std::strlen(name));
      _exit(1);
    };
    sigaction(SIGBUS, &action, nullptr);
    const MappedFile file(path);
    if (truncate(path.c_str(), 1) != 0) _exit(3);
    volatile const std::byte* last = &file.bytes().back();
    _exit(*last == std::byte{'x'} ? 0 : 4);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(1), "weights");
}

// ---- Files that appear whole ----

TEST(AtomicFile, ShowsNothingUnderItsNameBeforeCommit) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("f", "old");
  {
    AtomicFile file(path);
    file.Write("new");
    EXPECT_EQ(ReadWhole(path), "old");
    EXPECT_EQ(folder.List().size(), 2u);
  }
  EXPECT_THAT(folder.List(), ElementsAre("f"));
  EXPECT_EQ(ReadWhole(path), "old");
  {
    AtomicFile file(path);
    file.Write("ne");
    file.Write(std::as_bytes(std::span("w", 1)));
    file.Commit();
  }
  EXPECT_EQ(ReadWhole(path), "new");
  EXPECT_THAT(folder.List(), ElementsAre("f"));
}

TEST(AtomicFile, TakesTheUmaskForANewFileAndKeepsTheModeOfAnOldOne) {
  const TemporaryFolder folder;
  const mode_t mask = umask(027);
  WriteFileAtomically(folder / "new", "");
  umask(mask);
  EXPECT_EQ(ModeOf(folder / "new"), 0640u);
  fs::permissions(folder / "new", fs::perms::owner_read | fs::perms::owner_write);
  WriteFileAtomically(folder / "new", "again");
  EXPECT_EQ(ModeOf(folder / "new"), 0600u);
}

TEST(AtomicFile, RefusesAPlaceWhereNoFileCanBe) {
  const TemporaryFolder folder;
  EXPECT_EQ(ExpectError(ErrorCode::kNotFound, fmt::format("{}: cannot create: there is no folder '{}'", folder / "none/f", folder / "none"),
                        [&] { WriteFileAtomically(folder / "none/f", ""); })
                .hint(),
            "make it first: mkdir -p");
  ExpectError(ErrorCode::kInvalidArgument, folder.path() + ": expected the name of a file, found a folder",
              [&] { WriteFileAtomically(folder.path(), ""); });
  ExpectError(ErrorCode::kInvalidArgument, "/dev/null: expected the name of a file, found a device", [] { WriteFileAtomically("/dev/null", ""); });
  folder.Write("f", "");
  ExpectError(ErrorCode::kNotFound, folder / "f/g: cannot create: Not a directory", [&] { WriteFileAtomically(folder / "f/g", ""); });
}

TEST(AtomicFile, WritesFromSeveralThreadsToOneNameWithoutMixing) {
  const TemporaryFolder folder;
  const std::string path = folder / "f";
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&path, i] {
      for (int round = 0; round < 10; ++round) WriteFileAtomically(path, std::string(1000, static_cast<char>('a' + i)));
    });
  for (std::thread& thread : threads) thread.join();
  const std::string content = ReadWhole(path);
  EXPECT_EQ(content, std::string(1000, content.at(0)));
  EXPECT_THAT(folder.List(), ElementsAre("f"));
}

// ---- Folders that appear whole ----

TEST(StagedFolder, AppearsWholeOrNotAtAll) {
  const TemporaryFolder folder;
  {
    const StagedFolder dropped(folder / "out", /*overwrite=*/false);
    WriteFileAtomically(dropped.path() + "/f", "x");
    EXPECT_FALSE(FolderExists(folder / "out"));
  }
  EXPECT_THAT(folder.List(), IsEmpty());
  StagedFolder staged(folder / "out///", /*overwrite=*/false);
  fs::create_directories(staged.path() + "/inner");
  WriteFileAtomically(staged.path() + "/inner/f", "x");
  staged.Commit();
  EXPECT_THAT(folder.List(), ElementsAre("out", "out/inner", "out/inner/f"));
}

TEST(StagedFolder, ReplacesAFolderOnlyIfToldTo) {
  const TemporaryFolder folder;
  folder.Write("out/old", "");
  EXPECT_EQ(ExpectError(ErrorCode::kAlreadyExists, folder / "out: exists already", [&] { StagedFolder(folder / "out/", false); }).hint(),
            "--overwrite replaces it");
  StagedFolder staged(folder / "out", /*overwrite=*/true);
  WriteFileAtomically(staged.path() + "/new", "");
  EXPECT_TRUE(FileExists(folder / "out/old"));
  staged.Commit();
  EXPECT_THAT(folder.List(), ElementsAre("out", "out/new"));

  StagedFolder first(folder / "once", /*overwrite=*/true);  // nothing there to replace
  first.Commit();
  EXPECT_TRUE(FolderExists(folder / "once"));
}

TEST(StagedFolder, RefusesATargetThatAppearedMeanwhile) {
  const TemporaryFolder folder;
  StagedFolder staged(folder / "out", /*overwrite=*/false);
  folder.Write("out/theirs", "kept");
  ExpectError(ErrorCode::kAlreadyExists, folder / "out: exists already", [&] { staged.Commit(); });
  EXPECT_EQ(ReadWhole(folder / "out/theirs"), "kept");
}

TEST(StagedFolder, RefusesTargetsThatCannotBeReplaced) {
  const TemporaryFolder folder;
  folder.Write("file", "kept");
  fs::create_symlink("nowhere", folder / "dangling");
  for (const std::string target : {".", "..", "/", ""})
    ExpectError(ErrorCode::kInvalidArgument, fmt::format("'{}' cannot be an output folder", target), [&] { StagedFolder(target, true); });
  ExpectError(ErrorCode::kInvalidArgument, fmt::format("'{}/.' cannot be an output folder", folder.path()),
              [&] { StagedFolder(folder.path() + "/.", true); });
  ExpectError(ErrorCode::kAlreadyExists, folder / "file: is a file, not a folder", [&] { StagedFolder(folder / "file", true); });
  ExpectError(ErrorCode::kAlreadyExists, folder / "dangling: is a link, not a folder", [&] { StagedFolder(folder / "dangling", true); });
  ExpectError(ErrorCode::kInvalidArgument, "/proc: is a mount point, which cannot be replaced", [] { StagedFolder("/proc", true); });
  EXPECT_EQ(ExpectError(ErrorCode::kNotFound, fmt::format("{}: cannot create: there is no folder '{}'", folder / "a/b/out", folder / "a/b"),
                        [&] { StagedFolder(folder / "a/b/out", false); })
                .hint(),
            "make it first: mkdir -p");
  EXPECT_EQ(ReadWhole(folder / "file"), "kept");

  const fs::path here = fs::current_path();
  fs::create_directories(folder / "work/inner");
  fs::current_path(folder / "work/inner");
  for (const std::string target : {"work", "work/inner"})
    ExpectError(ErrorCode::kInvalidArgument, fmt::format("{}: is or holds the current folder", folder / target), [&] { StagedFolder(folder / target, true); });
  fs::create_directories(folder / "work2");  // a name that only begins alike
  StagedFolder(folder / "work2", true).Commit();
  fs::current_path(here);
}

TEST(StagedFolder, ReplacesTheFolderThatALinkLeadsTo) {
  const TemporaryFolder folder;
  folder.Write("disk/old", "");
  fs::create_symlink("disk", folder / "out");
  StagedFolder staged(folder / "out", /*overwrite=*/true);
  WriteFileAtomically(staged.path() + "/new", "");
  staged.Commit();
  EXPECT_TRUE(fs::is_symlink(folder / "out"));
  EXPECT_THAT(folder.List(), ElementsAre("disk", "disk/new", "out"));
}

TEST(StagedFolder, WorksOnFileSystemsWithoutAnExchange) {
  for (const int refusal : {EINVAL, ENOSYS, ENOTSUP}) {
    const TemporaryFolder folder;
    folder.Write("out/old", "");
    {
      StagedFolder staged(folder / "out", /*overwrite=*/true);
      WriteFileAtomically(staged.path() + "/new", "");
      const SystemFault fault("renameat2", 0, refusal);
      staged.Commit();
      EXPECT_TRUE(fault.struck());
    }
    EXPECT_THAT(folder.List(), ElementsAre("out", "out/new"));
    StagedFolder staged(folder / "fresh", /*overwrite=*/false);
    const SystemFault fault("renameat2", 0, refusal);
    staged.Commit();
    EXPECT_TRUE(FolderExists(folder / "fresh"));
  }
}

TEST(StagedFolder, PutsTheOldFolderBackIfTheNewOneCannotTakeItsPlace) {
  const TemporaryFolder folder;
  folder.Write("out/old", "");
  {
    StagedFolder staged(folder / "out", /*overwrite=*/true);
    const SystemFault no_exchange("renameat2", 0, EINVAL), second("rename", 1, EIO);
    ExpectError(ErrorCode::kIo, folder / "out: cannot replace: Input/output error", [&] { staged.Commit(); });
    EXPECT_TRUE(second.struck());
  }
  EXPECT_THAT(folder.List(), ElementsAre("out", "out/old"));

  StagedFolder staged(folder / "out", /*overwrite=*/true);
  const SystemFault no_exchange("renameat2", 0, EINVAL), second("rename", 1, EIO), back("rename", 2, EIO);
  ExpectError(ErrorCode::kIo,
              fmt::format("{}: cannot replace; its old content is {}-old now: Input/output error", folder / "out", staged.path()),
              [&] { staged.Commit(); });
  EXPECT_TRUE(FileExists(staged.path() + "-old/old"));
}

// ---- A broken disk: each call fails in turn ----

// What may be interrupted or done by halves, and is then carried on.
TEST(Faults, InterruptedAndPartialCallsAreCarriedOn) {
  const TemporaryFolder folder;
  const std::string content(1000, 'n');
  for (const auto& [function, error] : {std::pair<std::string_view, int>{"open", EINTR},
                                        {"write", EINTR},
                                        {"write", SystemFault::kPartial},
                                        {"fsync", EINTR},
                                        {"close", EINTR},
                                        {"pread", EINTR},
                                        {"pread", SystemFault::kPartial}}) {
    size_t nth = 0;
    for (bool struck = true; struck; ++nth) {
      const SystemFault fault(function, nth, error);
      WriteFileAtomically(folder / "f", content);
      EXPECT_EQ(ReadFile(folder / "f", 1000), content);
      struck = fault.struck();
    }
    EXPECT_GT(nth, 1u) << function << " was never called";
  }
  EXPECT_THAT(folder.List(), ElementsAre("f"));
}

TEST(Faults, ADiskThatCannotBeReadIsOneErrorWithItsReason) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("f", "content");
  for (const std::string_view function : {"open", "fstat", "pread"}) {
    const SystemFault fault(function, 0, EIO);
    EXPECT_THAT(ExpectError(ErrorCode::kIo, fmt::format("{}: cannot {}: Input/output error", path, function == "open" ? "open" : "read"),
                            [&] { ReadFile(path, 100); })
                    .hint(),
                IsEmpty());
    EXPECT_TRUE(fault.struck());
  }
}

TEST(Faults, AFullOrBrokenDiskLeavesTheOldFileOrTheNewOneAndNoTemporary) {
  size_t points = 0;
  for (const int error : {ENOSPC, EDQUOT, EIO, ENOMEM, EMFILE, EROFS, EACCES}) {
    for (const std::string_view function : test::FaultyFunctions()) {
      for (size_t nth = 0;; ++nth, ++points) {
        const TemporaryFolder folder;
        const std::string path = folder.Write("f", "old content");
        bool struck = false, failed = false;
        {
          const SystemFault fault(function, nth, error);
          try {
            WriteFileAtomically(path, "new");
          } catch (const Error& caught) {
            failed = true;
            EXPECT_THAT(caught.message(), HasSubstr(std::strerror(error)));
            EXPECT_EQ(caught.code() == ErrorCode::kResourceExhausted, error == ENOSPC || error == EDQUOT || error == ENOMEM || error == EMFILE);
          }
          struck = fault.struck();
        }
        const std::string found = ReadWhole(path);
        EXPECT_TRUE(found == "new" || (failed && found == "old content")) << function << " " << nth << ": " << found;
        EXPECT_THAT(folder.List(), ElementsAre("f")) << function << " " << nth;
        if (!struck) break;
      }
    }
  }
  EXPECT_GT(points, 50u);
}

TEST(Faults, AFullOrBrokenDiskLeavesTheOldFolderOrTheNewOneAndNoTemporary) {
  for (const bool exchange : {true, false}) {
    for (const int error : {ENOSPC, EIO}) {
      for (const std::string_view function : test::FaultyFunctions()) {
        for (size_t nth = 0;; ++nth) {
          const TemporaryFolder folder;
          if (exchange) folder.Write("out/old", "old");
          std::string failure;
          bool struck = false;
          {
            const SystemFault fault(function, nth, error);
            try {
              StagedFolder staged(folder / "out", /*overwrite=*/exchange);
              WriteFileAtomically(staged.path() + "/new", "new");
              staged.Commit();
            } catch (const Error& caught) {
              failure = caught.message();
              EXPECT_THAT(failure, HasSubstr(std::strerror(error)));
            }
            struck = fault.struck();
          }
          const std::vector<std::string> found = folder.List();
          const bool is_new = found == std::vector<std::string>{"out", "out/new"};
          const bool is_old = found == (exchange ? std::vector<std::string>{"out", "out/old"} : std::vector<std::string>{});
          const bool says_what_is_left = failure.find("could not be removed") != failure.npos && FileExists(folder / "out/new");
          EXPECT_TRUE(is_new || (is_old && !failure.empty()) || says_what_is_left) << function << " " << nth << ": " << testing::PrintToString(found);
          if (!struck) break;
        }
      }
    }
  }
}

TEST(Faults, SaysWhereTheOldFolderIsIfItCannotBeRemoved) {
  const TemporaryFolder folder;
  folder.Write("out/old", "");
  StagedFolder staged(folder / "out", /*overwrite=*/true);
  WriteFileAtomically(staged.path() + "/new", "");
  const std::string aside = staged.path();
  const SystemFault fault("unlinkat", 0, EIO);
  ExpectError(ErrorCode::kIo,
              fmt::format("{}: is written, but the folder that it replaces could not be removed and is now {}: Input/output error", folder / "out", aside),
              [&] { staged.Commit(); });
  EXPECT_TRUE(FileExists(folder / "out/new"));
}

TEST(Faults, AFileSystemThatCannotSyncFoldersIsNoError) {
  const TemporaryFolder folder;
  const SystemFault fault("fsync", 1, EINVAL);  // 0 is the file
  WriteFileAtomically(folder / "f", "x");
  EXPECT_TRUE(fault.struck());
}

TEST(Faults, AFileSizeLimitGivesOneErrorAndNoTemporary) {
  // The real thing, in a process of its own: the limit is what `ulimit -f` sets.
  const TemporaryFolder folder;
  const auto child = [&] {
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {4096, 4096};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      WriteFileAtomically(folder / "f", std::string(5000, 'x'));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kResourceExhausted && folder.List().empty()) {
        [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, error.what(), std::strlen(error.what()));
        _exit(1);
      }
    }
    _exit(2);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(1), "/f: cannot write: File too large");
}

}  // namespace
}  // namespace mlac
