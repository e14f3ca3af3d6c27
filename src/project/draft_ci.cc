#include "project/draft_ci.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "train/report_escape.h"

namespace mlac {
namespace {

std::string ShellList(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : " ") + ShellQuoted(text);
  return list;
}

bool IsAbsolute(const std::string& path) { return path.starts_with('/'); }

// The lines of a script, each behind so many spaces.
std::string Indented(const std::string& script, size_t spaces) {
  std::string out;
  for (size_t begin = 0; begin < script.size();) {
    const size_t end = std::min(script.find('\n', begin), script.size());
    out += std::string(spaces, ' ') + script.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return out;
}

// sudo: "sudo " where the job is not root.
std::string InstallScript(std::string_view sudo) {
  return fmt::format(R"(if command -v mlac; then exit 0; fi    # the runner has it
deb=$(mktemp -d)/mlac.deb
case "$MLAC_DEB" in
  http://* | https://*) curl -fsSLo "$deb" "$MLAC_DEB" ;;
  ?*) cp "$MLAC_DEB" "$deb" ;;
  *) echo "fill in MLAC_DEB: where is the .deb of mlac?" >&2; exit 1 ;;
esac
{}apt-get install -y "$deb"
)",
                     sudo);
}

std::string BaseScript(const std::vector<std::string>& bases) {
  if (bases.empty()) return "true    # all models start from another one, or from the store\n";
  std::string are_there;
  for (const std::string& base : bases) are_there += fmt::format("{}[ -d {} ]", are_there.empty() ? "" : " && ", ShellQuoted(base));
  return fmt::format(R"(if {}; then exit 0; fi    # the runner or the repository has it
case "$BASE_MODELS" in
  http://* | https://*) curl -fsSL "$BASE_MODELS" | tar -xz ;;
  ?*) tar -xzf "$BASE_MODELS" ;;
  *) echo "fill in BASE_MODELS: where is the archive of the base models?" >&2; exit 1 ;;
esac
)",
                     are_there);
}

std::string DebComment() { return "FILL IN the URL or the path of mlac's .deb, as './dev package' makes it for the system of the runner"; }
std::string BasesComment(const CiParts& parts) {
  if (parts.bases.empty()) return "Stays empty: no base model is a folder.";
  return fmt::format("FILL IN the URL or the path of an archive that holds the base models: tar -czhf base.tar.gz {}", ShellList(parts.bases));
}

std::string StoreComment(const CiParts& parts) {
  if (IsAbsolute(parts.store)) return fmt::format("The runner has to have the folder {}, which holds the store.", parts.store);
  return "The store knows what is in production, so it has to survive from run to run. A cache can be lost, and is not seen by your own machine:\n"
         "# a disk that all share, 'store: /mnt/models' in mlac.yaml, is better.";
}

std::string Github(const CiParts& parts) {
  std::string text = R"(# A pull request gets the plan as a comment. A push to the main branch makes the models and posts the comparison with production.
# Promoting is a decision: run the workflow by hand (Actions, "Run workflow").
name: models
on:
  pull_request:
  push:
    branches: [main]
  workflow_dispatch:
    inputs:
      model: {description: "The model whose latest revision goes to production", required: true, default: )" +
                     QuoteYaml(parts.models.front()) + R"(}
defaults:
  run: {shell: bash}    # so that a failure on the left of a pipe stops the job, too
concurrency:
  group: models-${{ github.ref }}
jobs:
  models:
    runs-on: ubuntu-latest
    permissions: {contents: read, pull-requests: write}
    env:
      GH_TOKEN: "${{ github.token }}"
      MLAC_DEB: ""    # )" + DebComment() + R"(
      BASE_MODELS: ""    # )" + BasesComment(parts) + R"(
    steps:
      - uses: actions/checkout@v4
      - name: Install mlac
        run: |
)" + Indented(InstallScript("sudo "), 10) +
                     R"(      - name: Get the base models
        run: |
)" + Indented(BaseScript(parts.bases), 10) +
                     "      # " + Indented(StoreComment(parts), 0);
  const size_t line = text.find("\n# a disk");
  if (line != std::string::npos) text.insert(line + 1, "      ");
  if (!IsAbsolute(parts.store))
    text += fmt::format(R"(      - name: Keep the store
        uses: actions/cache@v4
        with:
          path: {}
          key: mlac-store-${{{{ github.run_id }}}}
          restore-keys: mlac-store-
)",
                        QuoteYaml(parts.store));
  return text + R"(      - name: Plan
        run: mlac plan | tee plan.txt
      - name: Show the plan
        if: github.event_name == 'pull_request'
        run: gh pr comment "$NUMBER" --body-file plan.txt
        env: {NUMBER: "${{ github.event.pull_request.number }}"}
      - name: Apply
        if: github.event_name == 'push'
        run: mlac apply --markdown comparison.md
      - name: Post the comparison
        if: github.event_name == 'push' && !cancelled()
        run: |
          [ -s comparison.md ] || exit 0    # nothing was published, and nothing refused
          cat comparison.md >> "$GITHUB_STEP_SUMMARY"
          number=$(gh pr list --state merged --search "$GITHUB_SHA" --json number --jq '.[0].number // empty')
          [ -z "$number" ] || gh pr comment "$number" --body-file comparison.md
      - name: Promote
        if: github.event_name == 'workflow_dispatch'
        run: mlac promote "$MODEL@latest" production
        env: {MODEL: "${{ inputs.model }}"}
)";
}

