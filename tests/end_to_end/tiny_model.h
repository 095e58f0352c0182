// What experiments train that are to take a second or two.
#pragma once

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

}  // namespace silc::testing
