// A cell small enough to train in milliseconds, without plugins' libraries.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/assembly.h"

namespace silc::testing {

class FakeDataset : public Dataset {
 public:
  explicit FakeDataset(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  Sample sample(int64_t index) const override {
    if (index == broken) throw Error("picture " + std::to_string(index) + " is cut short");
    Sample sample;
    sample.image = {.width = 10, .height = 8, .rgb = std::vector<uint8_t>(10 * 8 * 3)};
    for (size_t i = 0; i < sample.image.rgb.size(); ++i)
      sample.image.rgb[i] = static_cast<uint8_t>((i * 31 + static_cast<size_t>(index) * 57) % 256);
    if (masked) make_smooth_with_mask(sample, index);
    const auto letter = static_cast<char>('a' + index % 26);
    sample.captions = {std::string(1, letter), std::string(2, letter)};
    sample.label = index % 3;
    return sample;
  }
  std::string fingerprint() const override { return "fake"; }

  int64_t broken = -1;
  bool masked = false;  // pictures are smooth, and each pixel's class is its red value

 private:
  static void make_smooth_with_mask(Sample& sample, int64_t index) {
    for (int64_t y = 0; y < sample.image.height; ++y) {
      for (int64_t x = 0; x < sample.image.width; ++x) {
        const auto value = static_cast<uint8_t>(10 * index + 5 * (x + y));
        std::fill_n(sample.image.rgb.begin() + (y * sample.image.width + x) * 3, 3, value);
        sample.mask.push_back(value);
      }
    }
  }

  int64_t size_;
};

class FakeTokenizer : public Tokenizer {
 public:
  int64_t vocabulary_size() const override { return 128; }
  std::vector<int64_t> encode(std::string_view text, int64_t length) const override {
    std::vector<int64_t> ids(static_cast<size_t>(length), 0);
    for (size_t i = 0; i < ids.size() && i < text.size(); ++i) ids[i] = text[i];
    return ids;
  }
};

class FakeImageBackbone : public ImageBackbone {
 public:
  FakeImageBackbone() {
    patches_ = register_module("patches", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 6, 4).stride(4)));
  }
  ImageFeatures forward(const at::Tensor& images) override {
    const at::Tensor grid = patches_(images);                          // [B, D, h, w]
    at::Tensor tokens = torch::gelu(grid.flatten(2).transpose(1, 2));  // [B, N, D]
    // Resuming must restore the random numbers of each step.
    tokens = torch::dropout(tokens, 0.1, is_training());
    return {.pooled = tokens.mean(1), .patches = tokens, .grid_height = grid.size(2), .grid_width = grid.size(3)};
  }
  int64_t width() const override { return 6; }

 private:
  torch::nn::Conv2d patches_{nullptr};
};

class FakeTextBackbone : public TextBackbone {
 public:
  FakeTextBackbone() { words_ = register_module("words", torch::nn::Embedding(128, 6)); }
  at::Tensor forward(const at::Tensor& tokens) override { return words_(tokens).mean(1); }
  int64_t width() const override { return 6; }

 private:
  torch::nn::Embedding words_{nullptr};
};

// Contrastive, with a buffer that changes every step and a head that is trained from half of training on.
class FakeObjective : public Objective {
 public:
  explicit FakeObjective(std::shared_ptr<DualEncoder> model) : model_(std::move(model)) {
    logit_scale_ = register_parameter("logit_scale", torch::full({}, 2.0));
    average_ = register_buffer("average", torch::zeros({4}));
    head_ = register_module("head", torch::nn::Linear(4, 4));
  }
  std::vector<ViewSpec> views() const override {
    return {{.name = "global", .count = 2, .size = 0, .area = {0.4, 1.0}, .flip = true},
            {.name = "late", .count = 1, .size = 4, .area = {0.2, 0.4}, .from = 0.5}};
  }
  StepResult step(const Batch& batch, const Progress& progress) override {
    if (progress.step == throws_at) throw std::runtime_error("the head\nfell off");
    const at::Tensor pooled = model_->image->forward(batch.views.at("global").chunk(2)[0]).pooled;
    at::Tensor images = model_->image->embed(pooled);  // [B, E]
    if (progress.fraction >= 0.5) images = images + 0.1 * torch::tanh(head_(images));
    const at::Tensor texts = model_->text->embed(batch.tokens);  // [B, E]
    at::Tensor logits = logit_scale_ * images.matmul(texts.t());
    if (progress.step == diverges_at) logits = logits * std::numeric_limits<float>::quiet_NaN();
    last_ = images.detach().mean(0);
    return {.terms = {{"contrastive", torch::cross_entropy_loss(logits, torch::arange(batch.size)), 1.0}},
            .metrics = {{"logit_scale", logit_scale_.detach()}}};
  }
  void after_update(const Progress& /*progress*/) override { average_.mul_(0.9).add_(last_, 0.1); }
  std::vector<double> milestones() const override { return {0.5}; }
  std::vector<HealthCheck> health(const BatchShape& /*batch*/) const override { return checks; }

  std::vector<ParameterGroup> parameter_groups() const override { return groups; }

  std::vector<ParameterGroup> groups;
  std::vector<HealthCheck> checks;
  int64_t throws_at = -1;
  int64_t diverges_at = -1;

 private:
  std::shared_ptr<DualEncoder> model_;
  at::Tensor logit_scale_;
  at::Tensor average_;
  at::Tensor last_;
  torch::nn::Linear head_{nullptr};
};

inline ResolvedCell fake_cell() {
  ResolvedCell cell;
  cell.experiment = "fake";
  cell.row = "fake";
  cell.seed = 3;
  cell.budget = {.unit = BudgetUnit::examples, .amount = 46};  // 12 updates of 4
  cell.train.dataset.name = "fake_data";
  cell.objective.name = "fake_loss";
  cell.text.tokenizer.name = "fake_words";
  cell.text.context_length = 4;
  cell.image.image_size = 8;
  cell.embed_dim = 4;
  cell.optimizer.batch = 4;
  cell.optimizer.lr = 1e-2;
  cell.engine.log_every = 1;
  cell.engine.checkpoint_seconds = 0;  // after every update
  cell.engine.data_threads = 2;
  return cell;
}

inline Assembly fake_assembly(const ResolvedCell& cell) {
  torch::manual_seed(static_cast<uint64_t>(cell.seed));
  Assembly assembly;
  assembly.dataset = std::make_shared<FakeDataset>(11);
  assembly.tokenizer = std::make_shared<FakeTokenizer>();
  assembly.model =
      std::make_shared<DualEncoder>(std::make_shared<ImageTower>(std::make_shared<FakeImageBackbone>(), cell.embed_dim),
                                    std::make_shared<TextTower>(std::make_shared<FakeTextBackbone>(), cell.embed_dim));
  assembly.objective = std::make_shared<FakeObjective>(assembly.model);
  return assembly;
}

}  // namespace silc::testing
