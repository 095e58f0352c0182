#include "engine/view_sheet.h"

#include <c10/util/StringUtil.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>

#include "engine/assembly.h"
#include "engine/batches.h"
#include "engine/contact_sheet.h"
#include "engine/failure.h"
#include "engine/random_streams.h"
#include "engine/unreadable.h"
#include "engine/views.h"
#include "pictures/draw.h"
#include "plugin/loader.h"

namespace silc {
namespace {

// What an objective has hidden from the image tower.
struct Hidden {
  at::Tensor images;  // [B, 3, S, S]
  at::Tensor mask;    // [B, N] bool
};

// A backbone that takes note of the masks that it is given.
class WatchedBackbone : public ImageBackbone {
 public:
  WatchedBackbone(std::shared_ptr<ImageBackbone> watched, std::shared_ptr<std::vector<Hidden>> hidden)
      : watched_(register_module("watched", std::move(watched))), hidden_(std::move(hidden)) {}

  ImageFeatures forward(const at::Tensor& images) override { return watched_->forward(images); }
  ImageFeatures forward_masked(const at::Tensor& images, const at::Tensor& mask,
                               const at::Tensor& mask_token) override {
    hidden_->push_back({images.detach(), mask.detach().to(at::kCPU)});
    return watched_->forward_masked(images, mask, mask_token);
  }
  [[nodiscard]] PatchGrid patch_grid(int64_t height, int64_t width) const override {
    return watched_->patch_grid(height, width);
  }
  at::Tensor localize(const ImageFeatures& features) override { return watched_->localize(features); }
  [[nodiscard]] int64_t width() const override { return watched_->width(); }

 private:
  std::shared_ptr<ImageBackbone> watched_;
  std::shared_ptr<std::vector<Hidden>> hidden_;
};

// As assemble(), but for the weights, which do not matter.
Assembly assemble_watched(const ResolvedCell& cell, const Catalogue& catalogue,
                          const std::shared_ptr<std::vector<Hidden>>& hidden) {
  Assembly assembly;
  if (!is_there(cell.train)) throw Error("row \"" + cell.row + "\" trains nothing, so that there are no views of it");
  assembly.dataset = load_dataset(cell.train, catalogue);
  assembly.tokenizer = load_tokenizer(cell.text.tokenizer, catalogue, cell.train, assembly.dataset);
  torch::manual_seed(static_cast<uint64_t>(cell.seed));
  const PluginChoice& choice = cell.image.backbone;
  auto backbone = in_plugin(choice.kind, choice.name, [&] {
    return make_image_backbone(catalogue.require(choice.kind, choice.name),
                               {.options = choice.options, .image_size = cell.image.image_size});
  });
  assembly.model = std::make_shared<DualEncoder>(
      std::make_shared<ImageTower>(std::make_shared<WatchedBackbone>(std::move(backbone), hidden), cell.embed_dim),
      build_text_tower(cell, catalogue, *assembly.tokenizer));
  assembly.objective = build_objective(cell, catalogue, assembly);
  return assembly;
}

// [3, S, S] as the model gets it → a picture.
Image to_picture(const at::Tensor& view, const ImageTransform& transform) {
  const at::Tensor values = view.contiguous();
  const int64_t side = values.size(-1);
  Image image = blank_picture(side, side, {0, 0, 0});
  const float* from = values.const_data_ptr<float>();
  for (int64_t i = 0; i < side * side; ++i)
    for (std::size_t c = 0; c < 3; ++c) {
      const float level = from[static_cast<int64_t>(c) * side * side + i] * transform.std[c] + transform.mean[c];
      image.rgb[static_cast<std::size_t>(3 * i) + c] =
          static_cast<uint8_t>(std::lround(std::clamp(level, 0.0F, 1.0F) * 255));
    }
  return image;
}

void blend(Image& image, int64_t pixel, Colour colour, int parts_of_four) {
  for (std::size_t c = 0; c < 3; ++c) {
    uint8_t& level = image.rgb[static_cast<std::size_t>(3 * pixel) + c];
    level = static_cast<uint8_t>((level * (4 - parts_of_four) + colour[c] * parts_of_four) / 4);
  }
}

// `classes`: [S, S].
void show_classes(const at::Tensor& classes, Image& image) {
  const at::Tensor values = classes.contiguous();
  const uint8_t* labels = values.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < image.width * image.height; ++i)
    if (labels[i] != kIgnoreLabel) blend(image, i, colour_of_class(labels[i]), 2);
}

// `mask`: [N] bool, patches of a square grid. Grey with a diagonal, since pictures are grey, too.
void show_hidden(const at::Tensor& mask, Image& image) {
  constexpr Colour kGrey = {128, 128, 128};
  constexpr Colour kDiagonal = {210, 210, 210};
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(mask.size(0)))));
  if (side * side != mask.size(0)) return;
  const at::Tensor values = mask.to(at::kBool).contiguous();
  const bool* hidden = values.const_data_ptr<bool>();
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      if (hidden[y * side / image.height * side + x * side / image.width])
        blend(image, y * image.width + x, y * side % image.height == x * side % image.width ? kDiagonal : kGrey, 4);
}

