// A dual encoder that is small enough to train in a test, and batches of the dataset "shapes" for it.
#pragma once

#include "silc/dataset.h"
#include "silc/objective.h"
#include "silc/testing/model.h"
#include "silc/tokenizer.h"
#include "tests/nn/fixture.h"
#include "tests/plugins/declared.h"
#include "tests/plugins/objectives/factories.h"

extern "C" {
silc::ImageBackbone* silc_image_backbone_vit(const silc::ImageBackboneContext& context);
silc::TextBackbone* silc_text_backbone_text_transformer(const silc::TextBackboneContext& context);
silc::Dataset* silc_dataset_shapes(const silc::DatasetContext& context);
silc::Tokenizer* silc_tokenizer_bytes(const silc::TokenizerContext& context);
}

namespace silc::testing {

using Changes = std::map<std::string, OptionValue>;
struct ModelShape {
  int64_t image_size = 8;
  int64_t patch = 2;
  int64_t width = 8;
  int64_t embed_dim = 6;
  int64_t vocabulary_size = 20;
  int64_t context_length = 6;
  std::string pooling = "cls";
};

inline std::shared_ptr<ImageTower> make_image_tower(const ModelShape& shape) {
  const auto options = options_of("vit", {{"width", shape.width},
                                          {"layers", int64_t{1}},
                                          {"heads", int64_t{2}},
                                          {"patch", shape.patch},
                                          {"pooling", shape.pooling}});
  std::shared_ptr<ImageBackbone> backbone(
      silc_image_backbone_vit({.options = options, .image_size = shape.image_size}));
  return std::make_shared<ImageTower>(backbone, shape.embed_dim);
}

inline std::shared_ptr<DualEncoder> make_model(const ModelShape& shape = {}) {
  at::manual_seed(0);
  const auto options =
      options_of("text_transformer", {{"width", shape.width}, {"layers", int64_t{1}}, {"heads", int64_t{2}}});
  std::shared_ptr<TextBackbone> text(silc_text_backbone_text_transformer({.options = options,
                                                                          .vocabulary_size = shape.vocabulary_size,
                                                                          .context_length = shape.context_length,
                                                                          .padding_id = 0,
                                                                          .end_id = shape.vocabulary_size - 1}));
  return std::make_shared<DualEncoder>(make_image_tower(shape), std::make_shared<TextTower>(text, shape.embed_dim));
}

inline std::shared_ptr<Objective> make_objective(const std::string& name, const std::shared_ptr<DualEncoder>& model,
                                                 const Changes& changes = {}, const ModelShape& shape = {}) {
  const auto options = options_of(name, changes);
  return std::shared_ptr<Objective>(factory_of(name)({.options = options,
                                                      .model = model,
                                                      .make_image_tower = [shape] { return make_image_tower(shape); },
                                                      .image_size = shape.image_size,
                                                      .context_length = shape.context_length,
                                                      .vocabulary_size = shape.vocabulary_size,
                                                      .padding_id = 0}));
}

inline at::Tensor total(const StepResult& result) {
  auto sum = at::zeros({});
  for (const auto& term : result.terms) sum = sum + term.weight * term.value;
  return sum;
}

// What is trained: of the model under "model.", of the objective under its own names.
inline std::map<std::string, at::Tensor> trained_parameters(const DualEncoder& model, const Objective& objective) {
  std::map<std::string, at::Tensor> trained;
  for (const auto& item : model.named_parameters())
    if (item.value().requires_grad()) trained["model." + item.key()] = item.value();
  for (const auto& item : objective.named_parameters())
    if (item.value().requires_grad()) trained[item.key()] = item.value();
  return trained;
}

// The first `size` pictures of "shapes" in the views that `objective` asks for, crops and colours left out, and their
// captions.
inline Batch shapes_batch(const Objective& objective, const ModelShape& shape, int64_t size) {
  const auto shapes_options = options_of("shapes");
  const std::unique_ptr<Dataset> dataset(
      silc_dataset_shapes({.options = shapes_options, .split = "train", .directory = ""}));
  const Options none;
  const std::unique_ptr<Tokenizer> tokenizer(
      silc_tokenizer_bytes({.options = none, .caption_count = 0, .caption = {}}));
  std::vector<at::Tensor> pictures, captions;
  for (int64_t i = 0; i < size; ++i) {
    Sample sample = dataset->sample(i);
    const auto bytes = at::from_blob(sample.image.rgb.data(), {sample.image.height, sample.image.width, 3}, at::kByte);
    pictures.push_back(bytes.permute({2, 0, 1}).to(at::kFloat) / 127.5 - 1);
    captions.push_back(at::tensor(tokenizer->encode(sample.captions[0], shape.context_length)));
  }
  Batch batch = {.size = size, .views = {}, .tokens = at::stack(captions), .labels = {}};
  for (const ViewSpec& view : objective.views()) {
    const auto side = view.size > 0 ? view.size : shape.image_size;
    const auto images = at::_upsample_bilinear2d_aa(at::stack(pictures), {side, side}, /*align_corners=*/false);
    std::vector<at::Tensor> views = {images};
    for (int64_t v = 1; v < view.count; ++v) views.push_back(images.flip({3}));
    batch.views[view.name] = at::cat(views);
  }
  return batch;
}

}  // namespace silc::testing
