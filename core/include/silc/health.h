// What a healthy run looks like: conditions on step metrics that mean a run is sick when they last.
//
// An objective declares them (Objective::health); the engine looks at them after every update, on figures that it has
// read from the device anyway, and writes a `warning` event when one has lasted: once for each check of a cell.
#pragma once

#include <cstdint>
#include <string>

namespace silc {

enum class HealthCondition : uint8_t {
  below,  // metric < value
  above,  // metric > value
  near,   // |metric − value| ≤ tolerance
};

// Sick is a run whose metric meets the condition in each of `steps` updates or more, one after the other, that make
// `share` of training or more. Updates without the metric neither count nor interrupt; one in which it is not finite
// interrupts. Choose both so that a healthy start, and a run of a few updates, stay silent: at chance is where every
// run begins.
struct HealthCheck {
  std::string name;    // of the check, one of its kind in the objective: "teacher_entropy_zero"
  std::string metric;  // a metric of step(), "loss/TERM", or the engine's: "loss", "gradient_norm",
                       // "duplicate_pictures", "duplicate_captions" (docs/reference/run-folder.md)
  HealthCondition condition = HealthCondition::below;
  double value = 0;
  double tolerance = 0;  // of `near`
  int64_t steps = 1;     // updates in a row, at least 1
  double share = 0;      // of training in a row, in [0, 1]
  double from = 0;       // fraction of training before which nothing counts, in [0, 1)
  std::string message;   // what it means and what to do, as the rest of a sentence after a colon
};

// What chance levels depend on.
struct BatchShape {
  int64_t size = 0;  // B, pictures of one call of step()
};

}  // namespace silc