void show_hidden_of(const at::Tensor& view, std::span<const Hidden> all, Image& image) {
  for (const Hidden& hidden : all)
    for (int64_t row = 0; row < hidden.images.size(0); ++row)
      if (hidden.images[row].sizes() == view.sizes() && hidden.images[row].equal(view))
        return show_hidden(hidden.mask[row], image);
}

std::string described(const ViewSpec& view, int64_t size) {
  std::string text = c10::str(view.count > 1 ? c10::str(view.count, " x ") : "", view.name, ", ", size, " px");
  if (view.area[0] < 1)
    text += c10::str(", ", std::lround(100 * view.area[0]), " to ", std::lround(100 * view.area[1]), " % of the area");
  if (view.flip) text += ", flipped or not";
  const Photometric& colours = view.colours;
  if (colours.jitter > 0) text += ", jitter";
  if (colours.greyscale > 0) text += ", grey";
  if (colours.blur > 0) text += ", blur";
  if (colours.solarize > 0) text += ", solarized";
  return text;
}

}  // namespace

Image view_sheet(const ResolvedCell& row, const Catalogue& catalogue, int64_t count) {
  ResolvedCell cell = row;
  cell.engine.device = "cpu";
  cell.engine.chunk = 0;
  cell.engine.recompute = "none";
  cell.optimizer.batch = count;
  const auto hidden = std::make_shared<std::vector<Hidden>>();
  const Assembly assembly = assemble_watched(cell, catalogue, hidden);
  // Without a number of steps, so that views are there that are wanted later.
  const Batch batch = make_batch_source(cell, assembly, 0).batch(0);
  in_plugin(PluginKind::objective, cell.objective.name,
            [&] { static_cast<void>(assembly.objective->step(batch, {.seed = training_seed(cell)})); });

  std::vector<ViewSpec> views =
      in_plugin(PluginKind::objective, cell.objective.name, [&] { return assembly.objective->views(); });
  std::vector<std::string> names;
  for (ViewSpec& view : views) {
    if (view.size == 0) view.size = cell.image.image_size;
    names.push_back(described(view, view.size));
  }
  const ImageTransform transform = image_transform(cell.image);
  const DataOrder order(assembly.dataset->size(), training_seed(cell), assembly.dataset->shard_starts());
  std::vector<ShownViews> shown;
  for (int64_t b = 0; b < count; ++b) {
    const int64_t index = batch.samples[static_cast<std::size_t>(b)];
    ShownViews& sample = shown.emplace_back();
    sample.shown = {index, in_plugin(PluginKind::dataset, cell.train.dataset.name,
                                     [&] { return read_decoded(*assembly.dataset, index); })};
    const Image& image = sample.shown.sample.image;
    const std::vector<std::string>& captions = sample.shown.sample.captions;
    sample.caption = captions[static_cast<std::size_t>(order.caption_at(b, static_cast<int64_t>(captions.size())))];
    uint32_t of_sample = 0;
    for (std::size_t v = 0; v < views.size(); ++v)
      for (int64_t number = 0; number < views[v].count; ++number, ++of_sample) {
        const int64_t place = number * count + b;
        const at::Tensor view = batch.views.at(views[v].name)[place];
        Random random(training_seed(cell), kCropStream, static_cast<uint64_t>(b), of_sample);
        const Crop crop = random_crop(views[v], image.width, image.height, random);
        const auto edge = [](int64_t at) { return static_cast<float>(at); };
        Image pixels = to_picture(view, transform);
        if (views[v].masks) show_classes(batch.masks.at(views[v].name)[place], pixels);
        show_hidden_of(view, *hidden, pixels);
        sample.crops.push_back({{.x0 = edge(crop.x),
                                 .y0 = edge(crop.y),
                                 .x1 = edge(crop.x + crop.width),
                                 .y1 = edge(crop.y + crop.height),
                                 .label = static_cast<int64_t>(v)},
                                std::move(pixels)});
      }
    const int64_t size = cell.image.image_size;
    at::Tensor evaluated = at::empty({3, size, size}, at::kFloat);
    cut_evaluated(image, transform, size, evaluated.mutable_data_ptr<float>());
    sample.evaluated = to_picture(evaluated, transform);
  }
  const std::string title = c10::str("row \"", cell.row, "\", objective \"", cell.objective.name, "\", ",
                                     cell.train.dataset.name, ": the first pictures of training with seed ", cell.seed,
                                     hidden->empty() ? "" : "; grey: hidden from the model");
  const std::string evaluation =
      c10::str("evaluated: ", cell.image.image_size, " px, ", cell.image.resize_mode, ", ", cell.image.interpolation);
  return draw_view_sheet(title, names, evaluation, shown);
}

}  // namespace silc
