#pragma once
// How models come, go and change places while others answer: the one way for the admin routes and for aliases.
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serve/model_set.h"

namespace mlac {

struct ModelOpeners {
  // The model of a folder; throws as OpenServedModel.
  std::function<std::unique_ptr<ServedModel>(const std::string& folder)> model;
  // An adapter over a model that is served; throws as ServedModel::OpenAdapter.
  std::function<std::unique_ptr<ServedModel>(const ServedModel& base, const std::string& folder)> adapter;
};

// A model to load.
struct ModelSource {
  std::string name;         // what clients call it
  std::string folder;       // of the model; of an adapter, where origin.base names a model, its own
  ModelOrigin origin = {};  // of an adapter: origin.adapter need not be set
};

// An adapter stands over a model that is served. Where that model changes, its adapters are opened anew over the new one and checked, and all change
// places together; if one of them cannot, nothing changes. Safe to use from several threads: one load at a time, for which the others wait.
class ModelLoader {
 public:
  // models outlives the loader.
  ModelLoader(ModelOpeners open, ModelSet& models) : open_(std::move(open)), models_(models) {}
  ModelLoader(const ModelLoader&) = delete;
  ModelLoader& operator=(const ModelLoader&) = delete;

  // Opens and checks all (ModelSet::PutTogether), beside those that answer meanwhile. Returns whether the first replaced a model. Throws what opening and
  // checking throw, kNotFound where the base of an adapter is not served, kUnsupported where it is an adapter itself or an adapter would take the place
  // of a model that others stand over; then nothing has changed, and the message names the model if it is not the
  // first.
  bool Load(std::vector<ModelSource> sources);
  // The same for models that are served: one that is not any more is left out. Returns whether the first was served.
  bool Replace(std::vector<ModelSource> sources);
  // Throws as ModelSet::Remove, and kInvalidArgument where adapters stand over the model.
  void Unload(const std::string& name);

 private:
  bool LoadAndSayChanged(std::vector<ModelSource> sources);
  bool LoadAll(std::vector<ModelSource> sources);
  void AddAdaptersOf(std::vector<ModelSource>& sources) const;

  const ModelOpeners open_;
  ModelSet& models_;
  std::mutex mutex_;
};

}  // namespace mlac
