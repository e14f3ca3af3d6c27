#pragma once
// The models that a process serves, by name, and the one way in which they come, go and change places while requests are answered.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/compute_turns.h"
#include "serve/inference_service.h"
#include "serve/metrics.h"
#include "serve/model_origin.h"
#include "serve/served_model.h"
#include "serve/worker_thread.h"

namespace mlac {

// A model and what clients call it.
struct NamedModel {
  std::string name;
  std::unique_ptr<ServedModel> model;
  ModelOrigin origin = {};
};

// Safe to use from several threads.
class ModelSet {
 public:
  using ServicePtr = std::shared_ptr<InferenceService>;

  // metrics outlives the set. on_changed: called from a thread of the set when a model has ended, whatever it held given back, and by
  // SayChanged; must not throw.
  ModelSet(
      const InferenceServiceOptions& options, ServeMetrics& metrics, std::function<void()> on_changed = [] {})
      : options_(options), metrics_(metrics), on_changed_(std::move(on_changed)), turns_(options.num_lanes) {}
  // What is not computed yet is dropped; nobody may hold a service any more but its own requests.
  ~ModelSet();
  ModelSet(const ModelSet&) = delete;
  ModelSet& operator=(const ModelSet&) = delete;

  // Checks the model by computing a text, beside those that answer meanwhile, and serves it under this name from then on. Where the name
  // is taken, the new model takes its place: requests that came before keep the old one, which goes with the last of them, and none is
  // lost. Returns whether it replaced one. Throws kInvalidInput for a model that gives numbers that are not finite or names its labels
  // wrong, kInvalidArgument for a name that is empty or holds a control character, and what a check of its origin throws; then nothing has
  // changed.
  bool Put(const std::string& name, std::unique_ptr<ServedModel> model, ModelOrigin origin = {});
  // The same of several (no two of one name), which are all checked and then take their places at once: no request finds some of them old and some new.
  // Returns whether the first replaced one.
  bool PutTogether(std::vector<NamedModel> models);

  // What is being checked will not be served, and nothing more: Put throws kCancelled, before the next of its checks. For the end of a
  // server, which would wait for all of them.
  void TakeNoMore() { takes_no_more_ = true; }

  // Has on_changed called, for models that came, or that ended without having been served.
  void SayChanged() noexcept;

  // Serves it no more; the requests that it has are answered. Returns whether there was one. Throws kInvalidArgument if it is the only one.
  bool Remove(std::string_view name);

  // Has each model compute as many tokens as one request brings into a batch, in sequences as long as it takes them.
  void WarmUp();

  // Null if there is none of that name.
  ServicePtr Find(std::string_view name) const;
  // In the order in which their names came. At least one, once there was one.
  std::vector<ServicePtr> All() const;

  const InferenceServiceOptions& options() const { return options_; }
  // Of all, those that were replaced and still answer included.
  size_t num_in_flight() const;
  size_t num_waiting() const;

 private:
  void Check(ServedModel& model, const ModelOrigin& origin, const std::string& name);
  void RequireTaking() const;
  ServicePtr MakeService(const std::string& name, std::unique_ptr<ServedModel> model, ModelOrigin origin);
  std::vector<ServicePtr> Alive() const;
  void Retire(InferenceService* service);

  const InferenceServiceOptions options_;
  ServeMetrics& metrics_;
  const std::function<void()> on_changed_;
  std::atomic<bool> takes_no_more_ = false;
  ComputeTurns turns_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ServicePtr> services_;
  std::vector<std::weak_ptr<InferenceService>> all_;  // those that requests hold too
  size_t num_alive_ = 0;
  // Where services end: the last request of one lets go of it on a thread that belongs to it, and would wait for itself.
  WorkerThread janitor_;
};

}  // namespace mlac
