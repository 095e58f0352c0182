// Plugins that are sound by default, and each of whose faults is one that a check must catch.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "nn/ranks.h"
#include "silc/backbone.h"
#include "silc/dataset.h"
#include "silc/evaluator.h"
#include "silc/objective.h"
#include "silc/tokenizer.h"

namespace {

// The identity, with a gradient that is ten percent too small.
struct Weakened : torch::autograd::Function<Weakened> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) { return x.clone(); }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradients) {
    return {gradients[0] * 0.9};
  }
};

constexpr auto kObjectiveFault = silc::choice_option(
    "fault", "none", "none|hidden|random|gradient|unused|leak|nan|batch|bf16|teacher|silent|misses|alarms|needs|ranks",
    "what is wrong with it");

class BrokenObjective : public silc::Objective {
 public:
  explicit BrokenObjective(const silc::ObjectiveContext& context)
      : fault_(context.options[kObjectiveFault]), model_(context.model) {
    logit_scale_ = register_parameter("logit_scale", at::full({}, std::log(1 / 0.07)));
    head_ = register_module("head", torch::nn::Linear(model_->image->embed_dim(), model_->image->embed_dim()));
    average_ = register_buffer("average", at::zeros({model_->image->embed_dim()}));
    if (fault_ == "unused") register_module("forgotten", torch::nn::Linear(2, 2));
    if (fault_ == "teacher") teacher_ = context.make_image_tower();
  }

  std::vector<silc::ViewSpec> views() const override { return {{.name = "image", .area = {0.5, 1.0}}}; }
  std::vector<double> milestones() const override { return {0.5}; }
  std::shared_ptr<silc::ImageTower> teacher() const override { return teacher_; }
  std::vector<silc::HealthCheck> health(const silc::BatchShape&) const override {
    return {{.name = "large",
             .metric = fault_ == "misses" ? "loss/contrastve" : "loss/contrastive",
             .condition = fault_ == "alarms" ? silc::HealthCondition::below : silc::HealthCondition::above,
             .value = 1000,
             .message = "it has grown"}};
  }

  silc::StepResult step(const silc::Batch& batch, const silc::Progress& progress) override {
    const silc::ImageFeatures features = model_->image->forward(batch.views.at("image"));
    at::Tensor images = model_->image->embed(features.pooled);   // [B, E]
    const at::Tensor texts = model_->text->embed(batch.tokens);  // [B, E]
    if (progress.fraction >= 0.5) images = images + 0.1 * head_->forward(images);
    if (fault_ == "gradient") images = Weakened::apply(images);
    const auto of_all_ranks = [&](const at::Tensor& x) {
      return fault_ == "ranks" ? x : silc::whole_batch(x, batch.size);
    };
    const at::Tensor all = of_all_ranks(images);
    const at::Tensor logits = logit_scale_.exp() * all.matmul(of_all_ranks(texts).t());  // [B, B]
    at::Tensor loss = at::cross_entropy_loss(logits, at::arange(all.size(0), at::kLong));
    // A stop-gradient, which is no fault.
    loss = loss + (images - texts.detach()).pow(2).mean();
    average_.lerp_(images.detach().mean(0), 0.1);
    if (fault_ == "hidden") loss = loss * (1 + 0.01 * calls_++);
    if (fault_ == "random") loss = loss * (1 + 0.01 * static_cast<double>(std::random_device()()) * 0x1p-32);
    if (fault_ == "leak") forgotten_.push_back(at::ones({100}));
    if (fault_ == "nan") loss = loss + all.var(0, /*unbiased=*/false).sqrt().mean();
    if (fault_ == "needs" && batch.labels.eq(silc::kNoLabel).any().item<bool>())
      throw std::runtime_error("index -1 is out of bounds");
    if (fault_ == "batch" && batch.size < 2) throw std::runtime_error("expected more than one value per channel");
    if (fault_ == "bf16") loss = loss + 0 * features.pooled.matmul(features.pooled.t().to(loss.scalar_type())).mean();
    if (fault_ == "bf16" && features.patches.matmul(features.patches.transpose(1, 2)).scalar_type() == at::kBFloat16)
      throw std::runtime_error("expected scalar type Float but found BFloat16");
    return {.terms = {{"contrastive", loss}}, .metrics = {}};
  }

  void after_update(const silc::Progress&) override { logit_scale_.clamp_max_(std::log(100.0)); }

 private:
  std::string fault_;
  std::shared_ptr<silc::DualEncoder> model_;
  at::Tensor logit_scale_;
  at::Tensor average_;  // [E]
  torch::nn::Linear head_{nullptr};
  std::shared_ptr<silc::ImageTower> teacher_;
  int calls_ = 0;
  std::vector<at::Tensor> forgotten_;
};

constexpr auto kBackboneFault = silc::choice_option(
    "fault", "none", "none|columns|batch|gradient|mask|grid|inference|shape|unused", "what is wrong with it");

