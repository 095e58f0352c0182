#include "nn/freeze.h"

namespace silc {

void freeze(torch::nn::Module& module) {
  for (auto& parameter : module.parameters()) parameter.set_requires_grad(false);
}

void freeze_all_but_image_backbone(DualEncoder& model) {
  freeze(*model.text);
  for (auto& parameter : model.image->parameters(/*recurse=*/false)) parameter.set_requires_grad(false);
}

}  // namespace silc
