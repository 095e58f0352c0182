// Plugins that end the process they run in, each in another way.
#include <ATen/Functions.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "silc/dataset.h"
#include "silc/evaluator.h"
#include "silc/objective.h"

namespace {

constexpr auto kHow = silc::choice_option(
    "how", "segfault", "segfault|abort|exit|quick_exit|stack|kill|loop|memory|bad_alloc|throw|thread",
    "how it ends the process");
constexpr auto kWhere = silc::choice_option("where", "second_step", "constructor|step|second_step",
                                            "in which function; the second step is "
                                            "one that nobody takes before training");

// What the compiler cannot see through.
volatile int sink = 0;
volatile std::uintptr_t nowhere = 0;

int recurse(int depth) {
  if (sink == -1) return 0;  // never
  volatile char frame[4096];
  frame[0] = static_cast<char>(depth & 1);
  sink = sink + frame[0];
  return recurse(depth + 1) + frame[0];
}

void take_memory() {
  std::vector<char*> kept;
  constexpr std::size_t kPiece = 16 << 20;
  while (true) {
    kept.push_back(new char[kPiece]);
    std::memset(kept.back(), 1, kPiece);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void crash(const std::string& how) {
  if (how == "segfault") *reinterpret_cast<volatile int*>(nowhere) = 1;
  if (how == "abort") std::abort();
  if (how == "exit") std::exit(0);
  if (how == "quick_exit") std::_Exit(3);
  if (how == "stack") sink = recurse(0);
  if (how == "kill") raise(SIGKILL);
  if (how == "loop")
    while (true) sink = sink + 1;
  if (how == "memory") take_memory();
  if (how == "bad_alloc") throw std::bad_alloc();
  if (how == "throw") throw std::out_of_range("vector::at");
  if (how == "thread") std::thread([] { throw std::runtime_error("nobody catches this"); }).join();
}

class Crasher : public silc::Objective {
 public:
  explicit Crasher(const silc::ObjectiveContext& context)
      : how_(context.options[kHow]), steps_left_(context.options[kWhere] == "step" ? 0 : 1) {
    weight_ = register_parameter("weight", at::ones({}));
    if (context.options[kWhere] == "constructor") crash(how_);
  }
  std::vector<silc::ViewSpec> views() const override { return {{.name = "image"}}; }
  silc::StepResult step(const silc::Batch&, const silc::Progress&) override {
    if (steps_left_-- > 0) return {.terms = {{"weight", weight_.square()}}, .metrics = {}};
    crash(how_);
    throw silc::Error("it was to crash");
  }

 private:
  std::string how_;
  int steps_left_;
  at::Tensor weight_;
};

class CrashingData : public silc::Dataset {
 public:
  explicit CrashingData(const silc::DatasetContext& context) : how_(context.options[kHow]) {}
  int64_t size() const override { return 100; }
  silc::Sample sample(int64_t /*index*/) const override {
    // More than are looked at before training.
    if (++samples_read_ > 20) crash(how_);
    return {.image = {.width = 32, .height = 32, .rgb = std::vector<uint8_t>(32 * 32 * 3)},
            .captions = {"nothing to see"},
            .label = 0,
            .mask = {},
            .boxes = {}};
  }
  std::vector<std::string> captions(int64_t) const override { return {"nothing to see"}; }
  std::vector<std::string> classes() const override { return {"nothing"}; }
  std::string fingerprint() const override { return "none"; }

 private:
  std::string how_;
  mutable std::atomic<int> samples_read_ = 0;
};

class CrashingEvaluator : public silc::Evaluator {
 public:
  explicit CrashingEvaluator(const silc::EvaluatorContext& context) : how_(context.options[kHow]) {}
  silc::Scores evaluate(const silc::EvaluationContext&) override {
    crash(how_);
    return {};
  }

 private:
  std::string how_;
};

}  // namespace

SILC_OBJECTIVE(crasher, Crasher, 1, "ends the process", kHow, kWhere);
SILC_DATASET(crashing_data, CrashingData, 1, "ends the process after twenty samples", kHow);
SILC_EVALUATOR(crashing_evaluator, CrashingEvaluator, 1, "ends the process", kHow);
