#include "project/openlineage.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/build_info.h"
#include "base/error.h"
#include "base/json.h"
#include "hub/record.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

HttpClientOptions ClientOptions(const LineageOptions& options) {
  HttpClientOptions client;
  if (!options.token.empty()) client.fields.push_back({"authorization", "Bearer " + options.token});
  return client;
}

std::string Producer() { return "urn:mlac:" + std::string(GetBuildInfo().version); }

ordered_json Facet(const std::string& schema) {
  return {{"_producer", Producer()}, {"_schemaURL", "https://openlineage.io/spec/facets/" + schema}};
}

ordered_json Datasets(const std::vector<LineageDataset>& datasets) {
  ordered_json list = ordered_json::array();
  for (const LineageDataset& dataset : datasets) {
    ordered_json entry = {{"namespace", dataset.space}, {"name", dataset.name}};
    if (!dataset.version.empty()) {
      ordered_json facet = Facet("1-0-1/DatasetVersionDatasetFacet.json");
      facet["datasetVersion"] = dataset.version;
      entry["facets"] = {{"version", std::move(facet)}};
    }
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

std::string NewLineageRun() {
  std::random_device device;
  std::string hex;
  for (int i = 0; i < 4; ++i) hex += fmt::format("{:08x}", device() & 0xffffffffu);
  hex[12] = '4';                                        // the version
  hex[16] = "89ab"[static_cast<size_t>(device() % 4)];  // the variant
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4), hex.substr(20));
}

std::string LineageJson(const LineageEvent& event, const std::string& job_namespace, const std::string& time) {
  constexpr const char* kTypes[] = {"START", "COMPLETE", "FAIL", "ABORT"};  // by Type
  ordered_json run = {{"runId", event.run}};
  if (!event.message.empty()) {
    ordered_json facet = Facet("1-0-1/ErrorMessageRunFacet.json");
    facet["message"] = event.message;
    facet["programmingLanguage"] = "C++";
    run["facets"] = {{"errorMessage", std::move(facet)}};
  }
  const ordered_json out = {{"eventType", kTypes[static_cast<size_t>(event.type)]},
                            {"eventTime", time},
                            {"run", std::move(run)},
                            {"job", {{"namespace", job_namespace}, {"name", event.job}}},
                            {"inputs", Datasets(event.inputs)},
                            {"outputs", Datasets(event.outputs)},
                            {"producer", Producer()},
                            {"schemaURL", "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"}};
  return DumpJson(out);
}

LineageEvents::LineageEvents(LineageOptions options)
    : options_(std::move(options)),
      client_(ParseUrl(options_.url, "OPENLINEAGE_URL"), ClientOptions(options_)),
      outbox_({.what = "lineage at " + ShownUrl(options_.url), .on_warning = options_.on_warning, .pause = options_.pause}) {}

void LineageEvents::Send(const LineageEvent& event) {
  outbox_.Post([this, body = LineageJson(event, options_.job_namespace, TimeNow())] {
    const HttpAnswer answer = client_.Send("POST", "/" + options_.endpoint, body, "application/json");
    if (answer.status / 100 != 2)
      throw Error(answer.status == 429 || answer.status >= 500 ? ErrorCode::kIo : ErrorCode::kInvalidInput,
                  fmt::format("HTTP {}", answer.status));
  });
}

}  // namespace mlac
