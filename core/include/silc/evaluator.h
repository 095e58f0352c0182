// Evaluator plugins: what a trained model is asked.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "silc/dataset.h"
#include "silc/error.h"
#include "silc/plugin.h"

namespace silc {

struct PatchEmbeddings {
  at::Tensor values;  // [B, N, E] fp32, L2-normalised: patch tokens through final norm and image projection
  int64_t grid_height = 0;
  int64_t grid_width = 0;
};

// The model under evaluation. Pictures become the model's input as the experiment's model.image says (resize_mode,
// interpolation, mean, std); for embed_patches() it is always the whole picture, whose grid of patches the result is.
// No gradients. Results are fp32 on the CPU.
class SILC_EXPORT Encoder {
 public:
  virtual ~Encoder() = default;
  virtual at::Tensor embed_images(std::span<const Sample> samples) = 0;        // [B, E], L2-normalised
  virtual PatchEmbeddings embed_patches(std::span<const Sample> samples) = 0;  // [B, N, E]
  virtual at::Tensor embed_texts(std::span<const std::string> texts) = 0;      // [B, E], L2-normalised

  // How well each picture fits each text, for a model that looks at a picture anew for every text (PACL): [B, T] for
  // texts [T, E], L2-normalised. Undefined where it is the cosine of embed_images() and the text, as in most models.
  virtual at::Tensor similarities(std::span<const Sample> /*samples*/, const at::Tensor& /*texts*/) { return {}; }

  // Whether the model has a caption decoder, as few have. Only then there are the three below, which else throw.
  [[nodiscard]] virtual bool writes_captions() const { return false; }
  // A caption of each picture by greedy search: token ids, without start, end and padding.
  virtual std::vector<std::vector<int64_t>> write_captions(std::span<const Sample> /*samples*/) { throw no_decoder(); }
  // Texts as the model's tokenizer reads them, likewise.
  virtual std::vector<std::vector<int64_t>> tokenize(std::span<const std::string> /*texts*/) { throw no_decoder(); }
  // log p of each picture's text, the mean over its tokens (the end token among them): [B]. As many texts as samples.
  virtual at::Tensor caption_log_likelihoods(std::span<const Sample> /*samples*/,
                                             std::span<const std::string> /*texts*/) {
    throw no_decoder();
  }

 private:
  static Error no_decoder() { return Error("this model has no caption decoder"); }
};

struct Metric {
  std::string name;  // "acc1"
  double value = 0;  // fractions in [0, 1], not percent
  int64_t n = 0;     // what the value is a mean over: pictures, queries, pixels
};

struct Scores {
  std::vector<Metric> metrics;
  // Scores of single samples for paired statistics: name → [n] or [n, k]. [k, k] may also be of all samples together,
  // class by class, as a confusion matrix is.
  std::map<std::string, at::Tensor> samples;
};

// What an evaluator makes of single pictures, for people to look at. What it does not go by stays empty.
struct Illustrations {
  at::Tensor class_texts = {};   // [C, E] fp32, L2-normalised: what stands for each class of the dataset
  at::Tensor class_scores = {};  // [n, C] fp32: how well each picture fits each class, in [-1, 1]
  std::vector<std::vector<uint8_t>> masks = {};  // of each picture [height, width]: the class that each pixel is given
};

struct EvaluationContext {
  const Options& options;
  const Dataset& dataset;
  Encoder& encoder;
  // Visits the whole dataset in order, in batches that are prepared in background threads; `first` is the index of the
  // batch's first sample.
  std::function<void(const std::function<void(std::span<const Sample> batch, int64_t first)>& visit)> for_each_batch;
};

// Throws silc::Error where the dataset lacks what the evaluator needs (labels, masks).
class SILC_EXPORT Evaluator {
 public:
  virtual ~Evaluator() = default;
  virtual Scores evaluate(const EvaluationContext& context) = 0;

  // The same judgement of a few pictures, which are all that the context's dataset has: not called in training, but
  // where pages show what a model sees. They need not have labels or masks.
  virtual Illustrations illustrate(const EvaluationContext& /*context*/) { return {}; }
};

struct EvaluatorContext {
  const Options& options;
};

}  // namespace silc

// SILC_EVALUATOR(identifier, Class, version, "one line", options...)
#define SILC_EVALUATOR(id, Class, version, ...) \
  SILC_PLUGIN(evaluator, ::silc::Evaluator, ::silc::EvaluatorContext, id, Class, version, __VA_ARGS__)
