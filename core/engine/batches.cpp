#include "engine/batches.h"

#include <ATen/ops/empty.h>

#include <set>

#include "engine/failure.h"
#include "engine/random_streams.h"
#include "engine/views.h"
#include "silc/error.h"

namespace silc {
namespace {

int64_t checked_size(const Dataset& dataset, const std::string& name) {
  const int64_t size = dataset.size();
  if (size < 1) throw Error("dataset \"" + name + "\" has no samples in the split that is trained on");
  return size;
}

void check_views(const std::vector<ViewSpec>& views) {
  std::set<std::string> names;
  for (const ViewSpec& view : views) {
    if (!names.insert(view.name).second) throw Error("the objective asks for two views named \"" + view.name + "\"");
    const bool sound = view.count > 0 && view.size > 0 && view.area[0] > 0 && view.area[0] <= view.area[1] &&
                       view.area[1] <= 1 && view.aspect_ratio[0] > 0 && view.aspect_ratio[0] <= view.aspect_ratio[1];
    if (!sound)
      throw Error("the objective's view \"" + view.name +
                  "\" needs count > 0, an area within (0, 1] and a positive range of aspect ratios");
  }
}

void check_image(const Image& image, int64_t index) {
  if (image.width < 1 || image.height < 1 ||
      image.rgb.size() != static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * 3)
    throw Error("sample " + std::to_string(index) + " has a picture whose pixels do not fit its size");
}

}  // namespace

BatchSource::BatchSource(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Tokenizer> tokenizer,
                         std::vector<ViewSpec> views, BatchSettings settings)
    : dataset_(std::move(dataset)),
      tokenizer_(std::move(tokenizer)),
      views_(std::move(views)),
      settings_(std::move(settings)),
      order_(checked_size(*dataset_, settings_.dataset_name), settings_.seed) {
  for (ViewSpec& view : views_)
    if (view.size == 0) view.size = settings_.image_size;
  check_views(views_);
}

bool BatchSource::needed(const ViewSpec& view, int64_t step) const {
  if (settings_.total_steps == 0) return true;
  return static_cast<double>(step) / static_cast<double>(settings_.total_steps) >= view.from;
}

Sample BatchSource::read_sample(int64_t index) const {
  return in_plugin(PluginKind::dataset, settings_.dataset_name, [&] {
    Sample sample = dataset_->sample(index);
    check_image(sample.image, index);
    if (sample.captions.empty()) throw Error("sample " + std::to_string(index) + " has no caption");
    return sample;
  });
}

std::vector<int64_t> BatchSource::tokens(const std::string& caption) const {
  return in_plugin(PluginKind::tokenizer, settings_.tokenizer_name, [&] {
    std::vector<int64_t> ids = tokenizer_->encode(caption, settings_.context_length);
    if (static_cast<int64_t>(ids.size()) != settings_.context_length)
      throw Error("gave " + std::to_string(ids.size()) + " ids where " + std::to_string(settings_.context_length) +
                  " were asked for");
    return ids;
  });
}

Batch BatchSource::batch(int64_t step) const {
  const int64_t B = settings_.batch;
  const int64_t T = settings_.context_length;
  Batch batch;
  batch.size = B;
  batch.tokens = at::empty({B, T}, at::kLong);
  batch.labels = at::empty({B}, at::kLong);
  std::vector<float*> pixels;  // of each view; null: not needed yet
  for (const ViewSpec& view : views_) {
    pixels.push_back(nullptr);
    if (!needed(view, step)) continue;
    at::Tensor crops = at::empty({view.count * B, 3, view.size, view.size}, at::kFloat);  // [V·B, 3, S, S]
    pixels.back() = crops.mutable_data_ptr<float>();
    batch.views.emplace(view.name, std::move(crops));
  }

  for (int64_t b = 0; b < B; ++b) {
    const int64_t position = step * B + b;
    const Sample sample = read_sample(order_.sample_at(position));
    batch.labels.mutable_data_ptr<int64_t>()[b] = sample.label;

    const int64_t caption = order_.caption_at(position, static_cast<int64_t>(sample.captions.size()));
    const std::vector<int64_t> ids = tokens(sample.captions[static_cast<size_t>(caption)]);
    std::copy(ids.begin(), ids.end(), batch.tokens.mutable_data_ptr<int64_t>() + b * T);

    uint32_t view_number = 0;  // over all views, needed or not, so that crops do not depend on what is needed
    for (size_t s = 0; s < views_.size(); ++s) {
      const ViewSpec& view = views_[s];
      for (int64_t v = 0; v < view.count; ++v, ++view_number) {
        if (pixels[s] == nullptr) continue;
        Random random(settings_.seed, kCropStream, static_cast<uint64_t>(position), view_number);
        const Crop crop = random_crop(view, sample.image.width, sample.image.height, random);
        cut_view(sample.image, crop, view.size, pixels[s] + (v * B + b) * 3 * view.size * view.size);
      }
    }
  }
  return batch;
}

Batch to_device(Batch batch, const at::Device& device) {
  if (device.is_cpu()) return batch;
  for (auto& [name, view] : batch.views) view = view.to(device);
  batch.tokens = batch.tokens.to(device);
  batch.labels = batch.labels.to(device);
  return batch;
}

}  // namespace silc
