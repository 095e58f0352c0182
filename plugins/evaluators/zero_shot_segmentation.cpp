// Zero-shot segmentation: each pixel gets the class whose prompt its patch is nearest to.
//
// Cosines of patch tokens and class embeddings, the scores resized bilinearly (align_corners = false) to the label's
// size, argmax; one confusion matrix over the whole dataset; pixels of label 255 are ignored, every other pixel counts.
// A class that is neither in the truth nor in the prediction is left out of the mean.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <limits>

#include "plugins/evaluators/prompts.h"

namespace silc::evaluators::zero_shot_segmentation {
namespace {

constexpr auto kPerClass = boolean_option("per_class", false, "also report each class, as iou/CLASS");

constexpr std::string_view kName = "zero_shot_segmentation";

// [C, C] int64, rows are the truth, columns the prediction. truth, prediction: [P] int64.
at::Tensor confusion(const at::Tensor& truth, const at::Tensor& prediction, int64_t classes) {
  return at::bincount(truth * classes + prediction, {}, classes * classes).view({classes, classes});
}

struct Overlap {
  at::Tensor intersection;  // [C] int64
  at::Tensor join;          // [C] int64, the union
};

Overlap overlap(const at::Tensor& confusion) {
  const at::Tensor hits = confusion.diagonal().clone();
  return {hits, confusion.sum(0) + confusion.sum(1) - hits};
}

// NaN if no class is there.
double mean_iou(const Overlap& counts) {
  const at::Tensor present = counts.join.gt(0);
  if (!present.any().item<bool>()) return std::numeric_limits<double>::quiet_NaN();
  return (counts.intersection.masked_select(present).to(at::kDouble) /
          counts.join.masked_select(present).to(at::kDouble))
      .mean()
      .item<double>();
}

// The mask as [H·W] int64.
at::Tensor truth_of(const Sample& sample, int64_t index, int64_t classes) {
  if (sample.mask.empty())
    throw Error(fmt::format("evaluator \"{}\" needs masks: picture {} of the dataset has none", kName, index));
  const int64_t pixels = sample.image.width * sample.image.height;
  if (static_cast<int64_t>(sample.mask.size()) != pixels)
    throw Error(fmt::format("evaluator \"{}\": the mask of picture {} has {} pixels, the picture {} × {}", kName, index,
                            sample.mask.size(), sample.image.width, sample.image.height));
  at::Tensor bytes = at::empty({pixels}, at::kByte);
  std::copy(sample.mask.begin(), sample.mask.end(), bytes.data_ptr<uint8_t>());
  if (bytes.ge(classes).logical_and(bytes.ne(kIgnoreLabel)).any().item<bool>())
    throw Error(
        fmt::format("evaluator \"{}\": the mask of picture {} has a label that is neither below {}, the number of "
                    "classes, nor {}",
                    kName, index, classes, kIgnoreLabel));
  return bytes.to(at::kLong);
}

// [B, C, h, w]: cosines of patch tokens and classes.
at::Tensor patch_scores(Encoder& encoder, std::span<const Sample> batch, const at::Tensor& classes) {
  const PatchEmbeddings patches = encoder.embed_patches(batch);
  check_finite(patches.values, kName);
  return at::matmul(patches.values, classes.t())  // [B, N, C]
      .transpose(1, 2)
      .reshape({static_cast<int64_t>(batch.size()), classes.size(0), patches.grid_height, patches.grid_width});
}

// scores: [C, h, w] → [height·width] int64.
at::Tensor predict_pixels(const at::Tensor& scores, int64_t height, int64_t width) {
  return at::upsample_bilinear2d(scores.unsqueeze(0), {height, width}, /*align_corners=*/false)
      .squeeze(0)
      .argmax(0)
      .flatten();
}

class ZeroShotSegmentation : public Evaluator {
 public:
  explicit ZeroShotSegmentation(const EvaluatorContext& /*context*/) {}

