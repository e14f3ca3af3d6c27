#include "cli/project_options.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/command.h"
#include "cli/store_access.h"
#include "cli/terminal.h"

namespace mlac {

void AddProjectFileOption(Command command, std::string& file) {
  command.AddOption("--file", file, "The file that says which models there are, and where the store is unless MLAC_STORE does")
      .Type("FILE")
      .ShowDefault();
}

void AddProjectOptions(Command command, ProjectOptions& options) {
  AddProjectFileOption(command, options.file);
  command.AddOption("--target", options.targets, "Only this model, with those that it starts from; may stand several times")
      .Type("NAME")
      .OneValueEach();
}

ProjectConfig ReadProjectHere(const std::string& file) {
  ProjectConfig project = ReadProject(file);
  // mlac.yaml names its store from where it stands, the environment from where the command runs.
  if (const std::string store = StoreOfEnvironment(); !store.empty()) project.store = std::filesystem::absolute(store).string();
  return project;
}

void ApplyConsole::OnModel(const std::string& model) {
  model_ = model;
  progress_->Line(Colored(Stream::kError, Color::kBold, model));
}

void ApplyConsole::OnStepStart(const std::string& step, size_t number, size_t count) {
  progress_.emplace("step");
  progress_->Line(fmt::format("  [{}/{}] {}", number, count, step));
}

void ApplyConsole::OnStepEnd(const std::string& step, double seconds, const std::string& summary) {
  progress_->Line(fmt::format("  {} {} in {}: {}", Colored(Stream::kError, Color::kGreen, "done"), step, ShowDuration(seconds), summary));
}

// Why is what the command ends with.
void ApplyConsole::OnRefused(const std::string& step, const std::string& /*message*/) {
  progress_->Line(fmt::format("  {} {}", Colored(Stream::kError, Color::kRed, "refused by"), step));
}

void ApplyConsole::OnFailed(const std::string& message) {
  progress_->Line(fmt::format("  {} {}", Colored(Stream::kError, Color::kRed, "failed:"), message));
}

void ApplyConsole::OnNote(const std::string& note) { Line(note); }

void ApplyConsole::OnFinding(const Finding& finding) {
  Line(finding.severity == Severity::kWarning ? Colored(Stream::kError, Color::kYellow, FindingLine(finding)) : FindingLine(finding));
}

void ApplyConsole::OnStart(size_t num_train, size_t num_validation, size_t, size_t num_labels) {
  Line(fmt::format("{}{} texts to train{}", num_labels > 1 ? fmt::format("{} labels; ", num_labels) : "", num_train,
                   num_validation > 0 ? fmt::format(", {} to validate", num_validation) : ""));
}

void ApplyConsole::OnResume(size_t step) { Line(fmt::format("goes on from the checkpoint of step {}", step)); }

void ApplyConsole::OnStep(const StepReport& step) {
  progress_->Update(step.step, step.num_steps, fmt::format("epoch {}, loss {:.3f}", step.epoch, step.epoch_loss));
}

void ApplyConsole::OnSpike(const SpikeReport& spike) {
  Line(Colored(Stream::kError, Color::kYellow,
               fmt::format("warning: step {}: the loss is {:.3f}, usual is {:.3f}; the batch is {}", spike.step, spike.loss,
                           spike.usual_loss, spike.places)));
}

void ApplyConsole::OnEpoch(const EpochReport& epoch) {
  std::string line = fmt::format("epoch {}: train loss {:.4f}", epoch.epoch, epoch.train_loss);
  for (const auto& [name, value] : epoch.validation.figures) line += fmt::format(", {} {:.4f}", name, value);
  Line(line + (epoch.best ? " (best so far)" : ""));
}

void ApplyConsole::OnEarlyStop(size_t epoch) {
  Line(fmt::format("no better score and no lower loss of the validation: stopped after epoch {}", epoch));
}

}  // namespace mlac
