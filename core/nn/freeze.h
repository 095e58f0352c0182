// Parts of the model that an objective leaves as they are.
#pragma once

#include "silc/model.h"

namespace silc {

// Takes all parameters of `module` out of training: no gradient, no weight decay, no optimizer state. Where nothing
// that it is given requires a gradient either, its forward pass leaves no graph behind.
SILC_EXPORT void freeze(torch::nn::Module& module);

// For objectives without captions: the text tower and the image tower's projection have no part in their loss.
SILC_EXPORT void freeze_all_but_image_backbone(DualEncoder& model);

}  // namespace silc
