#include "hub/store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <thread>

#include "base/random.h"
#include "hub/collect.h"
#include "hub/verify.h"
#include "tests/hub/store_folder.h"
#include "tests/hub/undertakings.h"
#include "tests/support/system_faults.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::InChild;
using test::kPointStep;
using test::Latest;
using test::StateOf;
using test::StoreFolder;
using test::StoreState;
using test::SystemFault;
using test::TemporaryFolder;
using test::Undertaking;
using test::Undertakings;
using testing::ElementsAre;
using testing::HasSubstr;

using Files = std::map<std::string, std::string>;

size_t NumBlobs(const Store& store) {
  size_t count = 0;
  for (const std::string& begin : NamesIn(store.Part("blobs"))) count += NamesIn(store.Part("blobs/" + begin)).size();
  return count;
}

// ---- Opening ----

TEST(Store, IsMadeOnceAndFoundFromFoldersInside) {
  const TemporaryFolder folder;
  const Store store = Store::OpenOrCreate(folder / ".mlac");
  EXPECT_EQ(Store::OpenOrCreate(folder / ".mlac").folder(), store.folder());
  EXPECT_EQ(test::ReadWhole(store.folder() + "/.gitignore"), "# Made by mlac.\n*\n");
  fs::create_directories(folder / "a/b");
  EXPECT_EQ(Store::Find(folder / "a/b"), store.folder());
  EXPECT_EQ(Store::Find(folder.path()), store.folder());
  fs::create_directories(folder / "a/.mlac");
  EXPECT_EQ(Store::Find(folder / "a/b"), store.folder()) << "a folder of that name is no store by itself";
}

TEST(Store, SaysWhyAFolderIsNone) {
  const TemporaryFolder folder;
  const std::string real = fs::canonical(folder.path()).string();
  ExpectError(ErrorCode::kNotFound, folder / "none: there is no such store", [&] { Store::Open(folder / "none"); });
  folder.Write("full/f", "");
  ExpectError(ErrorCode::kInvalidInput, folder / "full: is no store of mlac: there is no store.json in it", [&] { Store::Open(folder / "full"); });
  ExpectError(ErrorCode::kAlreadyExists, folder / "full: is no store of mlac, and not empty", [&] { Store::OpenOrCreate(folder / "full"); });
  ExpectError(ErrorCode::kAlreadyExists, folder / "full/f: is a file, not a store", [&] { Store::OpenOrCreate(folder / "full/f"); });
  Store::OpenOrCreate(folder / "s");
  const std::string format = test::ReadWhole(folder / "s/store.json");
  WriteFileAtomically(folder / "s/store.json", format.substr(1));
  EXPECT_THROW(Store::Open(folder / "s"), Error);
  fs::remove(folder / "s/store.json");
  EXPECT_NO_THROW(Store::OpenOrCreate(folder / "s")) << "one whose making was interrupted is finished";
  for (const std::string part : {"aliases", "blobs", "checkouts", "index", "records", "revisions", "tmp"}) {
    fs::remove_all(folder / "s/" + part);
    fs::create_directory_symlink(folder / "full", folder / "s/" + part);
    ExpectError(ErrorCode::kInvalidInput, fmt::format("{}/s/{}: expected a folder of the store, found a link or a file", real, part), [&] { Store::Open(folder / "s"); });
    fs::remove(folder / "s/" + part);
  }
}

// ---- Round trips ----

TEST(Store, GivesBackWhatWasPutIn) {
  StoreFolder s;
  const Files files = {{"model.safetensors", std::string(3'000'000, 'w')}, {"config.json", "{}"}, {"1_Pooling/config.json", "{}"}, {"empty", ""}, {"a b/日本", "x"}};
  const std::string revision = s.Add("topics", files);
  EXPECT_TRUE(IsRevision(revision));
  EXPECT_TRUE(s.store.Has(revision));
  EXPECT_EQ(s.Read(revision), files);
  EXPECT_EQ(s.store.ReadManifest(revision).Revision(), revision);
  EXPECT_THAT(s.store.Revisions(), ElementsAre(revision));
  EXPECT_THAT(s.store.Names(), ElementsAre("topics"));
  s.store.Export(revision, s.folder / "out", false);
  EXPECT_EQ(Scan(s.folder / "out").Revision(), revision);
  EXPECT_TRUE(Verify(s.store).damages.empty());
  // A checkout and an export are the same artefact.
  EXPECT_EQ(s.store.Add(s.store.OpenFolder(revision).path(), {.name = "again", .revision = ""}), revision);
  EXPECT_EQ(s.store.ScanSource(s.folder / "out").Revision(), revision);
}

