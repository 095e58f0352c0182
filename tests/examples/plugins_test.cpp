// The worked examples as the plugins that they are; experiments_test.cpp trains and evaluates them.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "pictures/decode.h"
#include "silc/backbone.h"
#include "silc/dataset.h"
#include "silc/evaluator.h"
#include "silc/objective.h"
#include "silc/testing/model.h"
#include "silc/testing/options.h"
#include "tests/files/temporary_folder.h"

extern "C" silc::Objective* silc_objective_smoothed_clip(const silc::ObjectiveContext& context);
extern "C" silc::Objective* silc_objective_caption_focus(const silc::ObjectiveContext& context);
extern "C" silc::ImageBackbone* silc_image_backbone_conv_mixer(const silc::ImageBackboneContext& context);
extern "C" silc::Evaluator* silc_evaluator_attribute_binding(const silc::EvaluatorContext& context);
extern "C" silc::Dataset* silc_dataset_picture_table(const silc::DatasetContext& context);

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::options_of;
using testing::random_batch;
using testing::tiny_context;
using testing::tiny_model;

constexpr int64_t kBatch = 6;

at::Tensor total(const StepResult& result) {
  auto sum = at::zeros({});
  for (const auto& term : result.terms) sum = sum + term.weight * term.value;
  return sum;
}

TEST(SmoothedClip, IsTheCrossEntropyWithSmoothedTargets) {
  const auto model = tiny_model();
  const auto options = options_of("smoothed_clip", {{"smoothing", 0.3}});
  const std::unique_ptr<Objective> objective(silc_objective_smoothed_clip(tiny_context(options, model)));
  const auto batch = random_batch(*objective, kBatch);
  const auto image = model->image->embed(model->image->forward(batch.views.at("image")).pooled);
  const auto logits = image.matmul(model->text->embed(batch.tokens).t()) / 0.07;
  const auto own = at::arange(kBatch, at::kLong);
  const auto smoothed = [&](const at::Tensor& scores) {
    return at::cross_entropy_loss(scores, own, {}, at::Reduction::Mean, -100, 0.3).item<double>();
  };
  // fp32 against fp32, a loss of order 10.
  EXPECT_NEAR(total(objective->step(batch, {})).item<double>(), (smoothed(logits) + smoothed(logits.t())) / 2, 1e-4);
}

class CaptionFocus : public ::testing::Test {
 protected:
  std::shared_ptr<Objective> make(double focus) {
    torch::manual_seed(0);
    model_ = tiny_model();
    const auto options = options_of(
        "caption_focus", {{"prototypes", int64_t{8}}, {"local_size", int64_t{8}}, {"focus_temperature", focus}});
    return std::shared_ptr<Objective>(silc_objective_caption_focus(tiny_context(options, model_)));
  }

  std::shared_ptr<DualEncoder> model_;
};

TEST_F(CaptionFocus, TrainsTheModelAndItsHeadAndNotTheTeacher) {
  const auto objective = make(0.1);
  total(objective->step(random_batch(*objective, kBatch), {})).backward();
  for (const auto& parameter : model_->parameters()) EXPECT_TRUE(parameter.grad().defined());
  for (const auto& parameter : objective->named_parameters())
    EXPECT_EQ(parameter.value().grad().defined(), !parameter.key().starts_with("teacher.")) << parameter.key();
}

TEST_F(CaptionFocus, OtherCaptionsFocusOnOtherPatches) {
  const auto distilled = [&](double focus, bool other_captions) {
    const auto objective = make(focus);
    auto batch = random_batch(*objective, kBatch);
    if (other_captions) batch.tokens = batch.tokens.flip(0);
    return objective->step(batch, {}).terms[1].value.item<double>();
  };
  EXPECT_NE(distilled(0.01, false), distilled(0.01, true));
  EXPECT_NEAR(distilled(1e6, false), distilled(1e6, true), 1e-6);
}

