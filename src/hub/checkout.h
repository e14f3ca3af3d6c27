#pragma once
// A revision as a folder: a link for each of its files, to the blob in the store.
// Links rather than hard links, since a hard link is the blob itself: what writes into it would change every revision that has the file, and
// OpenBeneath (base/file.h) refuses files with several.
#include <string>

#include "hub/manifest.h"

namespace mlac {

// folder: STORE/checkouts/REVISION, or where it will be renamed from.
void MakeCheckout(const std::string& folder, const Manifest& manifest);

// Whether a checkout is what the manifest says: a link to the right blob for each file, and nothing beside them that a reader could find.
bool IsWholeCheckout(const std::string& folder, const Manifest& manifest);

// Whether path is a folder, and not a link to one.
bool IsFolderItself(const std::string& path);

}  // namespace mlac