TEST(Store, KeepsOneFileByItself) {
  StoreFolder s;
  const std::string path = s.folder.Write("train.csv", "text,label\n");
  const std::string revision = s.store.Add(path, {.name = "data", .revision = "", .kind = ArtefactKind::kData});
  const RevisionFolder folder = s.store.OpenFolder(revision);
  EXPECT_EQ(s.store.OnlyFile(folder), folder.path() + "/train.csv");
  EXPECT_EQ(test::ReadWhole(s.store.OnlyFile(folder)), "text,label\n");
  const std::string two = s.Add("two", {{"a", ""}, {"b", ""}});
  ExpectError(ErrorCode::kInvalidArgument, fmt::format("revision {} has 2 files; expected one", two), [&] { s.store.OnlyFile(s.store.OpenFolder(two)); });
}

TEST(Store, KeepsEqualFilesOnce) {
  StoreFolder s;
  s.Add("a", {{"1", "same"}, {"2", "same"}, {"3", "other"}});
  EXPECT_EQ(NumBlobs(s.store), 2u);
  s.Add("b", {{"x", "same"}, {"y", "new"}});
  EXPECT_EQ(NumBlobs(s.store), 3u);
}

TEST(Store, TheRecordSaysWhatMadeARevision) {
  StoreFolder s;
  const std::string data = s.Add("data", {{"train.csv", "1"}}), base = s.Add("base", {{"w", "1"}});
  const Record given = {.name = "", .revision = "", .made_by = "train", .base = base, .data = {{"train", data}}, .parameters = {{"lr", "1"}}, .seed = 7};
  const std::string revision = s.Add("topics", {{"w", "2"}}, given);
  const Record found = s.store.FindRecord("topics", revision).value();
  EXPECT_EQ(found.base, base);
  EXPECT_EQ(found.data, given.data);
  EXPECT_EQ(found.seed, 7u);
  EXPECT_FALSE(found.mlac_version.empty() || found.instruction_set.empty() || found.who.empty() || found.time.empty());
  // The first record stays; another name has its own.
  EXPECT_EQ(s.Add("topics", {{"w", "2"}}, {.name = "", .revision = "", .made_by = "add"}), revision);
  EXPECT_EQ(s.store.FindRecord("topics", revision), found);
  s.Add("copy", {{"w", "2"}});
  EXPECT_EQ(s.store.RecordsOf(revision).size(), 2u);
  EXPECT_FALSE(s.store.FindRecord("none", revision));

  const std::string unknown(40, 'a');
  const std::string message = fmt::format("{}: there is no revision '{}'", s.store.folder(), unknown);
  ExpectError(ErrorCode::kNotFound, message, [&] { s.Add("x1", {{"f", ""}}, {.name = "", .revision = "", .base = unknown}); });
  ExpectError(ErrorCode::kNotFound, message, [&] { s.Add("x1", {{"f", ""}}, {.name = "", .revision = "", .data = {{"train", unknown}}}); });
  ExpectError(ErrorCode::kNotFound, message, [&] { s.store.OpenFolder(unknown); });
  ExpectError(ErrorCode::kNotFound, message, [&] { s.store.ReadManifest(unknown); });
}

TEST(Store, LogHasTheNewestFirst) {
  StoreFolder s;
  std::vector<std::string> revisions;
  for (int i = 0; i < 5; ++i) revisions.push_back(s.Add("n1", {{"f", fmt::format("{}", i)}}, {.name = "", .revision = "", .time = fmt::format("2026-01-0{}T00:00:00.000Z", (i * 3) % 5 + 1)}));
  std::vector<std::string> times;
  for (const Record& record : s.store.Log("n1")) times.push_back(record.time);
  EXPECT_TRUE(std::is_sorted(times.rbegin(), times.rend()));
  EXPECT_EQ(times.size(), 5u);
  EXPECT_TRUE(s.store.Log("n2").empty());
}

TEST(Store, ReportsProgress) {
  StoreFolder s;
  s.folder.Write("d/a", "12");
  s.folder.Write("d/b", "345");
  ScanProgress last;
  s.store.Add(s.folder / "d", {.name = "n", .revision = ""}, {.on_progress = [&](const ScanProgress& progress) { last = progress; }, .on_wait = {}});
  EXPECT_EQ(last.num_files_done, 2u);
  EXPECT_EQ(last.num_files, 2u);
  EXPECT_EQ(last.num_bytes_read, 5u);
}