class BrokenBackbone : public silc::ImageBackbone {
 public:
  explicit BrokenBackbone(const silc::ImageBackboneContext& context) : fault_(context.options[kBackboneFault]) {
    patches_ = register_module("patches", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 16).stride(16)));
    positions_ = register_parameter("positions", 0.5 * at::randn({1, 8, 4, 4}));
    mix_ = register_module("mix", torch::nn::Linear(8, 8));
    if (fault_ == "unused") register_parameter("forgotten", at::ones({3}));
  }
  silc::ImageFeatures forward(const at::Tensor& images) override { return encode(images, {}, {}); }
  silc::ImageFeatures forward_masked(const at::Tensor& images, const at::Tensor& mask,
                                     const at::Tensor& mask_token) override {
    return fault_ == "mask" ? encode(images, {}, {}) : encode(images, mask, mask_token);
  }
  silc::PatchGrid patch_grid(int64_t height, int64_t width) const override {
    return {height / 16, fault_ == "grid" ? 1 : width / 16};
  }
  int64_t width() const override { return fault_ == "shape" ? 9 : 8; }

 private:
  silc::ImageFeatures encode(const at::Tensor& images, const at::Tensor& mask, const at::Tensor& token) {
    at::Tensor grid = patches_->forward(images);  // [B, D, h, w]
    const int64_t height = grid.size(2), width = grid.size(3);
    if (mask.defined())
      grid = at::where(mask.view({-1, 1, height, width}), token.view({1, -1, 1, 1}).to(grid.scalar_type()), grid);
    grid = grid + positions_.slice(2, 0, height).slice(3, 0, width);
    if (fault_ == "columns") grid = grid.transpose(2, 3);
    at::Tensor tokens = at::gelu(mix_->forward(grid.flatten(2).transpose(1, 2)));  // [B, N, D]
    if (fault_ == "batch") tokens = tokens - 0.5 * tokens.mean(0, true);
    if (fault_ == "gradient") tokens = Weakened::apply(tokens);
    if (fault_ == "inference") {
      if (!kept_.defined()) kept_ = at::full({1}, 2.0, tokens.options().requires_grad(false));
      tokens = tokens * kept_;
    }
    return {.pooled = tokens.mean(1), .patches = tokens, .grid_height = height, .grid_width = width};
  }

  std::string fault_;
  torch::nn::Conv2d patches_{nullptr};
  at::Tensor positions_;  // [1, D, 4, 4]
  torch::nn::Linear mix_{nullptr};
  at::Tensor kept_;
};

constexpr auto kTextFault = silc::choice_option("fault", "none", "none|random|deaf", "what is wrong with it");

class BrokenText : public silc::TextBackbone {
 public:
  explicit BrokenText(const silc::TextBackboneContext& context) : fault_(context.options[kTextFault]) {
    words_ = register_module("words", torch::nn::Embedding(context.vocabulary_size, 8));
  }
  at::Tensor forward(const at::Tensor& tokens) override {
    if (fault_ == "deaf") return words_->forward(at::zeros_like(tokens)).mean(1);
    const at::Tensor features = words_->forward(tokens).mean(1);
    return fault_ == "random" ? features * (1 + 1e-3 * static_cast<double>(std::random_device()() % 1000)) : features;
  }
  int64_t width() const override { return 8; }

 private:
  std::string fault_;
  torch::nn::Embedding words_{nullptr};
};

constexpr auto kDataFault =
    silc::choice_option("fault", "none", "none|pixels|caption|label|mask|box|random|captions|fingerprint|split|classes",
                        "what is wrong with it");

class BrokenData : public silc::Dataset {
 public:
  explicit BrokenData(const silc::DatasetContext& context)
      : fault_(context.options[kDataFault]), salt_(context.split == "train" || fault_ == "split" ? 0 : 100) {}
  int64_t size() const override { return 40; }
  silc::Sample sample(int64_t index) const override {
    silc::Sample sample;
    sample.image = {.width = 6, .height = 4, .rgb = std::vector<uint8_t>(6 * 4 * 3)};
    for (std::size_t i = 0; i < sample.image.rgb.size(); ++i)
      sample.image.rgb[i] = static_cast<uint8_t>((i * 7 + static_cast<std::size_t>(index + salt_) * 31) % 251);
    sample.captions = {"picture " + std::to_string(index)};
    sample.label = index % 2;
    sample.mask = std::vector<uint8_t>(6 * 4, 1);
    sample.boxes = {{1, 1, 3, 3, 0}};
    if (fault_ == "pixels") sample.image.rgb.pop_back();
    if (fault_ == "caption") sample.captions = {" "};
    if (fault_ == "label") sample.label = 2;
    if (fault_ == "mask") sample.mask[3] = 7;
    if (fault_ == "box") sample.boxes[0].x1 = 7;
    if (fault_ == "random") sample.image.rgb[0] = static_cast<uint8_t>(calls_++);
    return sample;
  }
  std::vector<std::string> captions(int64_t index) const override {
    return {fault_ == "captions" ? "picture" : "picture " + std::to_string(index)};
  }
  std::vector<std::string> classes() const override {
    return fault_ == "classes" ? std::vector<std::string>{"cat", "cat"} : std::vector<std::string>{"cat", "dog"};
  }
  std::string fingerprint() const override {
    return fault_ == "fingerprint" ? std::to_string(calls_++) : "broken-data-1";
  }

