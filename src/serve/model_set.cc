#include "serve/model_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/find_not_finite.h"
#include "base/utf8.h"

namespace mlac {
namespace {

void CheckName(const std::string& name) {
  const bool is_text = FindInvalidUtf8(name) == std::string::npos &&
                       std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (name.empty() || !is_text) throw Error(ErrorCode::kInvalidArgument, "a model's name is empty, or no text without control characters");
}

}  // namespace

ModelSet::~ModelSet() {
  std::unique_lock lock(mutex_);
  for (const auto& service : all_) {  // of which there are no more from here on
    const ServicePtr held = service.lock();
    lock.unlock();
    if (held) held->Stop();  // its requests hold it
    lock.lock();
  }
  services_.clear();
  changed_.wait(lock, [this] { return num_alive_ == 0; });
}

ModelSet::ServicePtr ModelSet::MakeService(const std::string& name, std::unique_ptr<ServedModel> model, ModelOrigin origin) {
  auto service = std::make_unique<InferenceService>(name, std::move(model), std::move(origin), options_, turns_, metrics_);
  const std::lock_guard lock(mutex_);
  // Made now: where a service is let go of there may be no memory, and no way to say so.
  WorkerThread::Prepared retire(1, [this, old = service.get()] { Retire(old); });
  ++num_alive_;
  ServicePtr shared(service.release(), [this, retire = std::move(retire)](InferenceService*) mutable { janitor_.Post(std::move(retire)); });
  std::erase_if(all_, [](const auto& other) { return other.expired(); });
  all_.push_back(shared);
  return shared;
}

void ModelSet::SayChanged() noexcept {
  try {
    janitor_.Post([this] { on_changed_(); });
  } catch (const std::exception&) {  // no memory: it is said when the next one ends
  }
}

void ModelSet::Retire(InferenceService* service) {
  delete service;
  on_changed_();
  const std::lock_guard lock(mutex_);
  --num_alive_;
  changed_.notify_all();
}

void ModelSet::RequireTaking() const {
  if (takes_no_more_) throw Error(ErrorCode::kCancelled, "the server is shutting down");
}

// Computes a text: the weights are packed, so that no request waits for that, and broken ones are found before one is asked. Then what its
// origin asks for.
void ModelSet::Check(ServedModel& model, const ModelOrigin& origin, const std::string& name) {
  if (model.is_classifier() && model.label_names().size() != model.output_size())
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the model '{}' has {} labels and names {}", name, model.output_size(), model.label_names().size()));
  ComputeTurns::Party party;
  constexpr size_t kFirstToken = 0;
  for (const Output output : {Output::kSequence, Output::kTokenLabels, Output::kMasks}) {
    std::vector<float> out(model.row_size(output));
    if (out.empty()) continue;
    RequireTaking();
    const ComputeTurns::Turn turn = turns_.Take(party);
    model.Compute({.token_ids = {0}, .token_type_ids = {0}, .offsets = {0, 1}}, {output, std::span(&kFirstToken, 1)}, out, kWholeTeam);
    if (FindNotFinite(out))
      throw Error(ErrorCode::kInvalidInput, fmt::format("the model '{}' gives a number that is not finite", name),
                  "its weights are broken");
  }
  for (const auto& check : origin.checks) {
    RequireTaking();
    const ComputeTurns::Turn turn = turns_.Take(party);
    check(model);
  }
}

bool ModelSet::Put(const std::string& name, std::unique_ptr<ServedModel> model, ModelOrigin origin) {
  std::vector<NamedModel> models;
  models.push_back({name, std::move(model), std::move(origin)});
  return PutTogether(std::move(models));
}

bool ModelSet::PutTogether(std::vector<NamedModel> models) {
  for (NamedModel& model : models) {
    CheckName(model.name);
    try {
      Check(*model.model, model.origin, model.name);
    } catch (const Error& error) {
      if (models.size() == 1) throw;
      throw Error(error.code(), fmt::format("'{}': {}", model.name, error.message()), error.hint());
    }
    if (model.origin.base.empty()) model.origin.checks.clear();  // an adapter is checked again when its base changes
  }
  std::vector<ServicePtr> services;  // those that were replaced end after the lock
  for (NamedModel& model : models) services.push_back(MakeService(model.name, std::move(model.model), std::move(model.origin)));
  const std::lock_guard lock(mutex_);
  const auto find = [&](const ServicePtr& service) {
    return std::find_if(services_.begin(), services_.end(), [&](const ServicePtr& other) { return other->name() == service->name(); });
  };
  const bool replaces = find(services.front()) != services_.end();
  for (const ServicePtr& service : services) {
    metrics_.SetModel(service->name(), true);
    metrics_.SetRevision(service->name(), service->origin().revision);
  }
  services_.reserve(services_.size() + services.size());  // from here on nothing fails half-way
  for (ServicePtr& service : services) {
    if (const auto place = find(service); place != services_.end()) {
      place->swap(service);
    } else {
      services_.push_back(service);
    }
  }
  return replaces;
}

void ModelSet::WarmUp() {
  for (const ServicePtr& service : All()) service->WarmUp(turns_);
}

bool ModelSet::Remove(std::string_view name) {
  ServicePtr removed;  // goes after the lock
  const std::lock_guard lock(mutex_);
  const auto place = std::find_if(services_.begin(), services_.end(), [&](const ServicePtr& service) { return service->name() == name; });
  if (place == services_.end()) return false;
  if (services_.size() == 1)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is the only model that is served", name), "load another one first");
  metrics_.SetModel((*place)->name(), false);
  metrics_.SetRevision((*place)->name(), "");
  removed = std::move(*place);
  services_.erase(place);
  return true;
}

ModelSet::ServicePtr ModelSet::Find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  for (const ServicePtr& service : services_)
    if (service->name() == name) return service;
  return nullptr;
}

std::vector<ModelSet::ServicePtr> ModelSet::All() const {
  const std::lock_guard lock(mutex_);
  return services_;
}

std::vector<ModelSet::ServicePtr> ModelSet::Alive() const {
  std::vector<ServicePtr> alive;
  const std::lock_guard lock(mutex_);
  for (const auto& service : all_)
    if (ServicePtr held = service.lock()) alive.push_back(std::move(held));
  return alive;
}

size_t ModelSet::num_in_flight() const {
  size_t count = 0;
  for (const ServicePtr& service : Alive()) count += service->num_in_flight();
  return count;
}

size_t ModelSet::num_waiting() const {
  size_t count = 0;
  for (const ServicePtr& service : Alive()) count += service->num_waiting();
  return count;
}

}  // namespace mlac
