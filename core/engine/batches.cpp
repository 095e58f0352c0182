#include "engine/batches.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "engine/failure.h"
#include "engine/photometric.h"
#include "engine/random_streams.h"
#include "engine/views.h"
#include "nn/ranks.h"
#include "silc/error.h"

namespace silc {
namespace {

int64_t checked_size(const Dataset& dataset, const std::string& name) {
  const int64_t size = dataset.size();
  if (size < 1) throw Error("dataset \"" + name + "\" has no samples in the split that is trained on");
  return size;
}

bool sound_colours(const Photometric& colours) {
  const auto within = [](double value, double highest) { return value >= 0 && value <= highest; };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return within(colours.jitter, 1) && within(colours.greyscale, 1) && within(colours.blur, 1) &&
         within(colours.solarize, 1) && within(colours.brightness, kInfinity) && within(colours.contrast, kInfinity) &&
         within(colours.saturation, kInfinity) && within(colours.hue, 0.5) && colours.blur_sigma[0] > 0 &&
         colours.blur_sigma[0] <= colours.blur_sigma[1];
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
    if (!sound_colours(view.colours))
      throw Error("the objective's view \"" + view.name +
                  "\" needs colours with probabilities in [0, 1], ranges of at least 0, a hue of at most 0.5 and a "
                  "positive blur_sigma");
  }
}

// What no processor's cache keeps until the model sees it.
constexpr int64_t kCacheBytes = int64_t{8} << 20;

void check_image(const Image& image, const std::string& sample) {
  if (!image.encoded.empty()) return;  // its header has been read
  if (image.width < 1 || image.height < 1 ||
      image.rgb.size() != static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * 3)
    throw Error(sample + " has a picture whose pixels do not fit its size");
}

}  // namespace

BatchSource::BatchSource(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Tokenizer> tokenizer,
                         std::vector<ViewSpec> views, BatchSettings settings)
    : dataset_(std::move(dataset)),
      tokenizer_(std::move(tokenizer)),
      views_(std::move(views)),
      settings_(std::move(settings)),
      order_(checked_size(*dataset_, settings_.dataset_name), settings_.seed, dataset_->shard_starts()) {
  for (ViewSpec& view : views_)
    if (view.size == 0) view.size = settings_.image_size;
  check_views(views_);
  for (const ViewSpec& view : views_) batch_bytes_ += settings_.batch * view.count * 3 * view.size * view.size * 4;
  if (settings_.captions < 1)
    throw Error("the objective asks for " + std::to_string(settings_.captions) + " captions of each picture");
}

bool BatchSource::needed(const ViewSpec& view, int64_t step) const {
  if (settings_.total_steps == 0) return true;
  return static_cast<double>(step) / static_cast<double>(settings_.total_steps) >= view.from;
}

