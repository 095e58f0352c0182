#include "engine/needs.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include "engine/failure.h"

namespace silc {

bool has_patch_tokens(const ImageFeatures& features) {
  return features.patches.defined() && features.patches.dim() == 3 && features.patches.size(1) > 0;
}

bool gives_patch_tokens(ImageTower& tower, const ResolvedCell& cell, const at::Device& device) {
  const torch::NoGradGuard no_grad;
  tower.eval();
  const int64_t size = cell.image.image_size;
  return in_plugin(PluginKind::image_backbone, cell.image.backbone.name, [&] {
    return has_patch_tokens(tower.forward(at::zeros({1, 3, size, size}, device)));
  });
}

std::string why_not_applicable(const PluginInfo& evaluator, const ResolvedCell& cell, const Assembly& assembly) {
  const uint32_t needed = evaluator.needs.needed;
  if (contains(needed, Need::caption_decoder) && assembly.objective->captioner() == nullptr)
    return "the model has no caption decoder";
  if (contains(needed, Need::patch_tokens) && !gives_patch_tokens(*assembly.model->image, cell, assembly.device))
    return "the image backbone gives no patch tokens";
  return "";
}

}  // namespace silc