TEST(ConvMixer, GivesPatchesOfViewsOfAnySize) {
  const auto options = options_of("conv_mixer", {{"width", int64_t{4}}, {"layers", int64_t{2}}, {"patch", int64_t{4}}});
  const std::unique_ptr<ImageBackbone> backbone(silc_image_backbone_conv_mixer({.options = options, .image_size = 16}));
  const auto features = backbone->forward(at::randn({2, 3, 8, 12}));
  EXPECT_EQ(features.pooled.sizes(), (std::vector<int64_t>{2, backbone->width()}));
  EXPECT_EQ(features.patches.sizes(), (std::vector<int64_t>{2, 6, backbone->width()}));
  EXPECT_EQ(features.grid_height, 2);
  EXPECT_EQ(features.grid_width, 3);
  EXPECT_THROW(backbone->forward(at::randn({2, 3, 8, 10})), Error);
}

TEST(ConvMixer, TrainsEveryLayer) {
  const auto options = options_of("conv_mixer", {{"width", int64_t{4}}, {"layers", int64_t{2}}, {"patch", int64_t{4}}});
  const std::unique_ptr<ImageBackbone> backbone(silc_image_backbone_conv_mixer({.options = options, .image_size = 16}));
  backbone->forward(at::randn({2, 3, 8, 8})).pooled.pow(2).sum().backward();
  EXPECT_EQ(backbone->parameters().size(), 5U * 4);  // weight and bias of convolution and norm
  for (const auto& parameter : backbone->named_parameters())
    EXPECT_TRUE(parameter.value().grad().defined()) << parameter.key();
}

// Pictures without pixels, whose captions are all there is.
class Captions : public Dataset {
 public:
  explicit Captions(std::vector<std::string> captions) : captions_(std::move(captions)) {}
  int64_t size() const override { return static_cast<int64_t>(captions_.size()); }
  Sample sample(int64_t index) const override {
    Sample sample;
    sample.captions = {captions_.at(static_cast<std::size_t>(index))};
    return sample;
  }
  std::string fingerprint() const override { return ""; }

 private:
  std::vector<std::string> captions_;
};

// A picture's embedding is that of its caption. `ordered`: "red shoe" differs from "shoe red".
class WordEncoder : public Encoder {
 public:
  explicit WordEncoder(bool ordered) : ordered_(ordered) {}

  at::Tensor embed_images(std::span<const Sample> samples) override {
    std::vector<std::string> captions;
    for (const Sample& sample : samples) captions.push_back(sample.captions[0]);
    return embed(captions);
  }

  at::Tensor embed_texts(std::span<const std::string> texts) override {
    seen.insert(texts.begin(), texts.end());
    return embed(texts);
  }

  PatchEmbeddings embed_patches(std::span<const Sample> /*samples*/) override { return {}; }

  std::set<std::string> seen;

 private:
  at::Tensor embed(std::span<const std::string> texts) const {
    auto embeddings = at::zeros({static_cast<int64_t>(texts.size()), 64});
    for (std::size_t row = 0; row < texts.size(); ++row) {
      std::istringstream words(texts[row]);
      std::string word;
      for (int64_t place = 1; words >> word; ++place)
        embeddings[static_cast<int64_t>(row)][static_cast<int64_t>(std::hash<std::string>()(word) % 64)] +=
            ordered_ ? place : 1;
    }
    return embeddings / embeddings.norm(2, {1}, true);
  }

  bool ordered_;
};

Scores bind(const std::vector<std::string>& captions, WordEncoder& encoder) {
  const auto options = options_of("attribute_binding");
  const std::unique_ptr<Evaluator> evaluator(silc_evaluator_attribute_binding({.options = options}));
  const Captions dataset(captions);
  return evaluator->evaluate(
      {.options = options, .dataset = dataset, .encoder = encoder, .for_each_batch = [&](const auto& visit) {
         for (int64_t i = 0; i < dataset.size(); ++i) visit(std::array{dataset.sample(i)}, i);
       }});
}

const std::vector<std::string> kCaptions = {"a red shoe left of a blue bag", "two red shoes",
                                            "a red bag, and a blue bag", "an orange dress above a red shoe"};