void BatchSource::check_mask(const Sample& sample, const std::string& name, const std::string& view) const {
  if (sample.mask.empty())
    throw Error("the objective's view \"" + view + "\" needs masks, which dataset \"" + settings_.dataset_name +
                "\" does not have (" + name + "); choose a dataset with masks");
  if (sample.mask.size() != static_cast<size_t>(sample.image.width * sample.image.height))
    throw Error(name + " has a mask that does not fit its picture");
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

at::Tensor BatchSource::empty(at::IntArrayRef shape, at::ScalarType type) const {
  return at::empty(shape, at::TensorOptions(type).pinned_memory(settings_.pinned));
}

std::vector<BatchSource::Target> BatchSource::make_views(int64_t step, Batch& batch) const {
  std::vector<Target> targets;
  for (const ViewSpec& view : views_) {
    Target& target = targets.emplace_back();
    if (!needed(view, step)) continue;
    const int64_t count = view.count * batch.size;
    at::Tensor crops = empty({count, 3, view.size, view.size}, at::kFloat);  // [V·B, 3, S, S]
    target.pixels = crops.mutable_data_ptr<float>();
    batch.views.emplace(view.name, std::move(crops));
    if (!view.masks) continue;
    at::Tensor classes = empty({count, view.size, view.size}, at::kByte);  // [V·B, S, S]
    target.masks = classes.mutable_data_ptr<uint8_t>();
    batch.masks.emplace(view.name, std::move(classes));
  }
  return targets;
}

std::vector<BatchSource::Cut> BatchSource::plan_cuts(const Image& image, int64_t position,
                                                     std::span<const Target> targets) const {
  std::vector<Cut> cuts;
  uint32_t of_sample = 0;
  for (size_t s = 0; s < views_.size(); ++s) {
    for (int64_t v = 0; v < views_[s].count; ++v, ++of_sample) {
      if (targets[s].pixels == nullptr) continue;
      Random random(settings_.seed, kCropStream, static_cast<uint64_t>(position), of_sample);
      cuts.push_back({s, v, of_sample, random_crop(views_[s], image.width, image.height, random)});
    }
  }
  return cuts;
}

// All crops come from one decoding, of what they cover together and no larger than the one that needs it largest.
void BatchSource::cut_views(Sample& sample, int64_t position, std::span<const Target> targets) const {
  const int64_t width = sample.image.width;
  const std::vector<Cut> cuts = plan_cuts(sample.image, position, targets);
  if (cuts.empty()) return;
  Region region;
  int64_t reduction = 8;
  for (const Cut& cut : cuts) {
    region = joined(region, cut.crop);
    reduction = std::min(reduction, greatest_reduction(cut.crop, views_[cut.view].size));
  }
  const PicturePart part = decode_part(std::move(sample.image), region, reduction);
  Shown finished = normalising(settings_.transform);
  finished.past_cache = batch_bytes_ > kCacheBytes;
  int64_t largest = 0;  // pixels of a view
  for (const ViewSpec& view : views_) largest = std::max(largest, view.size * view.size);
  std::unique_ptr<float[]> changing;
  for (const Cut& cut : cuts) {
    const ViewSpec& view = views_[cut.view];
    const Target& target = targets[cut.view];
    const int64_t place = (cut.number * settings_.batch + position % settings_.batch) * view.size * view.size;
    float* pixels = target.pixels + 3 * place;
    if (target.masks != nullptr) cut_mask(sample.mask, width, cut.crop, view.size, target.masks + place);
    Random of_colours(settings_.seed, kPhotometricStream, static_cast<uint64_t>(position), cut.of_sample);
    const ColourChange change = draw_colours(view.colours, of_colours);
    const Interpolation interpolation = settings_.transform.interpolation;
    if (changes_nothing(change)) {
      cut_view(part, cut.crop, view.size, interpolation, pixels, finished);
    } else {
      // In memory that is still in the cache, for the passes that it takes.
      if (!changing) changing = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(3 * largest));
      cut_view(part, cut.crop, view.size, interpolation, changing.get());
      apply_colours(change, view.size, changing.get());
      show(changing.get(), view.size * view.size, finished, pixels);
    }
  }
}

Sample BatchSource::place_sample(int64_t index, int64_t position, std::span<const Target> targets) const {
  Sample sample = dataset_->sample(index);
  const std::string name = "sample " + std::to_string(index);
  check_image(sample.image, name);
  if (sample.captions.empty()) throw Error(name + " has no caption");
  for (size_t s = 0; s < views_.size(); ++s)
    if (targets[s].masks != nullptr) check_mask(sample, name, views_[s].name);
  cut_views(sample, position, targets);
  return sample;
}

Sample BatchSource::place_readable(int64_t position, std::span<const Target> targets, ReadBatch& read) const {
  constexpr int64_t kAttempts = 100;  // one after the other: more are no accident
  const int64_t size = dataset_->size();
  for (int64_t attempt = 0;; ++attempt) {
    const int64_t index = (order_.sample_at(position) + attempt) % size;
    std::string reason;
    Sample sample = in_plugin(PluginKind::dataset, settings_.dataset_name, [&] {
      try {
        return place_sample(index, position, targets);
      } catch (const Error& error) {
        reason = error.what();
        return Sample{};
      }
    });
    if (reason.empty()) {
      read.batch.samples.push_back(index);
      return sample;
    }
    if (!settings_.skip) throw plugin_failure(PluginKind::dataset, settings_.dataset_name, reason);
    read.skipped.push_back({index, reason});
    if (attempt + 1 == std::min(kAttempts, size))
      throw plugin_failure(PluginKind::dataset, settings_.dataset_name,
                           std::to_string(attempt + 1) + " samples in a row cannot be read; the last: " + reason);
  }
}

