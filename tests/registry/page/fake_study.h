// A registry with all that a page has to say in words: cells that are missing, failed, running, sick, or alone.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "registry/page/page.h"
#include "tests/registry/fake_runs.h"

namespace silc {

inline const std::string kHostileRow = "</script><img src=x onerror=\"window.hacked=1\">";

class FakeStudy {
 public:
  FakeStudy() {
    registry.plan(experiment);
    for (std::size_t row = 0; row < experiment.rows.size(); ++row)
      for (std::size_t seed = 0; seed < 3; ++seed) {
        const PlannedCell& cell = this->cell(row, seed);
        if (row == 3 || (row == 2 && seed > 0)) continue;
        train(cell, 20, 4 - 0.3 * static_cast<double>(row) + 0.1 * static_cast<double>(seed));
        if (row == 1 && seed == 2) {
          fakes.event(cell, "failed", 110, {{"message", "the loss is not finite"}, {"plugin", "objective \"silc\""}});
        } else {
          if (row == 1) fakes.warning(cell, 10, "teacher_entropy_zero");
          finish(cell, 0.57 + 0.04 * static_cast<double>(row) + 0.003 * static_cast<double>(seed));
        }
        fakes.write(fakes.folder(cell).log(), "begun\n<b>not bold</b>\nended\n");
        registry.ingest(cell.folder);
      }
  }

  [[nodiscard]] const PlannedCell& cell(std::size_t row, std::size_t seed) const {
    return experiment.cells[seed * experiment.rows.size() + row];
  }

  void train(const PlannedCell& cell, int64_t steps, double loss) {
    fakes.write_cell(experiment.name, cell);
    fakes.event(cell, "started", 100, {{"step", 0}, {"total_steps", 40}, {"pid", 1}});
    for (int64_t step = 1; step <= steps; ++step)
      fakes.step(cell, step, 100 + static_cast<double>(step), loss * std::exp(-0.05 * static_cast<double>(step)));
  }

  void finish(const PlannedCell& cell, double acc1) {
    fakes.metrics(cell,
                  {FakeRuns::metric("student", "acc1", acc1),
                   FakeRuns::metric("student", "miou", acc1 / 3, "zero_shot_segmentation")},
                  {{"examples", 640}, {"flops", 1.5e12 + 1e12 * acc1}, {"core_seconds", 84.0}});
    fakes.event(cell, "finished", 130);
    fakes.attempt(cell, 99, 131, "exit_code", 0);
  }

  [[nodiscard]] PageRequest request(bool live = false) const {
    PageRequest request;
    request.sources = {{&registry, experiment, experiment.name}};
    request.tables = build_tables(registry, experiment, {.experiment = experiment.name, .table = "", .metrics = {}});
    request.live = live;
    return request;
  }

  FakeRuns fakes;
  Registry registry = fakes.open();
  PlannedExperiment experiment = [] {
    PlannedExperiment study = FakeRuns::experiment("study", {"CLIP", "SILC", kHostileRow, "not started"}, {0, 1, 2});
    for (PlannedCell& cell : study.cells)  // as silc names folders: without what a path would read otherwise
      if (cell.row == kHostileRow) cell.folder = std::filesystem::path("study/script-img") / cell.folder.filename();
    study.tables[0].columns = {"zero_shot_classification/acc1", "zero_shot_segmentation/miou", "cost/flops"};
    return study;
  }();
};

}  // namespace silc