 private:
  std::string fault_;
  int64_t salt_;
  mutable std::atomic<int> calls_{0};
};

constexpr auto kTokenizerFault = silc::choice_option(
    "fault", "none", "none|length|range|end|padding|utf8|truncation|state|deaf", "what is wrong with it");

class BrokenTokenizer : public silc::Tokenizer {
 public:
  explicit BrokenTokenizer(const silc::TokenizerContext& context) : fault_(context.options[kTokenizerFault]) {}
  int64_t vocabulary_size() const override { return fault_ == "range" ? 100 : 259; }
  std::vector<int64_t> encode(std::string_view text, int64_t length) const override {
    if (fault_ == "utf8" && text.find('\xff') != std::string_view::npos) throw std::runtime_error("invalid byte");
    if (fault_ == "deaf") text = text.substr(0, 1);
    std::vector<int64_t> ids = {1};
    if (fault_ == "state" && calls_++ % 3 == 2) ids.push_back(2);
    const std::size_t room = static_cast<std::size_t>(length) - 1;
    for (std::size_t i = 0; i < text.size() && ids.size() < room; ++i)
      ids.push_back(2 + static_cast<unsigned char>(text[i]));
    if (fault_ == "truncation" && ids.size() == room && room > 2)
      ids.push_back(2);
    else
      ids.push_back(fault_ == "end" ? 1 : 258);
    ids.resize(static_cast<std::size_t>(length), fault_ == "padding" ? 1 : 0);
    if (fault_ == "length") ids.push_back(0);
    return ids;
  }

 private:
  std::string fault_;
  mutable std::atomic<int> calls_{0};
};

constexpr auto kEvaluatorFault =
    silc::choice_option("fault", "none", "none|percent|count|twice|random|batches|rows|none_at_all|blind|beyond|needs",
                        "what is wrong with it");

// acc1 of pictures against class names.
class BrokenEvaluator : public silc::Evaluator {
 public:
  explicit BrokenEvaluator(const silc::EvaluatorContext& context) : fault_(context.options[kEvaluatorFault]) {}
  silc::Scores evaluate(const silc::EvaluationContext& context) override {
    const std::vector<std::string> classes = context.dataset.classes();
    const at::Tensor texts = context.encoder.embed_texts(classes);  // [C, E]
    std::vector<float> hits;
    context.for_each_batch([&](std::span<const silc::Sample> batch, int64_t) {
      const at::Tensor best = context.encoder.embed_images(batch).matmul(texts.t()).argmax(1);
      for (std::size_t i = 0; i < batch.size(); ++i)
        hits.push_back(best[static_cast<int64_t>(i)].item<int64_t>() == batch[i].label ? 1.F : 0.F);
      if (fault_ == "needs" && batch[0].boxes.empty()) throw std::out_of_range("vector::at");
      if (fault_ == "batches" && batch.size() < 5) hits.back() = 0;
    });
    if (fault_ == "beyond") static_cast<void>(context.dataset.sample(context.dataset.size()));
    const at::Tensor scores = at::tensor(hits);
    double value = scores.mean().item<double>();
    if (fault_ == "percent") value *= 100;
    if (fault_ == "random") value *= 0.9 + 0.05 * static_cast<double>(std::random_device()()) * 0x1p-32;
    if (fault_ == "blind") value = 0.5;
    const int64_t n = fault_ == "count" ? 0 : scores.size(0);
    silc::Scores result{.metrics = {{"acc1", value, n}}, .samples = {}};
    if (fault_ == "twice") result.metrics.push_back(result.metrics[0]);
    if (fault_ != "none_at_all") result.samples["acc1"] = fault_ == "rows" ? scores.slice(0, 1) : scores;
    return result;
  }

 private:
  std::string fault_;
};

}  // namespace

SILC_OBJECTIVE(broken_objective, BrokenObjective, 1, "a contrastive loss", kObjectiveFault);
SILC_IMAGE_BACKBONE(broken_backbone, BrokenBackbone, 1, "one convolution", kBackboneFault);
SILC_TEXT_BACKBONE(broken_text, BrokenText, 1, "a bag of words", kTextFault);
SILC_DATASET(broken_data, BrokenData, 1, "small pictures", kDataFault);
SILC_TOKENIZER(broken_tokenizer, BrokenTokenizer, 1, "bytes", kTokenizerFault);
SILC_EVALUATOR(broken_evaluator, BrokenEvaluator, 1, "acc1", silc::needs(silc::Need::classes, silc::Need::labels),
               kEvaluatorFault);
