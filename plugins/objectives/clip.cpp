// CLIP (Radford 2021): matched pictures and captions attract, all others of the batch repel.
#include "nn/plain_contrastive.h"
#include "nn/views.h"

namespace silc::objectives::clip {
namespace {

constexpr ViewOptions kView;

class Clip : public PlainContrastive {
 public:
  explicit Clip(const ObjectiveContext& context)
      : PlainContrastive(context, kView.view(context.options), std::make_shared<ClipLoss>()) {}
};

}  // namespace

SILC_OBJECTIVE(clip, Clip, 1, "CLIP's softmax contrastive loss", kView);

}  // namespace silc::objectives::clip
