#pragma once
// Where commands find the store, and what a model on the command line is.
#include <optional>
#include <string>
#include <string_view>

#include "hub/aliases.h"
#include "hub/store.h"

namespace mlac {

class Command;

// MLAC_STORE of the environment, "" for none.
std::string StoreOfEnvironment();

// --store.
void AddStoreOption(Command command, std::string& store);

// The store that was given, else MLAC_STORE, else what the current folder has or the nearest one above it: the store that its mlac.yaml
// names, or .mlac where it has no mlac.yaml. Throws kNotFound if there is none, and what ReadProject throws.
Store OpenStore(const std::string& given);
// The same; where there is none, a new one: `given`, or .mlac here.
Store OpenOrCreateStore(const std::string& given);

// What -m was given. As long as it lives, a revision of the store stays.
struct ModelFolder {
  std::string path;       // to open
  std::string name = {};  // of a reference the part before '@', else ""
  std::optional<RevisionFolder> revision = {};
  std::string alias = {};  // of a reference that names one the part behind '@'
  std::optional<Store> store = {};
};

// given: a path, or NAME@ALIAS or NAME@REVISION of the store where nothing of that path is there. Throws what Resolve throws,
// kInvalidArgument for a revision that is no model, kNotFound for a bare name of the store where nothing of that path is there. A path is
// not looked at further.
ModelFolder FindModel(const std::string& given);

// The same of --adapter; "" for "".
ModelFolder FindAdapter(const std::string& given);

// What a card calls it: the last part of a path, or of a reference what it stands for, so that the card says the same tomorrow.
std::string CardName(const ModelFolder& given);

// "0123456789ab": as much of a revision as people need.
std::string ShortRevision(std::string_view revision);
// "2026-11-27 23:55" of Record::time.
std::string ShortTime(std::string_view time);

}  // namespace mlac
