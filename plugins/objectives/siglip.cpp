// SigLIP (Zhai 2023): each pair of picture and caption is a decision of its own, matched or not.
#include "nn/plain_contrastive.h"
#include "nn/views.h"

namespace silc::objectives::siglip {
namespace {

constexpr ViewOptions kView;
constexpr auto kInitialBias = initial_bias_option();

class Siglip : public PlainContrastive {
 public:
  explicit Siglip(const ObjectiveContext& context)
      : PlainContrastive(context, kView.view(context.options),
                         std::make_shared<SigmoidLoss>(context.options[kInitialBias])) {}
};

}  // namespace

SILC_OBJECTIVE(siglip, Siglip, 1, "SigLIP's sigmoid contrastive loss", kView, kInitialBias);

}  // namespace silc::objectives::siglip
