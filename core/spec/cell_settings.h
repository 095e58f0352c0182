// A cell as settings: what cell.toml holds and what its identity is computed from. No LibTorch.
#pragma once

#include "spec/cell.h"
#include "spec/setting.h"

namespace silc {

// The keys are those of an experiment file, with the data fingerprints, the `versions` of the plugins by kind and name,
// and the content hashes of the `files` that options name, by path. Experiment, row and seed are not in it.
Setting cell_settings(const ResolvedCell& cell);

// "image_backbone": the kind as a key.
std::string kind_key(PluginKind kind);

}  // namespace silc
