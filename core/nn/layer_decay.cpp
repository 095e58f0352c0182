#include "nn/layer_decay.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace silc {

namespace {

// The i of a name like "backbone.transformer.resblocks.3.attn.in_proj_weight".
std::optional<int64_t> block_of(const std::string& name) {
  constexpr std::string_view kBlocks = "blocks.";
  const auto found = name.find(kBlocks);
  if (found == std::string::npos) return std::nullopt;
  const auto digits = name.substr(found + kBlocks.size());
  return digits.empty() || digits[0] < '0' || digits[0] > '9' ? std::nullopt
                                                              : std::optional<int64_t>(std::stoll(digits));
}

// Whether a parameter belongs to a module or is a parameter that has one of these names.
template <std::size_t N>
bool has_part(std::string_view name, const std::array<std::string_view, N>& parts) {
  while (!name.empty()) {
    const auto end = std::min(name.find('.'), name.size());
    if (std::find(parts.begin(), parts.end(), name.substr(0, end)) != parts.end()) return true;
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return false;
}

constexpr std::array<std::string_view, 3> kPatchEmbeddings = {"conv1", "stem", "patch_embed"};
constexpr std::array<std::string_view, 4> kTokens = {"class_embedding", "positional_embedding", "register_tokens",
                                                     "ln_pre"};

}  // namespace

std::vector<ParameterGroup> layer_decay(const ImageTower& tower, double decay, double patch_embedding_scale,
                                        const std::vector<at::Tensor>& also) {
  const auto parameters = tower.named_parameters();
  int64_t blocks = 0;
  for (const auto& parameter : parameters) blocks = std::max(blocks, block_of(parameter.key()).value_or(-1) + 1);
  if (blocks == 0) return {};
  const double first = std::pow(decay, static_cast<double>(blocks + 1));

  std::map<double, std::vector<at::Tensor>> by_scale;
  by_scale[first] = also;
  for (const auto& parameter : parameters) {
    if (!parameter.value().requires_grad()) continue;
    if (const auto block = block_of(parameter.key())) {
      by_scale[std::pow(decay, static_cast<double>(blocks - *block))].push_back(parameter.value());
    } else if (has_part(parameter.key(), kPatchEmbeddings)) {
      by_scale[first * patch_embedding_scale].push_back(parameter.value());
    } else if (has_part(parameter.key(), kTokens)) {
      by_scale[first].push_back(parameter.value());
    }
  }
  std::vector<ParameterGroup> groups;
  for (auto& [scale, members] : by_scale)
    if (!members.empty()) groups.push_back({.parameters = std::move(members), .lr_scale = scale});
  return groups;
}

std::vector<ParameterGroup> LayerDecayOptions::groups(const Options& options, const ImageTower& tower,
                                                      const std::vector<at::Tensor>& also) const {
  return layer_decay(tower, options[decay], options[patch_embedding_scale], also);
}

}  // namespace silc
