// What objectives share whose loss is a contrastive one and nothing else.
#pragma once

#include <memory>
#include <vector>

#include "nn/contrastive_loss.h"
#include "silc/objective.h"

namespace silc {

// One view of each picture meets one caption. What is compared, how, and what of the model learns is the objective's
// business: it gives the view and the loss.
class SILC_EXPORT PlainContrastive : public Objective {
 public:
  [[nodiscard]] std::vector<ViewSpec> views() const override { return {view_}; }
  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override;
  StepResult step(const Batch& batch, const Progress& progress) override;
  void after_update(const Progress& progress) override;

 protected:
  PlainContrastive(const ObjectiveContext& context, ViewSpec view, std::shared_ptr<ContrastiveLoss> loss);

  [[nodiscard]] DualEncoder& model() const { return *model_; }

 private:
  ViewSpec view_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<ContrastiveLoss> loss_;
};

}  // namespace silc
