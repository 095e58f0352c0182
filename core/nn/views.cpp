#include "nn/views.h"

namespace silc {

namespace {

bool same_size(const at::Tensor& a, const at::Tensor& b) {
  return b.defined() && a.sizes().slice(1) == b.sizes().slice(1);
}

}  // namespace

at::Tensor find_view(const Batch& batch, const std::string& name) {
  const auto found = batch.views.find(name);
  return found == batch.views.end() ? at::Tensor() : found->second;
}

std::vector<at::Tensor> pooled_features(ImageTower& tower, std::span<const at::Tensor> sets) {
  std::vector<at::Tensor> features(sets.size());
  for (std::size_t first = 0; first < sets.size(); ++first) {
    if (features[first].defined() || !sets[first].defined()) continue;
    std::vector<std::size_t> members;
    std::vector<at::Tensor> images;
    std::vector<int64_t> lengths;
    for (std::size_t i = first; i < sets.size(); ++i) {
      if (!same_size(sets[first], sets[i])) continue;
      members.push_back(i);
      images.push_back(sets[i]);
      lengths.push_back(sets[i].size(0));
    }
    const auto pooled = tower.pool(images.size() == 1 ? images[0] : at::cat(images));
    const auto parts = pooled.split_with_sizes(lengths);
    for (std::size_t i = 0; i < members.size(); ++i) features[members[i]] = parts[i];
  }
  return features;
}

ViewSpec ViewOptions::view(const Options& options) const {
  return {.name = "image", .area = options[area], .flip = options[flip]};
}

}  // namespace silc
