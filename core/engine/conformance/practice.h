// What plugins are checked with: data, a tokenizer and towers that are small, need no files and do not change.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/assembly.h"
#include "silc/dataset.h"
#include "silc/model.h"
#include "silc/tokenizer.h"

namespace silc::conformance {

// Pictures of 48 × 40 pixels whose left half shows a thing of one class, which is the label, and whose right half shows
// one of another: with captions that name the picture, pixel masks (the first two rows ignored) and boxes.
class PracticeDataset : public Dataset {
 public:
  // `lacking`: what it shall not have, a set of Need.
  explicit PracticeDataset(int64_t size, uint32_t lacking = 0) : size_(size), lacking_(lacking) {}
  [[nodiscard]] int64_t size() const override { return size_; }
  [[nodiscard]] Sample sample(int64_t index) const override;
  [[nodiscard]] std::vector<std::string> classes() const override;
  [[nodiscard]] std::string fingerprint() const override { return "practice-1"; }

 private:
  int64_t size_;
  uint32_t lacking_;
};

// Words by a hash: padding 0, start 1, end token last.
class PracticeTokenizer : public Tokenizer {
 public:
  [[nodiscard]] int64_t vocabulary_size() const override { return 64; }
  [[nodiscard]] std::vector<int64_t> encode(std::string_view text, int64_t length) const override;
};

inline constexpr int64_t kPracticeImageSize = 32;  // patches of 8 pixels: a grid of 4 × 4
inline constexpr int64_t kPracticeContext = 9;
inline constexpr int64_t kPracticeBatch = 6;

// One transformer block each; the image tower gives patch tokens and can mask patches, unless that is among what it is
// `lacking`, a set of Need.
std::shared_ptr<ImageTower> practice_image_tower(uint32_t lacking = 0);
std::shared_ptr<DualEncoder> practice_model(uint32_t lacking = 0);

// A caption decoder for the practice model, fresh from its initial values.
std::shared_ptr<Captioner> practice_captioner();

// A cell around `objective` with the sizes above, a budget of 1000 updates of `batch` pictures, and seed 1.
ResolvedCell practice_cell(const PluginInfo& objective, const Options& options, int64_t batch = kPracticeBatch);

// Model, data and the objective that `cell` names, made by `plugin`, as the engine's assemble() does.
Assembly practice_assembly(const ResolvedCell& cell, const PluginInfo& plugin, uint32_t lacking = 0,
                           const at::Device& device = at::kCPU);

}  // namespace silc::conformance
