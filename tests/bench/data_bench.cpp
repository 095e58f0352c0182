// data_bench PLUGINS FOLDER BATCHES [INTERPOLATION]: how fast batches are read from WebDataset shards, in one thread.
// Called by tests/bench/data. Prints JSON: pictures a second for CLIP's one view and for SILC's two and six, without
// and with changed colours; of what libjpeg-turbo alone does for these; and of its reading of the entropy-coded data,
// which neither a crop nor a smaller size spares.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>
// After <cstdio>, whose FILE it uses.
#include <jpeglib.h>

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

double batches_rate(const std::shared_ptr<Dataset>& dataset, const std::vector<ViewSpec>& views,
                    Interpolation interpolation, int64_t batches) {
  const BatchSource source(dataset, std::make_shared<NoTokenizer>(), views,
                           {.batch = kBatch,
                            .image_size = kSize,
                            .context_length = 2,
                            .seed = 1,
                            .transform = {.interpolation = interpolation},
                            .dataset_name = "webdataset",
                            .tokenizer_name = "none"});
  static_cast<void>(source.batch(0));
  const Stopwatch watch;
  for (int64_t step = 0; step < batches; ++step) static_cast<void>(source.batch(step));
  return static_cast<double>(batches * kBatch) / watch.elapsed().core_seconds;
}

// What of a picture has to be decoded.
struct Need {
  std::vector<uint8_t> file;
  Region region;
  int64_t reduction = 8;
};

std::vector<Need> needs_of(const Dataset& dataset, const std::vector<ViewSpec>& views, int64_t batches) {
  const DataOrder order(dataset.size(), 1, dataset.shard_starts());
  std::vector<Need> needs;
  for (int64_t position = 0; position < batches * kBatch; ++position) {
    Image image = dataset.sample(order.sample_at(position)).image;
    Need& need = needs.emplace_back();
    uint32_t number = 0;
    for (const ViewSpec& view : views)
      for (int64_t v = 0; v < view.count; ++v) {
        Random random(1, kCropStream, static_cast<uint64_t>(position), number++);
        const Crop crop = random_crop(view, image.width, image.height, random);
        need.region = joined(need.region, crop);
        need.reduction = std::min(need.reduction, greatest_reduction(crop, view.size == 0 ? kSize : view.size));
      }
    need.file = std::move(image.encoded);
  }
  return needs;
}

// Pictures a second that libjpeg-turbo decodes by itself into memory that is there already: the rows and the columns of
// each that are needed, and with `entropy_only` nothing but the reading that it cannot do without.
double libjpeg_rate(const std::vector<Need>& needs, bool entropy_only) {
  std::vector<uint8_t> pixels;
  const Stopwatch watch;
  for (const Need& need : needs) {
    jpeg_decompress_struct info{};
    jpeg_error_mgr errors{};
    info.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, need.file.data(), need.file.size());
    jpeg_read_header(&info, TRUE);
    info.scale_num = static_cast<unsigned>(8 / need.reduction);
    info.scale_denom = 8;
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
    const auto scaled = [&](int64_t at) { return static_cast<JDIMENSION>(at / need.reduction); };
    JDIMENSION left = scaled(need.region.x), width = std::max(scaled(need.region.width), JDIMENSION{1});
    jpeg_crop_scanline(&info, &left, &width);
    const JDIMENSION top = scaled(need.region.y);
    const JDIMENSION rows = std::max(scaled(need.region.height), JDIMENSION{1});
    pixels.resize(std::max(pixels.size(), std::size_t{rows} * width * 3));
    // The last row is not skipped, since nothing is read to skip the last row of all.
    const JDIMENSION skipped = entropy_only ? top + rows - 1 : top;
    if (skipped > 0) jpeg_skip_scanlines(&info, skipped);
    for (JDIMENSION y = skipped; y < top + rows; ++y) {
      JSAMPROW row = pixels.data() + std::size_t{y - skipped} * width * 3;
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_destroy_decompress(&info);
  }
  return static_cast<double>(needs.size()) / watch.elapsed().core_seconds;
}

nlohmann::json measure(const std::shared_ptr<Dataset>& dataset, const std::vector<ViewSpec>& views,
                       Interpolation interpolation, int64_t batches) {
  const std::vector<Need> needs = needs_of(*dataset, views, batches);
  return {{"pictures_per_core_second", batches_rate(dataset, views, interpolation, batches)},
          {"decoding_alone", libjpeg_rate(needs, false)},
          {"entropy_alone", libjpeg_rate(needs, true)}};
}

}  // namespace
}  // namespace silc

int main(int count, char** arguments) {
  using namespace silc;
  if (count != 4 && count != 5) return std::fputs("data_bench PLUGINS FOLDER BATCHES [INTERPOLATION]\n", stderr), 2;
  const bool bicubic = count == 5 && std::string_view(arguments[4]) == "bicubic";
  const Interpolation interpolation = bicubic ? Interpolation::bicubic : Interpolation::bilinear;
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
      result["clip"] = measure(dataset, kClip, interpolation, batches);
      result["silc"] = measure(dataset, kSilc, interpolation, batches);
      result["colours"] = measure(dataset, with_colours(kSilc), interpolation, batches);
    }
    std::cout << result.dump() << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
