#pragma once
// The models that callers of the C API have open, behind handles that are no addresses: numbers that are never given twice, so that a model
// which is closed, or was opened before a fork, is refused instead of read.
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "base/fair_mutex.h"
#include "pipelines/text_model.h"

struct mlac_model;  // of mlac.h, which nothing defines

namespace mlac {

// One at a time computes with it.
struct SharedModel {
  SharedModel(const std::string& folder, const TextModelOptions& given) : options(given), text_model(folder, given) {}

  const TextModelOptions options;
  FairMutex turn;  // held for each use of text_model that is not const; who asks for much comes again behind those who wait
  TextModel text_model;
  std::atomic<uint64_t> num_truncated = 0;  // texts that were cut
};

// Safe from several threads, and in a process that is forked while others are in here.
class OpenModels {
 public:
  // The one of the process: handles have to be looked up without anything else in hand. It outlives static objects, since other threads may
  // still be in calls when the process ends.
  static OpenModels& Get();

  mlac_model* Add(std::shared_ptr<SharedModel> model);
  // The caller holds the model while it uses it. Throws kInvalidArgument for a handle that is not open, kUnsupported in a process that was
  // forked since: the threads of the model stayed behind.
  std::shared_ptr<SharedModel> Find(const mlac_model* handle) const;
  // Whether it was open. A model that was opened before a fork stays in memory: to end it would be to wait for threads that are not here.
  bool Remove(const mlac_model* handle);

 private:
  struct Entry {
    std::shared_ptr<SharedModel> model;
    pid_t process;  // that opened it
    bool closed;    // in a process that was forked since
  };

  OpenModels();

  mutable std::mutex mutex_;
  uintptr_t last_ = 0;
  std::map<uintptr_t, Entry> entries_;
};

}  // namespace mlac
