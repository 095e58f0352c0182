// What experiments train that are to take a second or two.
#pragma once

#include <string>

namespace silc::testing {

// Tables of an experiment file.
inline constexpr const char* kTinyModel = R"(
[data]
train = { dataset = "shapes", split = "train" }

[model]
image = { backbone = "vit", image_size = 32, patch = 8, width = 32, layers = 1, heads = 2, stem = "conv", pooling = "mean" }
text = { backbone = "text_transformer", width = 32, layers = 1, heads = 2, context_length = 16 }
embed_dim = 16
)";

// Two rows that each train in a second or two.
inline const std::string kPair = R"(
[experiment]
name = "pair"
seeds = [0]

[budget]
examples = 96
)" + std::string(kTinyModel) +
                                 R"(
[optimizer]
batch = 8

[engine]
device = "cpu"
checkpoint_seconds = 0
log_every = 1

[[evaluate]]
evaluator = "zero_shot_classification"
dataset = { dataset = "shapes", examples = 64 }

[[row]]
name = "CLIP"
objective = "clip"

[[row]]
name = "SigLIP"
objective = "siglip"
)";

}  // namespace silc::testing
