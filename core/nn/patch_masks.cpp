#include "nn/patch_masks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "nn/ranks.h"
#include "nn/views.h"

namespace silc {

namespace {

// In Batch::prepared.
constexpr const char* kPatchMaskKey = "patch_mask";
constexpr const char* kPatchPlacesKey = "patch_mask_places";
constexpr const char* kPatchWeightsKey = "patch_mask_weights";

// What the random numbers of one step are for; the sample is the low half of their index.
enum class Draw : uint64_t { count = 0, order = 1, blocks = 2, scatter = 3 };

Random draw(const Progress& progress, Draw purpose, int64_t sample) {
  return progress.random(static_cast<uint64_t>(purpose) << 32 | static_cast<uint64_t>(sample));
}

template <class T>
void shuffle(std::span<T> values, Random& random) {
  for (std::size_t last = values.size(); last > 1; --last)
    std::swap(values[last - 1], values[random.below(static_cast<uint32_t>(last))]);
}

// Hides one rectangle that covers between 1 and `room` patches that were not hidden. Gives their number; 0: no luck.
int64_t hide_block(const PatchGrid& grid, std::span<bool> mask, int64_t min_area, int64_t room, Random& random) {
  constexpr double kMinAspect = 0.3;
  const double area = random.uniform(static_cast<double>(min_area), static_cast<double>(room));
  const double aspect = std::exp(random.uniform(std::log(kMinAspect), -std::log(kMinAspect)));
  const auto height = std::llrint(std::sqrt(area * aspect)), width = std::llrint(std::sqrt(area / aspect));
  if (height >= grid.height || width >= grid.width) return 0;
  const int64_t top = random.below(static_cast<uint32_t>(grid.height - height + 1));
  const int64_t left = random.below(static_cast<uint32_t>(grid.width - width + 1));
  const auto for_each = [&](const auto& visit) {
    for (int64_t row = top; row < top + height; ++row)
      for (int64_t column = left; column < left + width; ++column)
        visit(mask[static_cast<std::size_t>(row * grid.width + column)]);
  };
  int64_t fresh = 0;
  for_each([&](bool& hidden) { fresh += hidden ? 0 : 1; });
  if (fresh > room) return 0;
  for_each([](bool& hidden) { hidden = true; });
  return fresh;
}

void hide_blocks(const PatchGrid& grid, std::span<bool> mask, int64_t count, int64_t min_area, Random& random) {
  constexpr int kTries = 10;
  int64_t hidden = 0;
  for (int failures = 0; hidden < count && failures < kTries;) {
    const int64_t added = hide_block(grid, mask, min_area, count - hidden, random);
    failures = added == 0 ? failures + 1 : 0;
    hidden += added;
  }
}

std::span<bool> row(at::Tensor& masks, int64_t sample) {
  const auto patches = masks.size(1);
  return {masks.data_ptr<bool>() + sample * patches, static_cast<std::size_t>(patches)};
}

// Of a sample of this rank, its place among those of all; batch 0: there are no others.
int64_t place_of(int64_t sample, int64_t batch) { return batch == 0 ? sample : ranks().global_row(sample, batch); }

int64_t part_of(int64_t patches, double ratio) { return static_cast<int64_t>(static_cast<double>(patches) * ratio); }

}  // namespace

at::Tensor block_masks(const PatchGrid& grid, std::span<const int64_t> counts, int64_t min_area,
                       const Progress& progress, int64_t batch) {
  const auto samples = static_cast<int64_t>(counts.size());
  auto masks = at::zeros({samples, grid.height * grid.width}, at::kBool);
  for (int64_t s = 0; s < samples; ++s) {
    auto random = draw(progress, Draw::blocks, place_of(s, batch));
    hide_blocks(grid, row(masks, s), counts[static_cast<std::size_t>(s)], min_area, random);
  }
  return masks;
}

at::Tensor random_masks(int64_t samples, int64_t patches, double ratio, const Progress& progress, int64_t batch) {
  auto masks = at::zeros({samples, patches}, at::kBool);
  std::vector<int64_t> order(static_cast<std::size_t>(patches));
  const auto count = static_cast<std::size_t>(std::llround(static_cast<double>(patches) * ratio));
  for (int64_t s = 0; s < samples; ++s) {
    auto random = draw(progress, Draw::scatter, place_of(s, batch));
    std::iota(order.begin(), order.end(), 0);
    shuffle(std::span(order), random);
    const auto mask = row(masks, s);
    for (std::size_t i = 0; i < count; ++i) mask[static_cast<std::size_t>(order[i])] = true;
  }
  return masks;
}

std::vector<int64_t> independent_mask_counts(int64_t samples, int64_t patches, double probability, const Pair& ratio,
                                             const Progress& progress, int64_t batch) {
  std::vector<int64_t> counts;
  for (int64_t s = 0; s < samples; ++s) {
    auto random = draw(progress, Draw::count, place_of(s, batch));
    const bool masked = random.uniform() < probability;
    counts.push_back(masked ? part_of(patches, random.uniform(ratio[0], ratio[1])) : 0);
  }
  return counts;
}

// Drawn for the samples of all ranks, of which this one's are given.
std::vector<int64_t> stratified_mask_counts(int64_t samples, int64_t patches, double probability, const Pair& ratio,
                                            const Progress& progress, int64_t batch) {
  const int64_t of_all = batch == 0 ? samples : samples * ranks().size();
  std::vector<int64_t> all(static_cast<std::size_t>(of_all), 0);
  const auto masked = part_of(of_all, probability);
  for (int64_t s = 0; s < masked; ++s) {
    auto random = draw(progress, Draw::count, s);
    const double place = (static_cast<double>(s) + random.uniform()) / static_cast<double>(masked);
    all[static_cast<std::size_t>(s)] = part_of(patches, std::lerp(ratio[0], ratio[1], place));
  }
  auto random = draw(progress, Draw::order, 0);
  shuffle(std::span(all), random);
  std::vector<int64_t> counts;
  for (int64_t s = 0; s < samples; ++s) counts.push_back(all[static_cast<std::size_t>(place_of(s, batch))]);
  return counts;
}

PatchMasks PatchMasks::of(const at::Tensor& mask) {
  const auto samples = mask.size(0), patches = mask.size(1);
  const auto* hidden = mask.const_data_ptr<bool>();
  const auto count = std::count(hidden, hidden + mask.numel(), true);
  PatchMasks masks{.hidden = mask, .places = at::empty({count}, at::kLong), .weights = at::empty({count}, at::kDouble)};
  auto* place = masks.places.mutable_data_ptr<int64_t>();
  auto* weight = masks.weights.mutable_data_ptr<double>();
  for (int64_t s = 0; s < samples; ++s) {
    const auto* own = hidden + s * patches;
    const auto of_sample = std::count(own, own + patches, true);
    for (int64_t n = 0; n < patches; ++n)
      if (own[n]) *place++ = s * patches + n;
    weight = std::fill_n(weight, of_sample, 1 / (static_cast<double>(of_sample) * static_cast<double>(samples)));
  }
  return masks;
}

void PatchMasks::put_into(Batch& batch) const {
  batch.prepared[kPatchMaskKey] = hidden;
  batch.prepared[kPatchPlacesKey] = places;
  batch.prepared[kPatchWeightsKey] = weights;
}

PatchMasks PatchMasks::in(const Batch& batch) {
  return {.hidden = batch.prepared.at(kPatchMaskKey),
          .places = batch.prepared.at(kPatchPlacesKey),
          .weights = batch.prepared.at(kPatchWeightsKey)};
}

at::Tensor masked_patches(const at::Tensor& patches, const PatchMasks& masks) {
  return patches.flatten(0, 1).index_select(0, masks.places);
}

void hide_at_random(Batch& batch, const std::string& view, const ImageTower& tower, double ratio,
                    const Progress& progress) {
  const auto images = find_view(batch, view);
  if (!images.defined()) return;
  const auto grid = tower.patch_grid(images);
  PatchMasks::of(random_masks(images.size(0), grid.height * grid.width, ratio, progress, batch.size)).put_into(batch);
}

void BlockMaskOptions::hide_independently(Batch& batch, const ImageTower& tower, const Options& options,
                                          const Progress& progress) const {
  const auto grid = tower.patch_grid(batch.views.at("global_1"));
  const auto third = std::min(grid.height, grid.width) / 3;
  const auto counts = independent_mask_counts(2 * batch.size, grid.height * grid.width, options[probability],
                                              options[ratio], progress, batch.size);
  PatchMasks::of(block_masks(grid, counts, third * third, progress, batch.size)).put_into(batch);
}

void BlockMaskOptions::hide_evenly(Batch& batch, const ImageTower& tower, const Options& options,
                                   const Progress& progress) const {
  constexpr int64_t kMinArea = 4;
  const auto grid = tower.patch_grid(batch.views.at("global_1"));
  const auto counts = stratified_mask_counts(2 * batch.size, grid.height * grid.width, options[probability],
                                             options[ratio], progress, batch.size);
  PatchMasks::of(block_masks(grid, counts, kMinArea, progress, batch.size)).put_into(batch);
}

}  // namespace silc
