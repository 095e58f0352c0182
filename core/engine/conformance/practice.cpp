#include "engine/conformance/practice.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/utils.h>

#include <algorithm>
#include <sstream>

#include "engine/failure.h"
#include "nn/caption_decoder.h"
#include "nn/transformer.h"
#include "plugin/loader.h"
#include "silc/random.h"

namespace silc::conformance {
namespace {

constexpr int64_t kWidth = 48;  // of a picture
constexpr int64_t kHeight = 40;
constexpr int64_t kIgnoredRows = 2;
constexpr int64_t kPatch = 8;
constexpr int64_t kChannels = 16;  // width of the towers
constexpr int64_t kEmbedDim = 12;
constexpr uint64_t kPracticeSeed = 1;

const std::vector<std::string> kThings = {"apple", "boat", "cloud", "drum", "engine", "flower", "glove"};
const std::vector<std::string> kColours = {"red", "blue", "white", "green", "black", "yellow", "purple"};  // of things

int64_t thing_of(int64_t index, bool left) {
  const auto count = static_cast<int64_t>(kThings.size());
  return left ? index % count : (index + 1 + index / count % (count - 1)) % count;
}

TransformerShape block_shape() {
  TransformerShape shape;
  shape.width = kChannels;
  shape.layers = 1;
  shape.heads = 2;
  shape.mlp_ratio = 2;
  return shape;
}

class PracticeImageBackbone : public ImageBackbone {
 public:
  explicit PracticeImageBackbone(uint32_t lacking) : lacking_(lacking) {
    patches_ = register_module("patches", torch::nn::Linear(3 * kPatch * kPatch, kChannels));
    constexpr int64_t kGrid = kPracticeImageSize / kPatch;
    positions_ = register_parameter("positions", 0.1 * at::randn({kGrid, kGrid, kChannels}));
    block_ = register_module("block", std::make_shared<Transformer>(block_shape()));
    norm_ = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({kChannels})));
  }

  ImageFeatures forward(const at::Tensor& images) override { return encode(images, {}, {}); }

  ImageFeatures forward_masked(const at::Tensor& images, const at::Tensor& mask,
                               const at::Tensor& mask_token) override {
    if (contains(lacking_, Need::masked_input)) return ImageBackbone::forward_masked(images, mask, mask_token);
    return encode(images, mask, mask_token);
  }

  [[nodiscard]] PatchGrid patch_grid(int64_t height, int64_t width) const override {
    if (contains(lacking_, Need::masked_input)) return ImageBackbone::patch_grid(height, width);
    return {height / kPatch, width / kPatch};
  }

  [[nodiscard]] int64_t width() const override { return kChannels; }

 private:
  ImageFeatures encode(const at::Tensor& images, const at::Tensor& mask, const at::Tensor& mask_token) {
    const int64_t height = images.size(2) / kPatch;
    const int64_t width = images.size(3) / kPatch;
    const at::Tensor pixels = images.view({-1, 3, height, kPatch, width, kPatch})
                                  .permute({0, 2, 4, 1, 3, 5})
                                  .reshape({images.size(0), height * width, -1});  // [B, N, 3·P·P]
    at::Tensor x = patches_->forward(pixels);                                      // [B, N, D]
    if (mask.defined()) x = at::where(mask.unsqueeze(2), mask_token.to(x.scalar_type()), x);
    x = x + positions_.slice(0, 0, height).slice(1, 0, width).reshape({1, height * width, kChannels});
    x = norm_->forward(block_->forward(x, /*causal=*/false));
    if (contains(lacking_, Need::patch_tokens)) return {.pooled = x.mean(1), .patches = x.slice(1, 0, 0)};
    return {.pooled = x.mean(1), .patches = x, .grid_height = height, .grid_width = width};
  }

  uint32_t lacking_;
  torch::nn::Linear patches_{nullptr};
  at::Tensor positions_;  // [h, w, D]
  std::shared_ptr<Transformer> block_;
  torch::nn::LayerNorm norm_{nullptr};
};

class PracticeTextBackbone : public TextBackbone {
 public:
  PracticeTextBackbone() {
    words_ = register_module("words", torch::nn::Embedding(PracticeTokenizer().vocabulary_size(), kChannels));
    positions_ = register_parameter("positions", 0.1 * at::randn({kPracticeContext, kChannels}));
    block_ = register_module("block", std::make_shared<Transformer>(block_shape()));
    norm_ = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({kChannels})));
  }

  at::Tensor forward(const at::Tensor& tokens) override {
    const at::Tensor x = words_->forward(tokens) + positions_.slice(0, 0, tokens.size(1));  // [B, T, D]
    const at::Tensor end = tokens.argmax(1) + at::arange(0, tokens.numel(), tokens.size(1), tokens.options());
    return norm_->forward(block_->forward(x, /*causal=*/true)).flatten(0, 1).index_select(0, end);
  }

  [[nodiscard]] int64_t width() const override { return kChannels; }

 private:
  torch::nn::Embedding words_{nullptr};
  at::Tensor positions_;  // [T, D]
  std::shared_ptr<Transformer> block_;
  torch::nn::LayerNorm norm_{nullptr};
};

}  // namespace

