// data_bench PLUGINS FOLDER BATCHES: how fast batches are read from WebDataset shards, in one thread. Called by
// tests/bench/data. Prints JSON: pictures a second for CLIP's one view and for SILC's two and six, without and
// with changed colours, and of the decoding alone that these need.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/assembly.h"
#include "engine/batches.h"
#include "engine/cost.h"
#include "engine/random_streams.h"
#include "engine/views.h"
#include "pictures/decode.h"
#include "plugin/loader.h"
#include "plugin/option_values.h"

// As in silc-engine.
extern "C" __attribute__((visibility("default"))) const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:-1,muzzy_decay_ms:-1";

namespace silc {
namespace {

constexpr int64_t kBatch = 64;
constexpr int64_t kSize = 224;

// Counts a caption as one token, since it is pictures that are timed.
class NoTokenizer : public Tokenizer {
 public:
  [[nodiscard]] int64_t vocabulary_size() const override { return 2; }
  [[nodiscard]] std::vector<int64_t> encode(std::string_view /*text*/, int64_t length) const override {
    return std::vector<int64_t>(static_cast<size_t>(length), 1);
  }
};

// As open_clip and the paper have them.
const std::vector<ViewSpec> kClip = {{.name = "global", .area = {0.9, 1.0}}};
const std::vector<ViewSpec> kSilc = {{.name = "global", .count = 2, .area = {0.4, 1.0}, .flip = true},
                                     {.name = "local", .count = 6, .size = 96, .area = {0.05, 0.4}, .flip = true}};

// The latter with the colours of DINO.
std::vector<ViewSpec> with_colours(std::vector<ViewSpec> views) {
  for (ViewSpec& view : views) view.colours = {.jitter = 0.8, .greyscale = 0.2, .blur = 0.5};
  return views;
}

double batches_rate(const std::shared_ptr<Dataset>& dataset, const std::vector<ViewSpec>& views, int64_t batches) {
  const BatchSource source(dataset, std::make_shared<NoTokenizer>(), views,
                           {.batch = kBatch,
                            .image_size = kSize,
                            .context_length = 2,
                            .seed = 1,
                            .dataset_name = "webdataset",
                            .tokenizer_name = "none"});
  static_cast<void>(source.batch(0));
  const Stopwatch watch;
  for (int64_t step = 0; step < batches; ++step) static_cast<void>(source.batch(step));
  return static_cast<double>(batches * kBatch) / watch.elapsed().core_seconds;
}

double decoding_rate(const Dataset& dataset, const std::vector<ViewSpec>& views, int64_t batches) {
  const DataOrder order(dataset.size(), 1, dataset.shard_starts());
  std::vector<Image> images;
  for (int64_t position = 0; position < batches * kBatch; ++position)
    images.push_back(dataset.sample(order.sample_at(position)).image);
  const Stopwatch watch;
  for (int64_t position = 0; position < batches * kBatch; ++position) {
    Image& image = images[static_cast<size_t>(position)];
    Region region;
    int64_t reduction = 8;
    uint32_t number = 0;
    for (const ViewSpec& view : views)
      for (int64_t v = 0; v < view.count; ++v) {
        Random random(1, kCropStream, static_cast<uint64_t>(position), number++);
        const Crop crop = random_crop(view, image.width, image.height, random);
        region = joined(region, crop);
        reduction = std::min(reduction, greatest_reduction(crop, view.size == 0 ? kSize : view.size));
      }
    static_cast<void>(decode_part(std::move(image), region, reduction));
  }
  return static_cast<double>(batches * kBatch) / watch.elapsed().core_seconds;
}

nlohmann::json measure(const std::shared_ptr<Dataset>& dataset, const std::vector<ViewSpec>& views, int64_t batches) {
  return {{"pictures_per_core_second", batches_rate(dataset, views, batches)},
          {"decoding_alone", decoding_rate(*dataset, views, batches)}};
}

}  // namespace
}  // namespace silc

int main(int count, char** arguments) {
  using namespace silc;
  if (count != 4) return std::fputs("data_bench PLUGINS FOLDER BATCHES\n", stderr), 2;
  try {
    prepare_torch(1, at::kCPU);
    const Catalogue catalogue = Catalogue::scan(std::vector<std::filesystem::path>{arguments[1]});
    const PluginInfo& plugin = catalogue.require(PluginKind::dataset, "webdataset");
    const Options options = options_from_json(plugin, {{"folder", arguments[2]}});
    const Stopwatch opening;
    const std::shared_ptr<Dataset> dataset =
        make_dataset(plugin, {.options = options, .split = "train", .directory = ""});
    const double opened = opening.elapsed().seconds;
    nlohmann::json result = {
        {"samples", dataset->size()}, {"opening_seconds", opened}, {"peak_memory", process_peak_memory()}};
    if (const int64_t batches = std::atoll(arguments[3]); batches > 0) {
      result["clip"] = measure(dataset, kClip, batches);
      result["silc"] = measure(dataset, kSilc, batches);
      result["colours"] = measure(dataset, with_colours(kSilc), batches);
    }
    std::cout << result.dump() << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
