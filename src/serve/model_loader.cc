#include "serve/model_loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace mlac {
namespace {

// The names of the adapters over a model.
std::vector<std::string> AdaptersOver(const ModelSet& models, const std::string& name) {
  std::vector<std::string> names;
  for (const ModelSet::ServicePtr& service : models.All())
    if (service->origin().base == name) names.push_back(fmt::format("'{}'", service->name()));
  return names;
}

bool Contains(const std::vector<ModelSource>& sources, const std::string& name) {
  return std::any_of(sources.begin(), sources.end(), [&](const ModelSource& source) { return source.name == name; });
}

}  // namespace

bool ModelLoader::Load(std::vector<ModelSource> sources) {
  const std::lock_guard lock(mutex_);
  return LoadAndSayChanged(std::move(sources));
}

bool ModelLoader::Replace(std::vector<ModelSource> sources) {
  const std::lock_guard lock(mutex_);
  if (models_.Find(sources.front().name) == nullptr) return false;
  std::erase_if(sources, [&](const ModelSource& source) { return models_.Find(source.name) == nullptr; });
  LoadAndSayChanged(std::move(sources));
  return true;
}

// What came has threads of its own; what is refused was opened perhaps, and has ended.
bool ModelLoader::LoadAndSayChanged(std::vector<ModelSource> sources) {
  try {
    const bool replaced = LoadAll(std::move(sources));
    models_.SayChanged();
    return replaced;
  } catch (...) {
    models_.SayChanged();
    throw;
  }
}

void ModelLoader::Unload(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (const std::vector<std::string> adapters = AdaptersOver(models_, name); !adapters.empty())
    throw Error(ErrorCode::kInvalidArgument, fmt::format("adapters stand over '{}': {}", name, fmt::join(adapters, ", ")),
                "unload them first");
  models_.Remove(name);
}

// The adapters that are served over a model among the sources, as they are.
void ModelLoader::AddAdaptersOf(std::vector<ModelSource>& sources) const {
  for (const ModelSet::ServicePtr& service : models_.All()) {
    const ModelOrigin& origin = service->origin();
    if (!origin.base.empty() && Contains(sources, origin.base) && !Contains(sources, service->name()))
      sources.push_back({service->name(), origin.adapter, origin});
  }
}

bool ModelLoader::LoadAll(std::vector<ModelSource> sources) {
  const std::string first = sources.front().name;
  const bool replaces = models_.Find(first) != nullptr;
  AddAdaptersOf(sources);
  std::stable_partition(sources.begin(), sources.end(), [](const ModelSource& source) { return source.origin.base.empty(); });
  std::vector<NamedModel> opened;
  // What adapters may stand over: the new model of that name, else the one that is served.
  const auto find_base = [&](const std::string& name, ModelSet::ServicePtr& held) -> const ServedModel& {
    for (const NamedModel& model : opened)
      if (model.name == name && model.origin.base.empty()) return *model.model;
    held = models_.Find(name);
    if (held == nullptr) throw Error(ErrorCode::kNotFound, fmt::format("the base '{}' is not served", name));
    if (!held->origin().base.empty())
      throw Error(ErrorCode::kUnsupported, fmt::format("'{}' is an adapter itself, over '{}'", name, held->origin().base));
    return held->model();
  };
  for (ModelSource& source : sources) {
    try {
      if (source.origin.base.empty()) {
        opened.push_back({source.name, open_.model(source.folder), std::move(source.origin)});
        continue;
      }
      if (source.name == source.origin.base) throw Error(ErrorCode::kUnsupported, fmt::format("'{}' cannot stand over itself", source.name));
      if (const std::vector<std::string> adapters = AdaptersOver(models_, source.name); !adapters.empty())
        throw Error(ErrorCode::kUnsupported, fmt::format("an adapter cannot take the place of '{}', over which adapters stand: {}",
                                                         source.name, fmt::join(adapters, ", ")));
      ModelSet::ServicePtr held;
      std::unique_ptr<ServedModel> model = open_.adapter(find_base(source.origin.base, held), source.folder);
      source.origin.adapter = source.folder;
      opened.push_back({source.name, std::move(model), std::move(source.origin)});
    } catch (const Error& error) {
      if (source.name == first) throw;
      throw Error(error.code(), fmt::format("'{}', which changes with it: {}", source.name, error.message()), error.hint());
    }
  }
  models_.PutTogether(std::move(opened));
  return replaces;
}

}  // namespace mlac
