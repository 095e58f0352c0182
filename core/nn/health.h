// Signs that common parts of objectives are sick, for Objective::health. Silent in runs of a few updates.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/contrastive_loss.h"
#include "nn/patch_token_loss.h"
#include "nn/self_distillation_loss.h"
#include "silc/export.h"
#include "silc/health.h"

namespace silc {

// Of a term that `loss` gives, and the metric "logit_scale": at chance in the last quarter of training, the scale at
// its limit for a quarter of it, pictures that are their own negatives. None for a batch of one, which has no
// negatives.
SILC_EXPORT std::vector<HealthCheck> contrastive_health(const ContrastiveLoss& loss, const BatchShape& batch,
                                                        const std::string& term = "contrastive");

// Of SelfDistillationLoss, whose loss is the term `term` and whose metrics are logged: a teacher that gives all of
// a view's probability to one prototype, the same prototype to every picture, or all prototypes alike.
SILC_EXPORT std::vector<HealthCheck> self_distillation_health(int64_t prototypes,
                                                              const std::string& term = "distillation");

// Of PatchTokenLoss, whose metrics are logged.
SILC_EXPORT std::vector<HealthCheck> patch_distillation_health(int64_t prototypes);

// All of these of an objective's parts under their usual names; a part that is null has none.
SILC_EXPORT std::vector<HealthCheck> health_of(const BatchShape& batch,
                                               const std::shared_ptr<ContrastiveLoss>& contrastive,
                                               const std::shared_ptr<SelfDistillationLoss>& distillation = nullptr,
                                               const std::shared_ptr<PatchTokenLoss>& patches = nullptr);

}  // namespace silc