TEST(AttributeBinding, ExchangesTwoAttributesOfTwoThingsAndMendsArticles) {
  WordEncoder encoder(true);
  const auto scores = bind(kCaptions, encoder);
  EXPECT_THAT(encoder.seen, ElementsAre("a blue shoe left of a red bag", "a red dress above an orange shoe",
                                        "a red shoe left of a blue bag", "an orange dress above a red shoe"));
  ASSERT_EQ(scores.metrics.size(), 1U);
  EXPECT_EQ(scores.metrics[0].name, "acc");
  EXPECT_EQ(scores.metrics[0].value, 1);
  EXPECT_EQ(scores.metrics[0].n, 2);
  EXPECT_EQ(scores.samples.at("acc").sizes(), (std::vector<int64_t>{2}));
}

TEST(AttributeBinding, ABagOfWordsGuesses) {
  WordEncoder encoder(false);
  EXPECT_EQ(bind({"a red shoe left of a blue bag", "a green hat above a pink shoe"}, encoder).metrics[0].value, 0.5);
}

TEST(AttributeBinding, RefusesCaptionsWithoutAttributes) {
  WordEncoder encoder(true);
  EXPECT_THROW(bind({"a shoe"}, encoder), Error);
}

class PictureTable : public ::testing::Test {
 protected:
  PictureTable() {
    std::filesystem::copy(std::filesystem::path(SILC_SOURCE_DIR) / "docs/examples/pictures", folder_,
                          std::filesystem::copy_options::recursive);
  }

  std::unique_ptr<Dataset> open(const std::string& split = "train") const {
    const auto options = options_of("picture_table", {{"table", (folder_ / "table.tsv").string()}});
    return std::unique_ptr<Dataset>(silc_dataset_picture_table({.options = options, .split = split, .directory = ""}));
  }

  template <class Work>
  static std::string refusal(Work work) {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
};

TEST_F(PictureTable, ReadsPicturesWithAllTheirCaptions) {
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 8);
  const auto sample = dataset->sample(0);
  EXPECT_THAT(sample.captions, ElementsAre("a red disc", "a picture of a red disc"));
  EXPECT_EQ(dataset->captions(0), sample.captions);
  EXPECT_EQ(sample.image.width, 24);
  EXPECT_EQ(sample.image.height, 24);
  const auto middle = static_cast<std::size_t>((12 * 24 + 12) * 3);
  const auto rgb = decoded(sample.image).rgb;
  EXPECT_EQ(std::vector<int>(rgb.begin() + middle, rgb.begin() + middle + 3), (std::vector<int>{222, 36, 36}));
}

TEST_F(PictureTable, AChangedPictureChangesTheFingerprint) {
  const auto before = open()->fingerprint();
  EXPECT_EQ(open()->fingerprint(), before);
  std::filesystem::copy_file(folder_ / "blue-disc.png", folder_ / "red-disc.png",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(open()->fingerprint(), before);
}

TEST_F(PictureTable, HasThePicturesOfItsSplit) {
  EXPECT_EQ(open("test")->size(), 4);
  EXPECT_THAT(open("test")->captions(0), ElementsAre("a red triangle", "a picture of a red triangle"));
  EXPECT_THAT(refusal([&] { open("validation"); }), HasSubstr("no pictures of split \"validation\""));
}

TEST_F(PictureTable, NamesTheLineWithoutTabs) {
  std::ofstream(folder_ / "table.tsv", std::ios::app) << "red-disc.png\ta red disc\n";
  EXPECT_THAT(refusal([&] { open(); }), HasSubstr("table.tsv:25: no two tabs"));
}

TEST_F(PictureTable, NamesThePictureThatIsCutOff) {
  std::filesystem::resize_file(folder_ / "red-disc.png", 60);
  EXPECT_THAT(refusal([&] { decoded(open()->sample(0).image); }), HasSubstr("red-disc.png is cut short"));
  std::filesystem::remove(folder_ / "red-disc.png");
  EXPECT_THAT(refusal([&] { open()->sample(0); }), HasSubstr("cannot read"));
}

}  // namespace
}  // namespace silc
