// Plugins that do as little as can be told from outside.
#include <stdexcept>

#include "silc/dataset.h"
#include "silc/objective.h"
#include "silc/tokenizer.h"

namespace {

constexpr auto kLength = silc::integer_option("length", 3, 1, 9, "how many samples there are");
constexpr auto kFault = silc::choice_option("fault", "user", "user|plugin|torch|other|nothing", "what goes wrong");

class CountedDataset : public silc::Dataset {
 public:
  explicit CountedDataset(const silc::DatasetContext& context) : length_(context.options[kLength]) {}
  [[nodiscard]] int64_t size() const override { return length_; }
  [[nodiscard]] silc::Sample sample(int64_t index) const override {
    if (index >= length_) throw silc::Error("there is no such sample");
    return {{}, {"a caption"}, index, {}, {}};
  }
  [[nodiscard]] std::string fingerprint() const override { return "counted"; }

 private:
  int64_t length_;
};

// Another view of the same object, to be found by dynamic_cast from outside.
class DoubledObjective : public silc::Objective {
 public:
  explicit DoubledObjective(const silc::ObjectiveContext&) { scale_ = register_parameter("scale", at::full({}, 2.0)); }
  [[nodiscard]] std::vector<silc::ViewSpec> views() const override { return {{.name = "global"}}; }
  silc::StepResult step(const silc::Batch& batch, const silc::Progress&) override {
    return {{{"loss", scale_ * batch.views.at("global").sum()}}, {}};
  }

 private:
  at::Tensor scale_;
};

class FaultyTokenizer : public silc::Tokenizer {
 public:
  explicit FaultyTokenizer(const silc::TokenizerContext& context) {
    const std::string& fault = context.options[kFault];
    if (fault == "user") throw silc::Error("captions.txt:3: a caption is empty; remove the line");
    if (fault == "plugin") throw std::out_of_range("vector::at");
    if (fault == "torch") TORCH_CHECK(false, "shapes do not fit");
    if (fault == "other") throw 42;
  }
  [[nodiscard]] int64_t vocabulary_size() const override { return 1; }
  [[nodiscard]] std::vector<int64_t> encode(std::string_view, int64_t length) const override {
    return std::vector<int64_t>(length);
  }
};

}  // namespace

SILC_DATASET(counted, CountedDataset, 1, "as many samples as it is told", kLength);
SILC_OBJECTIVE(doubled, DoubledObjective, 1, "twice the sum of the pictures");
SILC_TOKENIZER(faulty, FaultyTokenizer, 1, "cannot be made", kFault);
