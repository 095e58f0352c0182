#include "schedule/preflight.h"

#include <gmock/gmock.h>

#include "tests/schedule/fixture.h"

namespace silc {
namespace {

using ::testing::ElementsAre;

std::vector<CellTask> tasks_of(const std::vector<ResolvedCell>& cells) { return place_cells(cells, "runs"); }

TEST(Preflight, LooksOnceAtCellsThatDifferInSeedBudgetAndOptimizer) {
  std::vector<ResolvedCell> cells = {make_cell("A", 0), make_cell("A", 1), make_cell("B"), make_cell("C")};
  cells[1].optimizer.lr = 0.5;
  cells[1].budget.amount = 1000;
  cells[3].embed_dim = 7;
  const ScopedVariable variable("FAKE_ENGINE_PREFLIGHT", "fault");
  const PreflightReport report = preflight(fake_engine(), tasks_of(cells));
  ASSERT_EQ(report.faults.size(), 2);
  EXPECT_THAT(report.faults[0].tasks, ElementsAre(0, 1, 2));
  EXPECT_EQ(report.faults[0].key, "model.image");
  EXPECT_THAT(report.faults[1].tasks, ElementsAre(3));
}

TEST(Preflight, GoesOnAfterAPluginThatCrashes) {
  std::vector<ResolvedCell> cells = {make_cell("A"), make_cell("B")};
  cells[1].embed_dim = 7;
  const ScopedVariable variable("FAKE_ENGINE_PREFLIGHT", "crash");
  std::vector<std::string> looked_at;
  const PreflightReport report =
      preflight(fake_engine(), tasks_of(cells), {}, [&](const std::string& title) { looked_at.push_back(title); });
  ASSERT_EQ(report.faults.size(), 1);
  EXPECT_EQ(report.faults[0].message,
            "objective \"clip\": the engine was killed by signal 11 (SIGSEGV) when it was tried before training");
  EXPECT_EQ(report.faults[0].key, "objective");
  EXPECT_THAT(report.faults[0].tasks, ElementsAre(0));
  EXPECT_EQ(looked_at.size(), 2) << "the one that crashed is left alone then";
}

TEST(Preflight, GivesUpOnAPluginThatHangs) {
  std::vector<ResolvedCell> cells = {make_cell("A")};
  cells[0].engine.hang_seconds = 0.2;
  const ScopedVariable variable("FAKE_ENGINE_PREFLIGHT", "hang");
  const PreflightReport report = preflight(fake_engine(), tasks_of(cells));
  ASSERT_EQ(report.faults.size(), 1);
  EXPECT_EQ(report.faults[0].message,
            "objective \"clip\": no sign of life for 0.2 s when it was tried before training; engine.hang_seconds says "
            "how long to wait");
}

TEST(Preflight, TellsWhichEvaluationsDoNotApply) {
  const ScopedVariable variable("FAKE_ENGINE_PREFLIGHT", "not_applicable");
  const PreflightReport report = preflight(fake_engine(), tasks_of({make_cell("A", 0), make_cell("A", 1)}));
  ASSERT_EQ(report.not_applicable.size(), 2);
  EXPECT_EQ(report.not_applicable[1].task, 1);
  EXPECT_EQ(report.not_applicable[1].evaluation, "zero_shot_classification");
  EXPECT_EQ(report.not_applicable[1].reason, "the model sees nothing");
}

}  // namespace
}  // namespace silc
