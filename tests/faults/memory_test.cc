// Each allocation fails in turn while a model is opened, a training takes its steps, mlac.yaml is read and planned, and a store is written:
// that is said, nothing dies, and with memory again all is as it was or as it should be.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "pipelines/text_model.h"
#include "project/data_profile.h"
#include "project/recorded_answers.h"
#include "tests/faults/each_allocation.h"
#include "tests/faults/failing_new.h"
#include "tests/faults/power_loss.h"
#include "tests/hub/store_folder.h"
#include "tests/hub/undertakings.h"
#include "tests/project/tiny_project.h"
#include "tests/train/silent_training.h"
#include "tests/train/tiny_training.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::AllocationReport;
using test::Attempt;
using test::FailEachAllocation;
using test::FailingNew;
using test::FixturePath;
using test::StateOf;
using test::StoreState;
using test::Stride;
using test::TemporaryFolder;
using test::TinyProject;
using test::WithMemory;

// Alone, and with all behind it.
constexpr size_t kCounts[] = {1, FailingNew::kAllBehind};

void FailEach(const std::string& name, size_t stride, const std::function<Attempt()>& prepare) {
  for (const size_t count : kCounts) {
    const AllocationReport report = FailEachAllocation(stride, count, prepare);
    Print(name + (count == 1 ? ", alone" : ", and all behind"), report);
    EXPECT_EQ(report.num_findings, 0u) << name << ": " << testing::PrintToString(report.findings);
    EXPECT_GT(report.num_short, 0u) << name;
  }
}

// What was being written, if it is there: what cannot be removed without memory the next run removes.
std::string Leftovers(const std::string& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().string().find(".partial-") != std::string::npos) return "left " + entry.path().string();
  return "";
}

TEST(FailingNew, SparesTheDestructorsOfJsonAlone) {
  auto value = std::make_unique<nlohmann::json>(nlohmann::json{{"a", {1, 2, 3}}, {"b", "text"}});
  const FailingNew failing(0, FailingNew::kAllBehind);
  value.reset();  // it would end the process
  EXPECT_GT(failing.num_spared(), 0u);
  EXPECT_THROW(std::string(100, 'x'), std::bad_alloc);
}

// ---- Opening ----

struct Opened {
  const char *name, *folder, *task, *adapter;
};

TEST(FailingAllocations, OfOpeningAModelAndAskingItOnceAreSaid) {
  for (const Opened& opened : {Opened{"open a classifier", "models/classifier", "text-classification", ""},
                               Opened{"open a sentence encoder", "models/st_mean", "feature-extraction", ""},
                               Opened{"open an adapter", "models/masked_lm", "text-classification", "adapters/bert_labels"}}) {
    FailEach(opened.name, Stride(97), [&]() -> Attempt {
      const auto answer = [opened] {
        const TextInput input = {"a cat", std::nullopt};
        TextModel model(FixturePath(opened.folder),
                        {.num_threads = 1, .max_length = {}, .adapter = *opened.adapter == '\0' ? "" : FixturePath(opened.adapter)});
        std::string text;
        MakeRecordedTask(opened.task)->Add(model, std::span(&input, 1), text);
        return text;
      };
      const std::string expected = answer();
      const auto compare = [=] { return answer() == expected ? "" : "another answer"; };
      return {.act = compare, .behind = compare};
    });
  }
}

// ---- Training ----

TEST(FailingAllocations, OfTrainingStepsAndACheckpointAreSaid) {
  FailEach("two training steps with a checkpoint", Stride(61), [] {
    struct State {
      TemporaryFolder folder;
      std::vector<float> expected;
      std::unique_ptr<test::TinyRun> run;
      std::unique_ptr<test::TinyRun> Make(bool resumes) const {
        auto made = std::make_unique<test::TinyRun>();
        made->train = test::TinyTexts(16, 1);
        made->options.num_epochs = 1;
        made->options.save_steps = 1;
        made->checkpoint = {.folder = folder / "out/checkpoint", .resume = resumes, .resume_command = "", .identity = {}};
        return made;
      }
    };
    const auto state = std::make_shared<State>();
    state->expected = state->Make(false)->Train();
    return Attempt{.before =
                       [=] {
                         fs::remove_all(state->folder / "out");
                         state->run = state->Make(false);
                       },
                   .act = [=] { return state->run->Train() == state->expected ? "" : "other weights"; },
                   .behind =
                       [=] {
                         // A checkpoint is there and whole, or none.
                         return state->Make(FolderExists(state->folder / "out/checkpoint"))->Train() == state->expected ? ""
                                                                                                                        : "other weights";
                       }};
  });
}