TEST(Store, DoesNotTakeItselfIn) {
  const TemporaryFolder folder;
  const Store store = Store::OpenOrCreate(folder / "shared");
  folder.Write("f", "");
  ExpectError(ErrorCode::kInvalidArgument, fmt::format("{}: the store {} lies in it", folder.path(), store.folder()),
              [&] { store.Add(folder.path(), {.name = "n", .revision = ""}); });
}

// ---- Checkouts ----

TEST(Checkout, WhatWasChangedInItIsMended) {
  StoreFolder s;
  const Files files = {{"config.json", "{}"}, {"inner/f", "content"}};
  const std::string revision = s.Add("n1", files);
  const std::string path = s.store.OpenFolder(revision).path();
  s.folder.Write("evil", "evil");
  const std::vector<std::function<void()>> changes = {
      [&] { fs::remove(path + "/config.json"); },
      [&] { fs::remove(path + "/config.json"), fs::create_symlink(s.folder / "evil", path + "/config.json"); },
      [&] { fs::remove(path + "/config.json"), fs::create_symlink("/etc/passwd", path + "/config.json"); },
      [&] { fs::remove(path + "/config.json"), fs::copy(s.folder / "evil", path + "/config.json"); },
      [&] { s.folder.Write(".mlac/checkouts/" + revision + "/modules.json", "[]"); },
      [&] { fs::create_symlink("/etc/passwd", path + "/inner/passwd"); },
      [&] { fs::rename(path + "/inner", s.folder / "moved"), fs::create_directory_symlink(s.folder / "moved", path + "/inner"); },
      [&] { fs::remove_all(path), fs::create_directory_symlink(s.folder / "source1", path); },
      [&] { fs::remove_all(path); },
      [&] { fs::remove_all(path + "/inner"); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    changes[i]();
    EXPECT_EQ(s.Read(revision), files) << i;
    EXPECT_FALSE(fs::is_symlink(path) || fs::is_symlink(path + "/inner")) << i;
    EXPECT_FALSE(fs::exists(path + "/modules.json") || fs::exists(path + "/inner/passwd")) << i;
  }
  EXPECT_EQ(test::ReadWhole(s.folder / "source1/config.json"), "{}") << "what a link led to is as it was";
  EXPECT_TRUE(fs::is_empty(s.store.Part("tmp")));
}

TEST(Checkout, OpensAsAStrangersFolderDoes) {
  StoreFolder s;
  const std::string revision = s.Add("n1", {{"f", "1"}, {"inner/g", "2"}});
  const RevisionFolder folder = s.store.OpenFolder(revision);
  EXPECT_EQ(ReadFile(OpenBeneath(folder.path(), "f"), "f", 10), "1");
  EXPECT_EQ(ReadFile(OpenBeneath(folder.path(), "inner/g"), "g", 10), "2");
  EXPECT_EQ(ReadFile(OpenBeneath(folder.path() + "/inner", "g"), "g", 10), "2");
  s.folder.Write("secret", "s");
  fs::create_symlink("../../../secret", folder.path() + "/out");
  ExpectError(ErrorCode::kInvalidInput, folder.path() + "/out: is a link that leads out of the folder", [&] { OpenBeneath(folder.path(), "out"); });
}

TEST(Checkout, SaysWhichFileIsMissingOrCut) {
  StoreFolder s;
  const std::string revision = s.Add("n1", {{"f", "12345"}});
  const std::string blob = s.store.BlobPath(s.store.ReadManifest(revision).entries().front().sha256);
  ASSERT_EQ(truncate(blob.c_str(), 2), 0);
  ExpectError(ErrorCode::kInvalidInput, fmt::format("{}: 'f' of revision {} has 2 bytes; expected 5", s.store.folder(), revision), [&] { s.store.OpenFolder(revision); });
  fs::remove(blob);
  ExpectError(ErrorCode::kInvalidInput, fmt::format("{}: 'f' of revision {} is missing", s.store.folder(), revision), [&] { s.store.OpenFolder(revision); });
  EXPECT_THROW(s.store.Export(revision, s.folder / "out", false), Error);
  EXPECT_FALSE(fs::exists(s.folder / "out"));
  EXPECT_EQ(s.Add("n1", {{"f", "12345"}}), revision) << "adding mends it";
  EXPECT_EQ(s.Read(revision).at("f"), "12345");
  fs::permissions(blob, fs::perms::owner_write, fs::perm_options::add);
  WriteFileAtomically(blob, "1234X");
  ExpectError(ErrorCode::kInvalidInput, blob + ": is damaged: it has other bytes than its name says", [&] { s.store.Export(revision, s.folder / "out", false); });
}

// ---- Several at once ----

TEST(Concurrency, ManyProcessesAddTheSameAndOthers) {
  StoreFolder s;
  for (int i = 0; i < 4; ++i) s.folder.Write(fmt::format("d{}/own", i), fmt::format("{}", i)), s.folder.Write(fmt::format("d{}/same", i), std::string(100'000, 's'));
  std::vector<std::thread> threads;
  std::array<int, 8> statuses;
  statuses.fill(-1);
  for (size_t i = 0; i < statuses.size(); ++i)
    threads.emplace_back([&, i] {
      const Store store = Store::Open(s.store.folder());
      for (int attempt = 0; attempt < 5; ++attempt) {
        const std::string revision = store.Add(s.folder / fmt::format("d{}", i % 4), {.name = fmt::format("name{}", i % 2), .revision = ""});
        const RevisionFolder folder = store.OpenFolder(revision);
        if (test::ReadWhole(folder.path() + "/own") != fmt::format("{}", i % 4)) return;
        if (i == 7) CollectGarbage(store, {.keep_last = 100});
      }
      statuses[i] = 0;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(statuses, testing::Each(0));
  EXPECT_TRUE(Verify(s.store).damages.empty());
  EXPECT_EQ(s.store.Revisions().size(), 4u);
  EXPECT_EQ(NumBlobs(s.store), 5u);
  EXPECT_TRUE(fs::is_empty(s.store.Part("tmp")));
}

TEST(FileLock, SaysWhoHoldsItAndEndsWithItsProcess) {
  const TemporaryFolder folder;
  const std::string path = folder / "lock";
  std::array<int, 2> ready, go;
  ASSERT_EQ(pipe(ready.data()), 0);
  ASSERT_EQ(pipe(go.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    const FileLock lock = FileLock::Take(path, LockMode::kExclusive, "apply topics");
    [[maybe_unused]] const ssize_t written = write(ready[1], "x", 1);
    char byte;
    [[maybe_unused]] const ssize_t got = read(go[0], &byte, 1);
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto message = [&](const LockMode mode) {
    try {
      FileLock::Take(path, mode, "me");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
      return error.message();
    }
    return std::string("it was free");
  };
  const std::string expected = fmt::format("{}: in use by process {} of {} (apply topics) since 2", path, child, Who());
  EXPECT_TRUE(message(LockMode::kExclusive).starts_with(expected)) << message(LockMode::kExclusive);
  EXPECT_TRUE(message(LockMode::kShared).starts_with(expected));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  std::string waited;
  const FileLock first = FileLock::Wait(path, LockMode::kShared, "me", [&](const std::string& text) { waited = text; });
  EXPECT_EQ(waited, "");
  const FileLock second = FileLock::Take(path, LockMode::kShared, "me too");
  EXPECT_THAT(message(LockMode::kExclusive), HasSubstr("(me too)"));
}

// ---- Faults and ends at every point ----

const std::vector<std::string_view> kFunctions = {"open", "openat", "fstat", "pread", "write", "fsync", "syncfs", "close", "mkdir", "rename", "renameat2", "unlink", "unlinkat", "symlink", "syscall"};

TEST(Faults, EveryFailingCallLeavesTheOldStateOrTheNewOne) {
  size_t points = 0;
  for (const Undertaking& undertaking : Undertakings()) {
    for (const std::string_view function : kFunctions) {
      for (size_t nth = 0;; nth += kPointStep, ++points) {
        const TemporaryFolder folder;
        const Store store = Store::OpenOrCreate(folder / ".mlac");
        undertaking.prepare(store, folder);
        const StoreState before = StateOf(store.folder());
        std::string failure;
        bool struck = false;
        {
          const SystemFault fault(function, nth, function == "open" || nth % 2 == 0 ? EIO : ENOSPC);
          try {
            undertaking.act(store, folder);
          } catch (const Error& error) {
            failure = error.message();
          }
          struck = fault.struck();
        }
        const std::string where = fmt::format("{}, {} {}: {}", undertaking.name, function, nth, failure);
        const StoreState found = StateOf(store.folder());
        EXPECT_TRUE(undertaking.name == "collect" || std::includes(found.names.begin(), found.names.end(), before.names.begin(), before.names.end())) << where;
        EXPECT_TRUE(Latest(store) && store.Has(*Latest(store))) << where;
        undertaking.act(store, folder);  // again, without a fault
        const StoreState after = StateOf(store.folder());
        EXPECT_TRUE(fs::is_empty(store.Part("tmp")) || failure.empty() || undertaking.name == "collect") << where << " left " << testing::PrintToString(NamesIn(store.Part("tmp")));
        if (!struck) {
          EXPECT_EQ(failure, "") << where;
          EXPECT_EQ(found, after) << where;
          break;
        }
      }
    }
  }
  EXPECT_GT(points * kPointStep, 200u);
}

TEST(Faults, InterruptedCallsAreCarriedOn) {
  for (const Undertaking& undertaking : Undertakings()) {
    for (const auto& [function, error] : {std::pair<std::string_view, int>{"open", EINTR}, {"pread", EINTR}, {"pread", SystemFault::kPartial}, {"write", EINTR},
                                          {"write", SystemFault::kPartial}, {"fsync", EINTR}, {"syncfs", EINTR}}) {
      for (size_t nth = 0;; nth += kPointStep) {
        const TemporaryFolder folder;
        const Store store = Store::OpenOrCreate(folder / ".mlac");
        undertaking.prepare(store, folder);
        bool struck = false;
        {
          const SystemFault fault(function, nth, error);
          EXPECT_NO_THROW(undertaking.act(store, folder)) << undertaking.name << ", " << function << " " << nth;
          struck = fault.struck();
        }
        StateOf(store.folder());
        if (!struck) break;
      }
    }
  }
}

TEST(Kill, AtEveryCallLeavesTheOldStateOrTheNewOneAndTheNextRunEndsAsIfUndisturbed) {
  size_t points = 0;
  for (const Undertaking& undertaking : Undertakings()) {
    StoreState undisturbed;
    {
      const TemporaryFolder folder;
      const Store store = Store::OpenOrCreate(folder / ".mlac");
      undertaking.prepare(store, folder);
      undertaking.act(store, folder);
      undisturbed = StateOf(store.folder());
    }
    for (const std::string_view function : kFunctions) {
      if (function == "fstat" || function == "pread" || function == "close") continue;  // nothing on the disk changes between these and their neighbours
      for (size_t nth = 0;; nth += kPointStep, ++points) {
        const TemporaryFolder folder;
        const Store store = Store::OpenOrCreate(folder / ".mlac");
        undertaking.prepare(store, folder);
        const StoreState before = StateOf(store.folder());
        const int status = InChild([&] {
          const SystemFault fault(function, nth, SystemFault::kKill);
          undertaking.act(store, folder);
          return fault.struck() ? 1 : 0;
        });
        const std::string where = fmt::format("{}, {} {}", undertaking.name, function, nth);
        const StoreState found = StateOf(store.folder());
        EXPECT_TRUE(undertaking.name == "collect" || found == before || found == undisturbed) << where;
        EXPECT_TRUE(Latest(store) && store.Has(*Latest(store))) << where;
        undertaking.act(store, folder);
        EXPECT_EQ(StateOf(store.folder()), undisturbed) << where;
        CollectGarbage(store, {.keep_last = 100});
        for (const std::string& name : folder.List()) EXPECT_EQ(name.find(".partial-"), std::string::npos) << where << ": " << name;
        EXPECT_TRUE(fs::is_empty(store.Part("tmp"))) << where;
        if (status == 0) break;
        EXPECT_EQ(status, 128 + SIGKILL) << where;
      }
    }
  }
  EXPECT_GT(points * kPointStep, 100u);
}

TEST(Kill, WhileAStoreIsMadeLeavesOneThatIsFinishedTheNextTime) {
  for (const std::string_view function : kFunctions) {
    for (size_t nth = 0;; ++nth) {
      const TemporaryFolder folder;
      const int status = InChild([&] {
        const SystemFault fault(function, nth, SystemFault::kKill);
        Store::OpenOrCreate(folder / ".mlac");
        return 0;
      });
      const Store store = Store::OpenOrCreate(folder / ".mlac");
      EXPECT_TRUE(Verify(store).damages.empty());
      if (status == 0) break;
    }
  }
}

}  // namespace
}  // namespace mlac
