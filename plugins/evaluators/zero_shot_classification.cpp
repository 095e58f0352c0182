// Zero-shot classification (Radford 2021, section 3.1; metrics as in CLIP_benchmark).
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "plugins/evaluators/prompts.h"
#include "plugins/evaluators/ranking.h"

namespace silc::evaluators::zero_shot_classification {
namespace {

constexpr std::string_view kName = "zero_shot_classification";

struct Predictions {
  at::Tensor labels;      // [n] int64
  at::Tensor ranks;       // [n] int64, of the label among the classes, from 0
  at::Tensor prediction;  // [n] int64
};

at::Tensor labels_of(std::span<const Sample> batch, int64_t first, int64_t classes) {
  at::Tensor labels = at::empty({static_cast<int64_t>(batch.size())}, at::kLong);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const int64_t label = batch[i].label;
    if (label < 0 || label >= classes)
      throw Error(
          fmt::format("evaluator \"{}\" needs a label for every picture: picture {} of the dataset has {}", kName,
                      first + static_cast<int64_t>(i),
                      label == kNoLabel ? "none" : fmt::format("{}, and there are {} classes", label, classes)));
    labels[static_cast<int64_t>(i)] = label;
  }
  return labels;
}

at::Tensor class_scores(Encoder& encoder, std::span<const Sample> batch, const at::Tensor& classes) {
  const at::Tensor own = encoder.similarities(batch, classes);  // [B, C]
  if (own.defined()) {
    check_finite(own, kName);
    return own;
  }
  const at::Tensor images = encoder.embed_images(batch);  // [B, E]
  check_finite(images, kName);
  return cosines(images, classes);
}

Predictions predict(const EvaluationContext& context, const at::Tensor& classes) {
  std::vector<at::Tensor> labels, ranks, prediction;
  context.for_each_batch([&](std::span<const Sample> batch, int64_t first) {
    labels.push_back(labels_of(batch, first, classes.size(0)));
    const at::Tensor scores = class_scores(context.encoder, batch, classes);  // [B, C]
    ranks.push_back(rank_of(scores, labels.back()));
    prediction.push_back(scores.argmax(1));
  });
  if (labels.empty()) throw Error(fmt::format("evaluator \"{}\": the dataset has no pictures", kName));
  return {at::cat(labels), at::cat(ranks), at::cat(prediction)};
}

// Mean over the classes that occur.
double mean_per_class_recall(const at::Tensor& labels, const at::Tensor& correct, int64_t classes) {
  const at::Tensor counts = at::bincount(labels, {}, classes).to(at::kDouble);                     // [C]
  const at::Tensor hits = at::bincount(labels, correct.to(at::kDouble), classes).to(at::kDouble);  // [C]
  const at::Tensor present = counts.gt(0);
  return (hits.masked_select(present) / counts.masked_select(present)).mean().item<double>();
}

class ZeroShotClassification : public Evaluator {
 public:
  explicit ZeroShotClassification(const EvaluatorContext& /*context*/) {}

  Scores evaluate(const EvaluationContext& context) override {
    const at::Tensor classes = class_embeddings(context, kName);  // [C, E]
    const Predictions found = predict(context, classes);
    const int64_t n = found.labels.size(0);
    Scores scores;
    const auto add_accuracy = [&](const std::string& name, int64_t k) {
      const at::Tensor correct = found.ranks.lt(k).to(at::kFloat);
      scores.metrics.push_back({name, correct.mean(at::kDouble).item<double>(), n});
      scores.samples[name] = correct;
    };
    add_accuracy("acc1", 1);
    // Among five classes or fewer, the first five are all.
    if (classes.size(0) > 5) add_accuracy("acc5", 5);
    scores.metrics.push_back(
        {"mean_per_class_recall", mean_per_class_recall(found.labels, scores.samples["acc1"], classes.size(0)), n});
    scores.samples["label"] = found.labels;
    scores.samples["prediction"] = found.prediction;
    return scores;
  }

  Illustrations illustrate(const EvaluationContext& context) override {
    Illustrations illustrations{.class_texts = class_embeddings(context, kName)};
    std::vector<at::Tensor> scores;
    context.for_each_batch([&](std::span<const Sample> batch, int64_t /*first*/) {
      scores.push_back(class_scores(context.encoder, batch, illustrations.class_texts));
    });
    illustrations.class_scores = at::cat(scores);
    return illustrations;
  }
};

}  // namespace

SILC_EVALUATOR(zero_shot_classification, ZeroShotClassification, 1,
               "acc1, acc5 and mean_per_class_recall with class embeddings from prompts",
               needs(Need::classes, Need::labels), kTemplates);

}  // namespace silc::evaluators::zero_shot_classification
