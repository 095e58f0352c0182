// What `silc run` shows while it runs, and what it puts into the registry meanwhile. No LibTorch.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/live_lines.h"
#include "cli/session.h"
#include "files/metrics.h"
#include "schedule/schedule.h"

namespace silc {

class RunView : public RunObserver {
 public:
  // `columns`: those of the tables, to choose the metrics that are worth a line.
  // `to_come`: how many cells are known to follow those of `tasks`, which may grow.
  RunView(const Session& session, Registry& registry, const std::vector<CellTask>& tasks,
          std::vector<std::string> columns, int64_t jobs, std::function<size_t()> to_come = {});

  void added(size_t first) override;
  void placed(size_t index, const std::string& where) override;
  void started(size_t index, const CellProgress& progress) override;
  void progressed(size_t index, const CellProgress& progress) override;
  void ended(size_t index, const CellOutcome& outcome) override;
  void running_elsewhere(size_t index) override;
  void stopping(const std::string& words) override;
  void warning(const std::string& message) override;
  void note(const std::string& message) override;
  void tick() override;

 private:
  void say(const std::string& line);
  void say_finished(size_t index, const std::string& what);
  // Says the warnings that were not said yet.
  void say_warnings(size_t index, const CellProgress& progress);
  void redraw();
  void write_lines();
  void ingest(size_t index);
  [[nodiscard]] std::string label(size_t index) const;
  [[nodiscard]] std::string describe(size_t index, const CellProgress& progress) const;
  // "3 jobs wait, the first for Priority"; empty: none does.
  [[nodiscard]] std::string waiting_jobs() const;
  [[nodiscard]] std::vector<std::string> main_metrics(size_t index) const;
  [[nodiscard]] size_t total() const { return tasks_.size() + (to_come_ ? to_come_() : 0); }
  [[nodiscard]] double done() const;
  [[nodiscard]] std::optional<double> seconds_left() const;

  const Session& session_;
  Registry& registry_;
  const std::vector<CellTask>& tasks_;
  std::vector<std::string> columns_;
  int64_t jobs_;
  std::function<size_t()> to_come_;
  bool utf8_;
  std::unique_ptr<LiveLines> live_;  // on a terminal
  size_t label_width_ = 0;
  std::map<size_t, CellProgress> running_;
  std::map<size_t, std::string> places_;  // of cells that a cluster trains
  std::map<size_t, double> start_times_;
  std::map<size_t, std::set<std::string>> told_;  // checks that have warned
  std::set<size_t> elsewhere_;
  size_t over_ = 0;    // cells that have ended in any way
  size_t reused_ = 0;  // of these, finished before
  double seconds_of_finished_ = 0;
  size_t finished_here_ = 0;
  double last_lines_ = 0;
  double last_ingest_ = 0;
  double last_draw_ = 0;
  std::string registry_fault_;  // told already
};

}  // namespace silc
