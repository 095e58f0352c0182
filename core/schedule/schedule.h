// Cells → engine processes: which run, side by side or one after the other, and what became of them. No LibTorch.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schedule/cell_task.h"
#include "schedule/engine_process.h"
#include "schedule/gpus.h"
#include "schedule/launcher.h"
#include "schedule/progress.h"
#include "schedule/threads.h"
#include "spec/cell.h"

namespace silc {

// The cells with their earlier phases, each once where rows share it; a phase that is the whole of another row is that
// row's cell.
std::vector<CellTask> place_cells(std::span<const ResolvedCell> cells, const std::filesystem::path& runs);

enum class CellEnd {
  not_started,  // stopped before its turn came
  reused,       // had been finished before
  finished,
  paused,  // at `until`
  failed,
  interrupted,  // resumable
  left,         // goes on without silc, as a job of a cluster
};

struct CellOutcome {
  CellEnd end = CellEnd::not_started;
  bool elsewhere = false;    // done by another silc while this one waited
  std::string message = {};  // why it failed, or was interrupted if there is something to say
  double wall_seconds = 0;   // of the attempt that this silc made
};

// Watches a run. Called from the thread that called run_cells.
class RunObserver : public LaunchListener {
 public:
  // There are cells more than before, from `first` on.
  virtual void added(size_t /*first*/) {}
  // A cell that a cluster is to train waits there, or runs, at another place than before: CellWork::where().
  virtual void placed(size_t /*index*/, const std::string& /*where*/) {}
  // A cell's engine was started, `progress` being where it goes on from.
  virtual void started(size_t /*index*/, const CellProgress& /*progress*/) {}
  virtual void progressed(size_t /*index*/, const CellProgress& /*progress*/) {}
  virtual void ended(size_t /*index*/, const CellOutcome& /*outcome*/) {}
  // Another silc is at work on this cell; it is waited for when nothing else is left to do.
  virtual void running_elsewhere(size_t /*index*/) {}
  // The user asked to stop; what is being done about it.
  virtual void stopping(const std::string& /*words*/) {}
  // After every look around, about five times a second.
  virtual void tick() {}
};

struct RunRequest {
  Engine engine;
  ThreadPlan threads;
  bool fail_fast = false;      // stop everything at the first failure
  std::vector<Gpu> gpus = {};  // over which cells are spread
  // Makes what trains the cells; empty: processes of this machine (schedule/local_launcher.h).
  std::function<std::unique_ptr<Launcher>(LaunchListener&)> launcher = {};
};

// Gives a run further cells while others end: the trials of a search, and what it chooses. Called from the thread that
// called run_cells.
class CellSource {
 public:
  virtual ~CellSource() = default;

  // Cells to run next, each behind the phases that it starts from. Called when there is room for one; none: nothing can
  // be run before one that runs has ended, or nothing at all.
  virtual std::vector<CellTask> next() = 0;
  // Any cell of the run has ended, whether it came from here or not.
  virtual void ended(const CellTask& task, const CellOutcome& outcome) = 0;
  // Those that may come yet.
  [[nodiscard]] virtual std::vector<ResolvedCell> to_come() const = 0;
};

// Removes what earlier runs left of these cells, but for their logs. A cell that is being run is left
// alone; the indices of those are returned.
std::vector<size_t> remove_results(std::span<const CellTask> tasks);

// Runs all cells that are not finished, each after the phase that it starts from, and returns what became of each, in
// order. SIGINT, SIGTERM and SIGHUP stop the run as its launcher does: processes of this machine write checkpoints at
// the first and are killed at the second.
// Two silc that run the same cells share them out: each cell is locked by the one that runs it. An exception from the
// observer stops the engines and passes.
// A trial that fails stops nothing.
std::vector<CellOutcome> run_cells(std::span<const CellTask> tasks, const RunRequest& request, RunObserver& observer);
// The cells of `source` are added at the end of `tasks`.
std::vector<CellOutcome> run_cells(std::vector<CellTask>& tasks, CellSource& source, const RunRequest& request,
                                   RunObserver& observer);

// "objective silc, image backbone vit, …": what may be at fault when an engine dies without a word.
std::string plugins_in_use(const ResolvedCell& cell);

}  // namespace silc