std::string Gitlab(const CiParts& parts) {
  std::string text = R"(# A merge request gets the plan. A push to the main branch makes the models and keeps the comparison with production.
# Promoting is a decision: start the job 'promote' by hand.
variables:
  MLAC_DEB: ""    # )" +
                     DebComment() + R"(
  BASE_MODELS: ""    # )" +
                     BasesComment(parts) + R"(
default:
  # image: FILL IN an image of the system that the .deb is for, with curl in it, where your runners use images
  before_script:
    - |    # install mlac
)" + Indented("(\n" + InstallScript("") + ")\n", 6) +
                     R"(    - |    # get the base models
)" + Indented("(\n" + BaseScript(parts.bases) + ")\n", 6) + "# " +
                     StoreComment(parts) + "\n";
  if (!IsAbsolute(parts.store)) text += fmt::format("cache: {{key: mlac-store, paths: [{}]}}\n", QuoteYaml(parts.store));
  text += R"(plan:
  rules: [{if: $CI_PIPELINE_SOURCE == "merge_request_event"}]
  script:
    - mlac plan > plan.txt
    - cat plan.txt
  artifacts: {paths: [plan.txt], expose_as: plan}    # a link in the merge request
apply:
  rules: [{if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH}]
  script:
    - mlac apply --markdown comparison.md
  artifacts: {paths: [comparison.md], when: always}
  resource_group: models    # one at a time
promote:
  rules: [{if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH, when: manual, allow_failure: true}]
  script:
)";
  for (const std::string& model : parts.models) text += fmt::format("    - mlac promote {}@latest production\n", ShellQuoted(model));
  return text + "  resource_group: models\n";
}

}  // namespace

std::string CiPath(const std::string& system) { return system == "github" ? ".github/workflows/models.yaml" : ".gitlab-ci.yml"; }

std::string CiText(const std::string& system, const CiParts& parts) { return system == "github" ? Github(parts) : Gitlab(parts); }

std::vector<std::string> CiNeeds(const std::string& system, const CiParts& parts) {
  std::vector<std::string> needs = {"MLAC_DEB: where the .deb of mlac is ('./dev package' makes it)"};
  if (!parts.bases.empty())
    needs.push_back(fmt::format("BASE_MODELS: where an archive with {} is, unless git has it", fmt::join(parts.bases, ", ")));
  if (IsAbsolute(parts.store)) {
    needs.push_back(fmt::format("the store {} on the runner", parts.store));
  } else {
    needs.push_back(fmt::format("a store that survives: a cache keeps {}, 'store:' on a disk that all share is safer", parts.store));
  }
  needs.push_back(system == "github" ? "a first promotion, or gates against production compare with nothing: run the workflow by hand"
                                     : "a first promotion, or gates against production compare with nothing: the job 'promote'");
  return needs;
}

}  // namespace mlac
