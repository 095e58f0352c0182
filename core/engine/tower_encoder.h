// Evaluators' view of the model.
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>

#include "engine/views.h"
#include "silc/captioner.h"
#include "silc/evaluator.h"
#include "silc/model.h"
#include "silc/tokenizer.h"

namespace silc {

// An image tower (the student's or the teacher's) and a text tower, in fp32, without gradients.
class TowerEncoder : public Encoder {
 public:
  struct Towers {
    std::shared_ptr<ImageTower> image;
    std::shared_ptr<TextTower> text;
    std::shared_ptr<Captioner> captioner = nullptr;  // null: the model writes no captions
    std::shared_ptr<const Tokenizer> tokenizer;
    std::string tokenizer_name;  // for messages
    at::Device device = at::kCPU;
    int64_t image_size = 0;
    ImageTransform transform = {};
    int64_t context_length = 0;
  };

  // Puts the towers into evaluation mode.
  explicit TowerEncoder(Towers towers);

  at::Tensor embed_images(std::span<const Sample> samples) override;
  PatchEmbeddings embed_patches(std::span<const Sample> samples) override;
  at::Tensor embed_texts(std::span<const std::string> texts) override;
  at::Tensor similarities(std::span<const Sample> samples, const at::Tensor& texts) override;
  [[nodiscard]] bool writes_captions() const override { return towers_.captioner != nullptr; }
  std::vector<std::vector<int64_t>> write_captions(std::span<const Sample> samples) override;
  std::vector<std::vector<int64_t>> tokenize(std::span<const std::string> texts) override;
  at::Tensor caption_log_likelihoods(std::span<const Sample> samples, std::span<const std::string> texts) override;

 private:
  at::Tensor tokens(std::span<const std::string> texts) const;  // [n, T], on the CPU
  std::vector<int64_t> encode(const std::string& text) const;   // T ids
  at::Tensor pictures(std::span<const Sample> samples) const;   // [B, 3, S, S]
  // The same with the whole of each picture, so that a grid of patches covers it.
  at::Tensor whole_pictures(std::span<const Sample> samples) const;
  at::Tensor transformed(std::span<const Sample> samples, const ImageTransform& transform) const;

  Towers towers_;
};

}  // namespace silc
