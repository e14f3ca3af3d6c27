#include "serve/model_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/utf8.h"

namespace mlac {
namespace {

void CheckName(const std::string& name) {
  const bool is_text = FindInvalidUtf8(name) == std::string::npos &&
                       std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (name.empty() || !is_text) throw Error(ErrorCode::kInvalidArgument, "a model's name is empty, or no text without control characters");
}

// Computes a text: the weights are packed, so that no request waits for that, and broken ones are found before one is asked. Then what its
// origin asks for.
void CheckModel(ServedModel& model, const ModelOrigin& origin, const std::string& name, ComputeTurns& turns) {
  if (model.is_classifier() && model.label_names().size() != model.output_size())
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the model '{}' has {} labels and names {}", name, model.output_size(), model.label_names().size()));
  std::vector<float> out(model.output_size());
  ComputeTurns::Party party;
  {
    const ComputeTurns::Turn turn = turns.Take(party);
    model.Compute({.token_ids = {0}, .token_type_ids = {0}, .offsets = {0, 1}}, Output::kSequence, out);
  }
  if (!std::all_of(out.begin(), out.end(), [](float value) { return std::isfinite(value); }))
    throw Error(ErrorCode::kInvalidInput, fmt::format("the model '{}' gives a number that is not finite", name), "its weights are broken");
  for (const auto& check : origin.checks) {
    const ComputeTurns::Turn turn = turns.Take(party);
    check(model);
  }
}

}  // namespace

ModelSet::~ModelSet() {
  for (const ServicePtr& service : Alive()) service->Stop();  // its requests hold it
  {
    const std::lock_guard lock(mutex_);
    services_.clear();
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return num_alive_ == 0; });
}

ModelSet::ServicePtr ModelSet::MakeService(const std::string& name, std::unique_ptr<ServedModel> model, ModelOrigin origin) {
  auto service = std::make_unique<InferenceService>(name, std::move(model), std::move(origin), options_, turns_, metrics_);
  const std::lock_guard lock(mutex_);
  ++num_alive_;
  ServicePtr shared(service.release(), [this](InferenceService* old) { janitor_.Post([this, old] { Retire(old); }); });
  std::erase_if(all_, [](const auto& other) { return other.expired(); });
  all_.push_back(shared);
  return shared;
}

void ModelSet::Retire(InferenceService* service) {
  delete service;
  const std::lock_guard lock(mutex_);
  --num_alive_;
  changed_.notify_all();
}

bool ModelSet::Put(const std::string& name, std::unique_ptr<ServedModel> model, ModelOrigin origin) {
  return PutChecked(name, std::move(model), std::move(origin), /*add=*/true);
}

bool ModelSet::Replace(const std::string& name, std::unique_ptr<ServedModel> model, ModelOrigin origin) {
  return PutChecked(name, std::move(model), std::move(origin), /*add=*/false);
}

bool ModelSet::PutChecked(const std::string& name, std::unique_ptr<ServedModel> model, ModelOrigin origin, bool add) {
  CheckName(name);
  CheckModel(*model, origin, name, turns_);
  origin.checks.clear();
  ServicePtr service = MakeService(name, std::move(model), std::move(origin));  // ends after the lock where it is not served
  const std::lock_guard lock(mutex_);
  const auto place = std::find_if(services_.begin(), services_.end(), [&](const ServicePtr& other) { return other->name() == name; });
  if (place == services_.end() && !add) return false;
  metrics_.SetModel(name, true);
  metrics_.SetRevision(name, service->origin().revision);
  if (place == services_.end()) {
    services_.push_back(std::move(service));
    return false;
  }
  place->swap(service);
  return true;
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
