// Captioning by a model that trains a decoder (CapPa, CoCa, SigLIP 2): its captions, by greedy search, against those of
// the dataset.
//
// cider: CIDEr-D over tokens of the model's tokenizer, divided by 10, which brings it into [0, 1]; papers report 1000
// times this value. exact: the fraction of pictures whose caption is one of theirs, word for word. likelihood: the
// probability that the model gives to a token of a reference, the geometric mean over a picture's tokens.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "plugins/evaluators/cider.h"
#include "silc/evaluator.h"

namespace silc::evaluators::captioning {
namespace {

constexpr auto kReferences =
    integer_option("captions", 5, 1, 1000, "captions of a picture that are used at most, the first ones");

constexpr std::string_view kName = "captioning";

// What is known of the pictures that were visited.
struct Written {
  std::vector<Words> candidates;
  std::vector<std::vector<Words>> references;
  std::vector<double> likelihoods;
};

class Captioning : public Evaluator {
 public:
  explicit Captioning(const EvaluatorContext& /*context*/) {}

  Scores evaluate(const EvaluationContext& context) override {
    const auto most = static_cast<std::size_t>(context.options[kReferences]);
    Written written;
    context.for_each_batch([&](std::span<const Sample> batch, int64_t first) {
      std::vector<Sample> pictures;  // one for each of `texts`
      std::vector<std::string> texts;
      std::vector<int64_t> counts;
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (batch[i].captions.empty())
          throw Error(fmt::format("evaluator \"{}\": picture {} of the dataset has no caption", kName,
                                  first + static_cast<int64_t>(i)));
        const auto references = std::span(batch[i].captions).first(std::min(most, batch[i].captions.size()));
        written.references.push_back(context.encoder.tokenize(references));
        pictures.insert(pictures.end(), references.size(), batch[i]);
        texts.insert(texts.end(), references.begin(), references.end());
        counts.push_back(static_cast<int64_t>(references.size()));
      }
      const at::Tensor each = context.encoder.caption_log_likelihoods(pictures, texts);  // [Σ counts]
      for (const at::Tensor& own : each.split_with_sizes(counts))
        written.likelihoods.push_back(std::exp(own.mean(at::kDouble).item<double>()));
      std::ranges::move(context.encoder.write_captions(batch), std::back_inserter(written.candidates));
    });
    if (written.candidates.empty()) throw Error(fmt::format("evaluator \"{}\": the dataset has no pictures", kName));
    return scores_of(written);
  }

 private:
  static Scores scores_of(const Written& written) {
    std::vector<double> exact;
    for (std::size_t i = 0; i < written.candidates.size(); ++i)
      exact.push_back(std::ranges::find(written.references[i], written.candidates[i]) != written.references[i].end());
    Scores scores;
    add(scores, "cider", at::tensor(cider_d(written.candidates, written.references)) / kHighestCider);
    add(scores, "exact", at::tensor(exact));
    add(scores, "likelihood", at::tensor(written.likelihoods));
    return scores;
  }

  // values: [n] double.
  static void add(Scores& scores, const std::string& name, const at::Tensor& values) {
    scores.metrics.push_back({name, values.mean().item<double>(), values.size(0)});
    scores.samples[name] = values.to(at::kFloat);
  }
};

}  // namespace

SILC_EVALUATOR(captioning, Captioning, 1, "cider, exact and likelihood of captions, for models with a caption decoder",
               needs(Need::patch_tokens, Need::caption_decoder), may_need(Need::several_captions), kReferences);

}  // namespace silc::evaluators::captioning
