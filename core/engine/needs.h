// What evaluators need of a model, against what it has.
#pragma once

#include <string>

#include "engine/assembly.h"
#include "plugin/catalogue.h"
#include "spec/cell.h"

namespace silc {

// Whether a picture has patch tokens among its features.
bool has_patch_tokens(const ImageFeatures& features);

// The same, found out with a picture of zeros. Puts the tower into evaluation mode.
bool gives_patch_tokens(ImageTower& tower, const ResolvedCell& cell, const at::Device& device);

// Why an evaluation does not apply to a model, by its nature: "the model has no caption decoder". Empty: it does.
// Puts the image tower into evaluation mode.
std::string why_not_applicable(const PluginInfo& evaluator, const ResolvedCell& cell, const Assembly& assembly);

}  // namespace silc
