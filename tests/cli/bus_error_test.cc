#include "cli/bus_error.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "base/file.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

// Reads one byte, whatever the optimiser thinks of it.
void Touch(const void* address) { (void)*static_cast<const volatile char*>(address); }

TEST(CatchBusErrors, AMappedFileThatWasCutShortIsOneLineThatNamesIt) {
  const test::TemporaryFolder folder;
  const std::string path = folder.Write("model.safetensors", std::string(1 << 16, 'x'));
  const auto read_beyond_the_end = [&path] {
    CatchBusErrors();
    const MappedFile file(path);
    if (truncate(path.c_str(), 4096) != 0) _exit(99);
    Touch(file.bytes().data() + (1 << 15));
    _exit(98);
  };
  EXPECT_EXIT(read_beyond_the_end(), testing::ExitedWithCode(1), "^mlac: .*/model.safetensors: it was cut short or cannot be read any more");
}

TEST(CatchBusErrors, AnyOtherBusErrorEndsTheProcessAsBefore) {
  const test::TemporaryFolder folder;
  const std::string path = folder.Write("other", std::string(1 << 16, 'x'));
  const auto read_beyond_the_end = [&path] {
    CatchBusErrors();
    const FileDescriptor file = OpenForReading(path);
    const void* data = mmap(nullptr, 1 << 16, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (data == MAP_FAILED || truncate(path.c_str(), 4096) != 0) _exit(99);
    Touch(static_cast<const char*>(data) + (1 << 15));
    _exit(98);
  };
  EXPECT_EXIT(read_beyond_the_end(), testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace mlac