ReadBatch BatchSource::read(int64_t step) const {
  const int64_t B = settings_.batch;
  const int64_t C = settings_.captions;
  const int64_t T = settings_.context_length;
  ReadBatch read;
  Batch& batch = read.batch;
  batch.size = B;
  batch.tokens = empty({C * B, T}, at::kLong);
  batch.labels = empty({B}, at::kLong);
  const std::vector<Target> targets = make_views(step, batch);

  for (int64_t b = 0; b < B; ++b) {
    const int64_t position = (step * settings_.ranks + settings_.rank) * B + b;
    const Sample sample = place_readable(position, targets, read);
    batch.labels.mutable_data_ptr<int64_t>()[b] = sample.label;
    for (int64_t c = 0; c < C; ++c) {
      const int64_t caption = order_.caption_at(position, static_cast<int64_t>(sample.captions.size()), c);
      const std::vector<int64_t> ids = tokens(sample.captions[static_cast<size_t>(caption)]);
      std::copy(ids.begin(), ids.end(), batch.tokens.mutable_data_ptr<int64_t>() + (c * B + b) * T);
    }
  }
  if (settings_.prepare) prepare(step, batch);
  return read;
}

void BatchSource::prepare(int64_t step, Batch& batch) const {
  const int64_t updates = settings_.total_steps / settings_.accumulate;
  const int64_t update = step / settings_.accumulate;
  settings_.prepare(batch, {.step = update,
                            .fraction = updates > 0 ? static_cast<double>(update) / static_cast<double>(updates) : 0,
                            .total_steps = updates,
                            .seed = settings_.seed,
                            .micro_batch = step % settings_.accumulate});
  if (settings_.pinned)
    for (auto& [name, tensor] : batch.prepared) tensor = tensor.pin_memory();
}

int64_t data_threads(const EngineSettings& engine, const at::Device& device) {
  constexpr int64_t kMost = 8;  // each has a batch in memory
  if (engine.data_threads > 0) return engine.data_threads;
  return device.is_cpu() ? 1 : std::clamp<int64_t>(at::get_num_threads(), 1, kMost);
}

namespace {

int64_t part_of_batch(const ResolvedCell& cell) {
  const int64_t whole = cell.optimizer.batch, parts = ranks().size();
  if (whole % parts != 0)
    throw Error("optimizer.batch = " + std::to_string(whole) + " cannot be shared out evenly among " +
                std::to_string(parts) +
                " ranks; choose a multiple of the ranks, or another number of them (engine.ranks)");
  return whole / parts;
}

}  // namespace

BatchSource make_batch_source(const ResolvedCell& cell, const Assembly& assembly, int64_t total_steps) {
  const auto ask = [&](auto&& question) { return in_plugin(PluginKind::objective, cell.objective.name, question); };
  return {assembly.dataset,
          assembly.tokenizer,
          ask([&] { return assembly.objective->views(); }),
          {.batch = part_of_batch(cell),
           .image_size = cell.image.image_size,
           .context_length = cell.text.context_length,
           .seed = training_seed(cell),
           .captions = ask([&] { return assembly.objective->captions(); }),
           .total_steps = total_steps * cell.optimizer.accumulate,
           .pinned = assembly.device.is_cuda(),
           .transform = image_transform(cell.image),
           .prepare =
               [objective = assembly.objective, name = cell.objective.name](Batch& batch, const Progress& progress) {
                 in_plugin(PluginKind::objective, name, [&] { objective->prepare(batch, progress); });
               },
           .accumulate = cell.optimizer.accumulate,
           .skip = may_skip(cell.train),
           .rank = ranks().rank(),
           .ranks = ranks().size(),
           .dataset_name = cell.train.dataset.name,
           .tokenizer_name = cell.text.tokenizer.name}};
}

Batch to_device(Batch batch, const at::Device& device) {
  for_each_tensor(batch, [&](at::Tensor& tensor) { tensor = tensor.to(device); });
  return batch;
}

}  // namespace silc
