#pragma once
// The reference of mlac.yaml and of a model's tests, and their JSON schemas for editors: made from the tables that read them.
#include <string>

namespace mlac {

std::string ProjectReferenceMarkdown();  // docs/mlac-yaml.md
std::string ProjectSchemaJson();         // docs/mlac.schema.json
std::string ModelTestsSchemaJson();      // docs/mlac-tests.schema.json

}  // namespace mlac
