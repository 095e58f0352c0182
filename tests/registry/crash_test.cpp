// Several processes on one registry, and processes that are killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>

#include "registry/registry.h"
#include "tests/registry/fake_runs.h"

namespace silc {
namespace {

pid_t in_child(const std::function<void()>& action) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  try {
    action();
    ::_exit(0);
  } catch (...) {
    ::_exit(1);
  }
}

int exit_status(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

class Processes : public testing::Test {
 protected:
  void SetUp() override {
    for (const PlannedCell& cell : experiment_.cells) fakes_.write_cell("ablation", cell);
  }

  // Each round adds a step to one cell and takes it in.
  void run_rounds(Registry& registry, const PlannedCell& cell, int rounds) {
    fakes_.event(cell, "started", 100, {{"step", 0}, {"total_steps", rounds}});
    for (int round = 1; round <= rounds; ++round) {
      fakes_.step(cell, round, 100 + round);
      registry.ingest(cell.folder);
    }
  }

  FakeRuns fakes_;
  PlannedExperiment experiment_ = FakeRuns::experiment("ablation", {"CLIP", "SILC", "SigLIP"}, {0});
};

TEST_F(Processes, CreateAndWriteOneRegistryAtTheSameTime) {
  constexpr int kRounds = 10;
  std::vector<pid_t> children;
  for (const PlannedCell& cell : experiment_.cells)
    children.push_back(in_child([&] {
      Registry registry = fakes_.open();
      registry.plan(experiment_);
      run_rounds(registry, cell, kRounds);
    }));
  for (const pid_t child : children) EXPECT_EQ(exit_status(child), 0);

  const Registry registry = fakes_.open();
  EXPECT_TRUE(registry.check().empty());
  const auto cells = registry.cells("ablation");
  ASSERT_EQ(cells.size(), experiment_.cells.size());
  for (const CellRecord& cell : cells) EXPECT_EQ(registry.step_metrics(cell, "loss").size(), kRounds);
}

TEST_F(Processes, LeaveASoundRegistryWhenKilled) {
  for (int kill = 0; kill < 12; ++kill) {
    const pid_t child = in_child([&] {
      Registry registry = fakes_.open();
      registry.plan(experiment_);
      run_rounds(registry, experiment_.cells[0], 100'000);
    });
    // From the creation of the file on to the midst of writing.
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + 7 * kill));
    ::kill(child, SIGKILL);
    ASSERT_TRUE(WIFSIGNALED(exit_status(child)));

    Registry registry = fakes_.open();
    EXPECT_TRUE(registry.check().empty()) << "killed " << kill;
    registry.plan(experiment_);
    registry.ingest(experiment_.cells[0].folder);
    EXPECT_EQ(registry.cells("ablation")[0].state, std::filesystem::exists(fakes_.folder(experiment_.cells[0]).events())
                                                       ? CellState::interrupted
                                                       : CellState::planned);
  }
}

}  // namespace
}  // namespace silc
