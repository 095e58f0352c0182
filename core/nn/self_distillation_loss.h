// The loss of DINO and of SILC's local-to-global part: the student predicts the teacher's prototypes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "nn/teacher_targets.h"
#include "silc/objective.h"

namespace silc {

struct SelfDistillationResult {
  at::Tensor loss;  // scalar
  // teacher_entropy: mean entropy of the teacher's distributions in nats, log K at most; near 0 or log K it collapses.
  // teacher_student_kl: mean divergence over the pairs, in nats.
  // prototypes_in_use: prototypes that are the likeliest for at least one of the teacher's views.
  std::map<std::string, at::Tensor> metrics;  // scalars, detached
};

// Adds the loss as a term of this name, and the metrics.
SILC_EXPORT void add_term(StepResult& result, const std::string& name, SelfDistillationResult part, double weight = 1);

// Mean over pairs (teacher view g, student view v) and pictures of − Σ_k q_gk log p_vk, with
// q = softmax((t − c) / τ_t) and p = softmax(s / τ_s) (Caron 2021, section 3.1), c the centre before this step; with
// Sinkhorn-Knopp, q are the assignments of all teacher views together, and there is no centre.
//
// The cross-entropy is linear in q, so all teachers that a student view is paired with are summed first and each
// student view meets one target: the same value and gradient for one product instead of one per pair.
class SILC_EXPORT SelfDistillationLoss : public torch::nn::Module {
 public:
  SelfDistillationLoss(int64_t prototypes, double student_temperature, double center_momentum,
                       Centering centering = Centering::moving_average);

  // teacher: [G·B, K] scores of the global views, without a gradient. student_local: [V·B, K]. student_global: [G·B,
  // K], paired with every teacher view but its own; undefined: the student sees local views only. Views lie one after
  // the other as in Batch::views. Updates the centre: c ← m c + (1 − m) mean(t).
  SelfDistillationResult forward(const at::Tensor& teacher, const at::Tensor& student_local,
                                 const at::Tensor& student_global, int64_t batch, double teacher_temperature);

  [[nodiscard]] const at::Tensor& center() const { return center_; }

 private:
  double student_temperature_;
  double center_momentum_;
  Centering centering_;
  at::Tensor center_;  // [K]
};

// The options of a comparison of student and teacher, by this loss or by PatchTokenLoss.
struct DistillationOptions {
  Option<double> student_temperature = number_option("student_temperature", 0.1, 0.001, 10, "of the student's softmax");
  Option<double> center_momentum = number_option("center_momentum", 0.9, 0, 1, "m of the centre's moving average");

  [[nodiscard]] constexpr auto members() const { return std::tie(student_temperature, center_momentum); }

  template <class Loss = SelfDistillationLoss>
  [[nodiscard]] std::shared_ptr<Loss> make(const Options& options, int64_t prototypes,
                                           Centering centering = Centering::moving_average) const {
    return std::make_shared<Loss>(prototypes, options[student_temperature], options[center_momentum], centering);
  }
};

// With a teacher's temperature that stays.
struct SteadyDistillationOptions : DistillationOptions {
  Option<double> teacher_temperature;

  consteval explicit SteadyDistillationOptions(double standard = 0.04)
      : teacher_temperature(number_option("teacher_temperature", standard, 0.001, 10, "of the teacher's softmax")) {}

  [[nodiscard]] constexpr auto members() const {
    return std::tuple_cat(DistillationOptions::members(), std::tie(teacher_temperature));
  }
};

// A teacher's temperature that changes while the teacher is new, so that it does not collapse (Caron 2021, appendix D).
struct SILC_EXPORT WarmedTemperature {
  Option<double> first, last;

  consteval WarmedTemperature(std::string_view name, double standard_first, double standard_last,
                              std::string_view of = "of the teacher's softmax")
      : first(prefixed(name, number_option("_start", standard_first, 0.001, 10, "the same when distillation begins"))),
        last(prefixed(name, number_option("", standard_last, 0.001, 10, of))) {}

  [[nodiscard]] constexpr auto members() const { return std::tie(last, first); }

  // `warmth`: part of the warm-up that is over, in [0, 1].
  [[nodiscard]] double at(const Options& options, double warmth) const;
};

struct TemperatureWarmup {
  double first = 0.04, last = 0.04;
  double duration = 0;  // fraction of training
};

// With one that warms up.
struct SILC_EXPORT WarmedDistillationOptions : DistillationOptions {
  WarmedTemperature teacher_temperature;
  Option<double> warmup;

  consteval explicit WarmedDistillationOptions(const TemperatureWarmup& standard)
      : teacher_temperature("teacher_temperature", standard.first, standard.last),
        warmup(
            number_option("teacher_temperature_warmup", standard.duration, 0, 1,
                          "fraction of training, from when distillation begins, over which the teacher's temperature "
                          "goes from its start to its final value")) {}

  [[nodiscard]] constexpr auto members() const {
    return std::tuple_cat(DistillationOptions::members(), std::tie(teacher_temperature, warmup));
  }

  // Where distillation began at the fraction `begin` of training.
  [[nodiscard]] double warmth(const Options& options, double fraction, double begin = 0) const;
  [[nodiscard]] double temperature(const Options& options, double fraction, double begin = 0) const;
};

}  // namespace silc
