#pragma once
// Where a served model comes from: of the store its revision, its record, and what it must answer; of an adapter what it stands over.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hub/store.h"
#include "serve/served_model.h"

namespace mlac {

struct ModelOrigin {
  std::string revision = {};  // "": a folder of the user's
  std::string record = {};    // a JSON object, for /info
  // Throw what is wrong with a model before it is served. Each takes a turn of its own, so that requests to others wait for one at most.
  std::vector<std::function<void(ServedModel& model)>> checks = {};
  std::shared_ptr<const RevisionFolder> folder = nullptr;  // no garbage collection removes it while it is served
  std::string base = {};     // of an adapter: what clients call the model that it stands over, else ""
  std::string adapter = {};  // of an adapter: its folder, to open it anew when that model changes
};

// Of a revision that the store keeps under this name: what its record says but for who made it, which is none of a client's business, and
// a check for each answer that was recorded when it was published. Throws what reading the store throws.
ModelOrigin OriginOf(const Store& store, const std::string& name, RevisionFolder folder);

}  // namespace mlac