  Scores evaluate(const EvaluationContext& context) override {
    const std::vector<std::string> names = class_names(context);
    const auto count = static_cast<int64_t>(names.size());
    const at::Tensor classes = class_embeddings(context, kName);  // [C, E]

    at::Tensor total = at::zeros({count, count}, at::kLong);
    std::vector<at::Tensor> intersections, unions;
    std::vector<double> picture_miou;
    context.for_each_batch([&](std::span<const Sample> batch, int64_t first) {
      const at::Tensor scores = patch_scores(context.encoder, batch, classes);
      for (int64_t i = 0; i < scores.size(0); ++i) {
        const Sample& sample = batch[static_cast<std::size_t>(i)];
        const at::Tensor truth = truth_of(sample, first + i, count);
        const at::Tensor counted = truth.ne(kIgnoreLabel);
        const at::Tensor prediction = predict_pixels(scores[i], sample.image.height, sample.image.width);
        const at::Tensor matrix = confusion(truth.masked_select(counted), prediction.masked_select(counted), count);
        total += matrix;
        const Overlap counts = overlap(matrix);
        intersections.push_back(counts.intersection);
        unions.push_back(counts.join);
        picture_miou.push_back(mean_iou(counts));
      }
    });
    const int64_t pixels = total.sum().item<int64_t>();
    if (pixels == 0) throw Error(fmt::format("evaluator \"{}\": the dataset has no labelled pixels", kName));

    const Overlap counts = overlap(total);
    const auto pictures = static_cast<int64_t>(picture_miou.size());
    Scores scores;
    scores.metrics.push_back({"miou", mean_iou(counts), pictures});
    scores.metrics.push_back(
        {"pixel_accuracy", static_cast<double>(counts.intersection.sum().item<int64_t>()) / static_cast<double>(pixels),
         pixels});
    if (context.options[kPerClass]) add_classes(scores, counts, names);
    // From these the miou of any subset, as of a bootstrap sample, can be had again.
    scores.samples["intersection"] = at::stack(intersections);  // [n, C]
    scores.samples["union"] = at::stack(unions);                // [n, C]
    scores.samples["confusion"] = total;                        // [C, C], of all pictures
    // NaN where a picture has no labelled pixel.
    scores.samples["picture_miou"] = at::tensor(picture_miou, at::kFloat);  // [n]
    return scores;
  }

  Illustrations illustrate(const EvaluationContext& context) override {
    class_names(context);
    Illustrations illustrations{.class_texts = class_embeddings(context, kName)};
    context.for_each_batch([&](std::span<const Sample> batch, int64_t /*first*/) {
      const at::Tensor scores = patch_scores(context.encoder, batch, illustrations.class_texts);
      for (int64_t i = 0; i < scores.size(0); ++i) {
        const Image& image = batch[static_cast<std::size_t>(i)].image;
        const at::Tensor prediction = predict_pixels(scores[i], image.height, image.width).to(at::kByte);
        const auto* pixels = prediction.const_data_ptr<uint8_t>();
        illustrations.masks.emplace_back(pixels, pixels + prediction.numel());
      }
    });
    return illustrations;
  }

 private:
  static std::vector<std::string> class_names(const EvaluationContext& context) {
    std::vector<std::string> names = context.dataset.classes();
    if (names.size() > kIgnoreLabel)
      throw Error(
          fmt::format("evaluator \"{}\": {} classes are more than masks of one byte can hold", kName, names.size()));
    return names;
  }

  static void add_classes(Scores& scores, const Overlap& counts, const std::vector<std::string>& names) {
    for (std::size_t c = 0; c < names.size(); ++c) {
      const auto join = counts.join[static_cast<int64_t>(c)].item<int64_t>();
      if (join == 0) continue;
      const auto hits = counts.intersection[static_cast<int64_t>(c)].item<int64_t>();
      scores.metrics.push_back({"iou/" + names[c], static_cast<double>(hits) / static_cast<double>(join), join});
    }
  }
};

}  // namespace

SILC_EVALUATOR(zero_shot_segmentation, ZeroShotSegmentation, 1,
               "miou and pixel_accuracy of patch tokens against class embeddings, without training for it",
               needs(Need::classes, Need::masks, Need::patch_tokens), kTemplates, kPerClass);

}  // namespace silc::evaluators::zero_shot_segmentation
