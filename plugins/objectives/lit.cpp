// LiT (Zhai 2022, arXiv:2111.07991): a text tower learns to read out of an image tower that stays as it is, "Lu" in the
// paper's terms. It is for a second phase, or for a model that starts from a checkpoint: the image tower must have
// learnt something. As in google-research/big_vision (configs/proj/image_text/siglip_lit_coco.py), the schedule of
// img/.* is None: neither gradient nor weight decay; and by default no head is learnt on top of the image tower.
#include "nn/freeze.h"
#include "nn/plain_contrastive.h"
#include "nn/views.h"

namespace silc::objectives::lit {
namespace {

constexpr auto kContrastive = contrastive_option();  // siglip: SigLiT (Zhai 2023)
constexpr auto kImageProjection = choice_option(
    "image_projection", "frozen", "frozen|trained",
    "projection of the image tower to the joint space. frozen: as it came, no head is learnt on the image "
    "tower (LiT's default); trained: a linear head on it is");
constexpr ViewOptions kView;

class Lit : public PlainContrastive {
 public:
  explicit Lit(const ObjectiveContext& context)
      : PlainContrastive(context, kView.view(context.options), make_contrastive_loss(context.options[kContrastive])) {
    freeze(*model().image);
    if (context.options[kImageProjection] == "trained") model().image->train_projection(true);
  }

  StepResult step(const Batch& batch, const Progress& progress) override {
    model().image->eval();  // statistics of a batch norm stay as well
    return PlainContrastive::step(batch, progress);
  }
};

}  // namespace

SILC_OBJECTIVE(lit, Lit, 1, "LiT: contrastive learning of the text tower alone, the image tower frozen", kContrastive,
               kImageProjection, kView);

}  // namespace silc::objectives::lit
