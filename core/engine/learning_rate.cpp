#include "engine/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "silc/error.h"

namespace silc {

double learning_rate(const OptimizerSettings& settings, double fraction, double update) {
  if (fraction < settings.warmup) return settings.lr * std::min((fraction + update) / settings.warmup, 1.0);
  if (settings.schedule == "constant") return settings.lr;
  if (settings.schedule != "cosine")
    throw Error("optimizer.schedule is \"" + settings.schedule + "\"; use \"cosine\" or \"constant\"");
  const double past = settings.warmup < 1 ? (fraction - settings.warmup) / (1 - settings.warmup) : 1;
  const double falling = 0.5 * (1 + std::cos(std::numbers::pi * past));
  return settings.lr * (settings.final_lr + (1 - settings.final_lr) * falling);
}

}  // namespace silc
