#include "nn/health.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <utility>

namespace silc {
namespace {

constexpr double kNoBetter = 0.98;  // of the loss at chance: less than that is something learned
constexpr double kNothing = 0.01;   // of the greatest entropy
constexpr double kEverything = 0.99;

// A collapse does not mend itself, but the first updates of a healthy run may look like one.
constexpr int64_t kCollapseSteps = 30;
constexpr double kCollapseShare = 0.05;

// A teacher that has said nothing for so long, where it should have begun to.
constexpr int64_t kUniformSteps = 50;
constexpr double kUniformShare = 0.25;

// Of metrics whose names begin with `prefix`, of what `what` calls them.
std::vector<HealthCheck> teacher_health(int64_t prototypes, const std::string& prefix, const std::string& what) {
  const double greatest = std::log(static_cast<double>(prototypes));
  return {{.name = prefix + "teacher_entropy_zero",
           .metric = prefix + "teacher_entropy",
           .condition = HealthCondition::below,
           .value = kNothing * greatest,
           .steps = kCollapseSteps,
           .share = kCollapseShare,
           .message = "the teacher gives all of a view's probability to one prototype: its targets are hard labels, "
                      "and where prototypes_in_use is 1 there is nothing left to distil; raise teacher_temperature"},
          {.name = prefix + "teacher_entropy_uniform",
           .metric = prefix + "teacher_entropy",
           .condition = HealthCondition::above,
           .value = kEverything * greatest,
           .steps = kUniformSteps,
           .share = kUniformShare,
           .message = fmt::format("the teacher finds all {} prototypes equally likely (log {} = {:.4g}), and so "
                                  "teaches nothing; lower teacher_temperature",
                                  prototypes, prototypes, greatest)},
          {.name = prefix + "prototypes_collapsed",
           .metric = prefix + "prototypes_in_use",
           .condition = HealthCondition::below,
           .value = 1.5,
           .steps = kCollapseSteps,
           .share = kCollapseShare,
           .message = fmt::format("one prototype of {} is the likeliest for every {}: the representation has "
                                  "collapsed; lower center_momentum so that the centre follows, or optimizer.lr, or "
                                  "raise teacher_momentum",
                                  prototypes, what)}};
}

}  // namespace

std::vector<HealthCheck> contrastive_health(const ContrastiveLoss& loss, const BatchShape& batch,
                                            const std::string& term) {
  if (batch.size < 2) return {};
  const double chance = loss.chance(batch.size);
  std::vector<HealthCheck> checks = {
      {.name = term + "_at_chance",
       .metric = "loss/" + term,
       .condition = HealthCondition::above,
       .value = kNoBetter * chance,
       .steps = 20,
       .share = 0.25,
       .from = 0.75,
       .message = fmt::format("it is no better than chance, {:.4g} for batches of {}: pictures and captions were not "
                              "told apart; another optimizer.lr or a longer optimizer.warmup may help, and captions "
                              "that do not belong to their pictures may be the cause",
                              chance, batch.size)},
      {.name = "duplicate_pictures",
       .metric = "duplicate_pictures",
       .condition = HealthCondition::above,
       .value = 0,
       .steps = 5,
       .message = "batches hold the same picture more than once, which the contrastive loss takes for negatives of "
                  "each other; a smaller optimizer.batch or more training pictures mend it"}};
  if (std::isfinite(loss.max_scale()))
    checks.push_back({.name = "logit_scale_at_limit",
                      .metric = "logit_scale",
                      .condition = HealthCondition::above,
                      .value = 0.9999 * loss.max_scale(),
                      .steps = 50,
                      .share = 0.25,
                      .message = fmt::format("the temperature is held at its limit, a scale of {:.4g}: the loss asks "
                                             "for more; training pairs are learnt by heart, or optimizer.lr is too "
                                             "high for it",
                                             loss.max_scale())});
  return checks;
}

std::vector<HealthCheck> self_distillation_health(int64_t prototypes, const std::string& term) {
  std::vector<HealthCheck> checks = teacher_health(prototypes, "", "view");
  const double greatest = std::log(static_cast<double>(prototypes));
  checks.push_back({.name = term + "_at_chance",
                    .metric = "loss/" + term,
                    .condition = HealthCondition::above,
                    .value = kEverything * greatest,
                    .steps = kUniformSteps,
                    .share = kUniformShare,
                    .from = 0.25,
                    .message = fmt::format("it is no better than chance, log {} = {:.4g}: the student predicts nothing "
                                           "of what the teacher sees; lower teacher_temperature or center_momentum, "
                                           "or use fewer prototypes",
                                           prototypes, greatest)});
  return checks;
}

std::vector<HealthCheck> patch_distillation_health(int64_t prototypes) {
  return teacher_health(prototypes, "patch_", "masked patch");
}

std::vector<HealthCheck> health_of(const BatchShape& batch, const std::shared_ptr<ContrastiveLoss>& contrastive,
                                   const std::shared_ptr<SelfDistillationLoss>& distillation,
                                   const std::shared_ptr<PatchTokenLoss>& patches) {
  std::vector<HealthCheck> checks;
  const auto add = [&](std::vector<HealthCheck> more) {
    std::move(more.begin(), more.end(), std::back_inserter(checks));
  };
  if (contrastive) add(contrastive_health(*contrastive, batch));
  if (distillation) add(self_distillation_health(distillation->center().size(0)));
  if (patches) add(patch_distillation_health(patches->center().size(0)));
  return checks;
}

}  // namespace silc