Sample PracticeDataset::sample(int64_t index) const {
  if (index < 0 || index >= size_) throw std::out_of_range("there is no sample " + std::to_string(index));
  Sample sample;
  sample.label = thing_of(index, true);
  const int64_t right = thing_of(index, false);
  sample.image = {.width = kWidth, .height = kHeight, .rgb = std::vector<uint8_t>(kWidth * kHeight * 3)};
  sample.mask.resize(kWidth * kHeight);
  Random random(kPracticeSeed, 0, static_cast<uint64_t>(index));
  for (int64_t y = 0; y < kHeight; ++y)
    for (int64_t x = 0; x < kWidth; ++x) {
      const int64_t thing = x < kWidth / 2 ? sample.label : right;
      const auto at = static_cast<std::size_t>(y * kWidth + x);
      sample.mask[at] = y < kIgnoredRows ? kIgnoreLabel : static_cast<uint8_t>(thing);
      for (std::size_t c = 0; c < 3; ++c)
        sample.image.rgb[at * 3 + c] = static_cast<uint8_t>(
            (thing * 37 + static_cast<int64_t>(c) * 61 * (thing % 3) + y) % 192 + random.below(64));
    }
  sample.boxes = {{0, 0, kWidth / 2, kHeight, sample.label}, {kWidth / 2, 0, kWidth, kHeight, right}};
  const auto described = [](int64_t thing) {
    return kColours[static_cast<std::size_t>(thing)] + " " + kThings[static_cast<std::size_t>(thing)];
  };
  const std::string first = described(sample.label);
  const std::string second = described(right);
  const std::string number = std::to_string(index);
  sample.captions = {"picture " + number + ": a " + first + " beside a " + second,
                     "a " + first + " and a " + second + ", number " + number,
                     number + " shows a " + second + " to the right of a " + first};
  if (contains(lacking_, Need::labels)) sample.label = kNoLabel;
  if (contains(lacking_, Need::masks)) sample.mask.clear();
  if (contains(lacking_, Need::boxes)) sample.boxes.clear();
  if (contains(lacking_, Need::several_captions)) sample.captions.resize(1);
  return sample;
}

std::vector<std::string> PracticeDataset::classes() const {
  return contains(lacking_, Need::classes) ? std::vector<std::string>{} : kThings;
}

std::vector<int64_t> PracticeTokenizer::encode(std::string_view text, int64_t length) const {
  const int64_t end = vocabulary_size() - 1;
  std::vector<int64_t> ids = {1};
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word && static_cast<int64_t>(ids.size()) < length - 1;) {
    uint64_t hash = 0;
    for (const char c : word) hash = hash * 131 + static_cast<unsigned char>(c);
    ids.push_back(2 + static_cast<int64_t>(hash % static_cast<uint64_t>(end - 2)));
  }
  ids.push_back(end);
  ids.resize(static_cast<std::size_t>(length), 0);
  return ids;
}

std::shared_ptr<ImageTower> practice_image_tower(uint32_t lacking) {
  return std::make_shared<ImageTower>(std::make_shared<PracticeImageBackbone>(lacking), kEmbedDim);
}

std::shared_ptr<DualEncoder> practice_model(uint32_t lacking) {
  auto image = practice_image_tower(lacking);
  auto text = std::make_shared<TextTower>(std::make_shared<PracticeTextBackbone>(), kEmbedDim);
  return std::make_shared<DualEncoder>(std::move(image), std::move(text));
}

std::shared_ptr<Captioner> practice_captioner() {
  const PracticeTokenizer tokenizer;
  return std::make_shared<CaptionDecoder>(CaptionDecoderShape{.vocabulary_size = tokenizer.vocabulary_size(),
                                                              .context_length = kPracticeContext,
                                                              .padding_id = tokenizer.padding_id(),
                                                              .image_width = kChannels,
                                                              .width = kChannels,
                                                              .layers = 1,
                                                              .heads = 2});
}

ResolvedCell practice_cell(const PluginInfo& objective, const Options& options, int64_t batch) {
  constexpr double kUpdates = 1000;
  ResolvedCell cell;
  cell.experiment = "check";
  cell.row = objective.name;
  cell.seed = kPracticeSeed;
  cell.budget = {.unit = BudgetUnit::examples, .amount = kUpdates * static_cast<double>(batch)};
  cell.train.dataset.name = "practice";
  cell.text.tokenizer.name = "practice";
  cell.text.context_length = kPracticeContext;
  cell.image.image_size = kPracticeImageSize;
  cell.embed_dim = kEmbedDim;
  cell.objective = {
      .kind = PluginKind::objective, .name = objective.name, .version = objective.version, .options = options};
  cell.optimizer.batch = batch;
  return cell;
}

Assembly practice_assembly(const ResolvedCell& cell, const PluginInfo& plugin, uint32_t lacking,
                           const at::Device& device) {
  torch::manual_seed(static_cast<uint64_t>(cell.seed));
  Assembly assembly;
  assembly.device = device;
  assembly.dataset = std::make_shared<PracticeDataset>(64, lacking);
  assembly.tokenizer = std::make_shared<PracticeTokenizer>();
  assembly.model = practice_model(lacking);
  assembly.model->to(device);
  const ObjectiveContext context{.options = cell.objective.options,
                                 .model = assembly.model,
                                 .make_image_tower =
                                     [&] {
                                       auto tower = practice_image_tower(lacking);
                                       tower->to(device);
                                       return tower;
                                     },
                                 .image_size = cell.image.image_size,
                                 .context_length = cell.text.context_length,
                                 .vocabulary_size = assembly.tokenizer->vocabulary_size(),
                                 .padding_id = assembly.tokenizer->padding_id()};
  assembly.objective = make_objective(plugin, context);
  assembly.objective->to(device);
  return assembly;
}

}  // namespace silc::conformance