TEST(FailingAllocations, OfAWholeTrainingLeaveItsResultOrNothing) {
  FailEach("a whole training, every 20th", 20 * Stride(60), [] {
    struct State {
      TemporaryFolder folder;
      FineTuneOptions options;
      std::map<std::string, std::string> expected;
      void Train(bool resumes) {
        options.resume = resumes;
        test::Silent observer;
        FineTune("text-classification", options, observer, observer.stop);
      }
      std::map<std::string, std::string> Content() const {
        std::map<std::string, std::string> content;
        for (const std::string& name : NamesIn(options.out)) content[name] = ReadFile(options.out + "/" + name, size_t{1} << 24);
        return content;
      }
    };
    const auto state = std::make_shared<State>();
    state->folder.Write("train.csv", test::LabelledCsv(24, 1));
    state->options.model = FixturePath("models/classifier");
    state->options.data = state->folder / "train.csv";
    state->options.out = state->folder / "out";
    state->options.training = {.num_epochs = 1, .batch_size = 8};
    state->Train(false);
    state->expected = state->Content();
    return Attempt{.before = [=] { fs::remove_all(state->options.out); },
                   .act =
                       [=] {
                         state->Train(false);
                         return state->Content() == state->expected ? "" : "another result";
                       },
                   .behind = [=]() -> std::string {
                     state->Train(true);
                     return state->Content() == state->expected ? Leftovers(state->folder.path()) : "another result";
                   }};
  });
}

// ---- Projects ----

TEST(FailingAllocations, OfReadingAndPlanningAProjectAreSaid) {
  FailEach("read mlac.yaml and plan", Stride(97), [] {
    const auto project = std::make_shared<TinyProject>();
    project->Apply();
    project->lines["train"] = "{epochs: 3, lr: 1e-3, batch_size: 8}";
    const std::string file = project->WriteYaml();
    const auto plan = [project, file] { return MakePlan(ReadProject(file)).Json(); };
    const std::string expected = plan();
    const auto compare = [=] { return plan() == expected ? "" : "another plan"; };
    return Attempt{.act = compare, .behind = compare};
  });
}

TEST(FailingAllocations, OfTellingAChangeOfDataAreSaid) {
  FailEach("tell a change of data", Stride(7), [] {
    const auto project = std::make_shared<TinyProject>();
    const auto store = std::make_shared<Store>(project->OpenStore());
    const std::string path = project->folder / "train.csv";
    SaveDataProfile(*store, FindModelTask("text-classification"), "before", path, {});
    project->folder.Write("train.csv", test::LabelledCsv(63, 1));
    const auto tell = [project, store, path] {  // the project, for its folder
      return DescribeDataChange(*store, FindModelTask("text-classification"), "before", path, {});
    };
    const std::string expected = tell();
    const auto compare = [=]() -> std::string {
      const std::string said = tell();
      return said == expected ? "" : "said '" + said + "'";
    };
    return Attempt{.act = compare, .behind = compare};
  });
}

TEST(FailingAllocations, OfApplyLeaveWhatTheNextApplyFinishes) {
  FailEach("apply, every 100th", 100 * Stride(50), [] {
    struct State {
      std::unique_ptr<TinyProject> project;
      std::map<std::string, std::string> expected;
    };
    const auto make = [] {
      auto project = std::make_unique<TinyProject>();
      project->lines["train"] = "{epochs: 1, batch_size: 8}";
      project->WriteYaml();
      return project;
    };
    const auto state = std::make_shared<State>();
    state->project = make();
    state->project->Apply();
    state->expected = Artefacts(*state->project);
    const auto apply = [=]() -> std::string {
      if (state->project->Apply().refused()) return "refused";
      const WithMemory looking;
      return Artefacts(*state->project) == state->expected ? "" : "other artefacts";
    };
    return Attempt{.before = [=] { state->project = make(); }, .act = apply, .behind = apply};
  });
}

// ---- The store ----

TEST(FailingAllocations, OfAStoreLeaveTheOldStateOrTheNewOne) {
  for (const test::Undertaking& undertaking : test::Undertakings()) {
    FailEach("store: " + undertaking.name, Stride(37), [&] {
      struct State {
        std::unique_ptr<TemporaryFolder> folder;
        std::optional<Store> store;
        StoreState before, undisturbed;
        void Make(const test::Undertaking& of) {
          folder = std::make_unique<TemporaryFolder>();
          store = Store::OpenOrCreate(*folder / ".mlac");
          of.prepare(*store, *folder);
        }
      };
      const auto state = std::make_shared<State>();
      state->Make(undertaking);
      state->before = StateOf(state->store->folder());
      undertaking.act(*state->store, *state->folder);
      state->undisturbed = StateOf(state->store->folder());
      return Attempt{.before = [=] { state->Make(undertaking); },
                     .act =
                         [=] {
                           undertaking.act(*state->store, *state->folder);
                           return "";
                         },
                     .behind = [=]() -> std::string {
                       const std::string place = state->store->folder();
                       if (!Verify(*state->store).damages.empty()) return "damaged";
                       const StoreState found = StateOf(place);
                       if (undertaking.name != "collect" && !(found == state->before) && !(found == state->undisturbed))
                         return "neither old nor new";
                       undertaking.act(*state->store, *state->folder);
                       if (!(StateOf(place) == state->undisturbed)) return "run again, it ends otherwise";
                       CollectGarbage(*state->store, {.keep_last = 100});
                       return Leftovers(place);
                     }};
    });
  }
}

}  // namespace
}  // namespace mlac
