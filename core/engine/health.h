// Watches the figures of training for signs that it is sick.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/training_step.h"
#include "files/run_folder.h"
#include "silc/health.h"

namespace silc {

// The last values of a figure, and where it began.
class Trend {
 public:
  static constexpr std::size_t kLength = 64;

  void add(double value);
  void clear() { values_.clear(); }
  [[nodiscard]] bool empty() const { return values_.empty(); }
  [[nodiscard]] bool full() const { return values_.size() == kLength; }
  [[nodiscard]] double first() const { return first_; }  // value since clear()
  [[nodiscard]] double median() const;
  // Of a normal distribution whose median absolute deviation is theirs.
  [[nodiscard]] double deviation() const;

  [[nodiscard]] Event state() const;
  void restore(const Event& state);

 private:
  double first_ = 0;
  std::deque<double> values_;
};

// Beside the objective's checks there are those of every run: "gradient_vanished" (a thousandth of what it was, and
// next to nothing in itself), "gradient_exploding" (far above its running median), each for some updates, "loss_spike"
// (one update that gives back half of what was learned since the start or the last milestone, and stands out of the
// noise) and "not_finite/METRIC". Each check warns once.
//
// What it remembers is a function of the figures alone, and goes into the checkpoint: a resumed run warns of what it
// would have warned of, and of nothing twice.
class HealthMonitor {
 public:
  // `milestones`: Objective::milestones(), where figures may jump without being sick.
  HealthMonitor(std::vector<HealthCheck> checks, std::vector<double> milestones);

  // Takes the figures of the update that brought training to `step`, and from `before` to `after` of its budget.
  std::vector<HealthWarning> observe(int64_t step, double before, double after, const StepFigures& figures);

  [[nodiscard]] std::string state() const;
  // `state`: of a monitor with the same checks; empty: of a new one.
  void restore(const std::string& state);

 private:
  // Updates in a row that met a check's condition.
  struct Streak {
    int64_t steps = 0;
    double start = 0;  // fraction of training before the first of them
  };

  void look(const HealthCheck& check, int64_t step, double before, double after, double value);
  void look_at_trends(int64_t step, const StepFigures& figures);
  void warn(const std::string& check, const std::string& metric, int64_t step, double value, std::string message);

  std::vector<HealthCheck> checks_;
  std::vector<double> milestones_;
  int64_t passed_milestones_ = 0;
  std::map<std::string, Streak> streaks_;  // by check
  std::set<std::string> told_;             // checks
  Trend loss_;
  Trend gradient_norm_;
  int64_t vanished_steps_ = 0;  // in a row
  int64_t exploding_steps_ = 0;
  std::vector<HealthWarning> warnings_;  // of the update at hand
};

}  // namespace silc
