#include "engine/batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "engine/prefetcher.h"
#include "engine/views.h"
#include "fakes.h"
#include "pictures/decode.h"
#include "silc/error.h"
#include "tests/pictures/fixture.h"

namespace silc {
namespace {

using testing::FakeDataset;
using testing::FakeTokenizer;
using ::testing::HasSubstr;

const ViewSpec kGlobal{.name = "global", .count = 2, .area = {0.4, 1.0}, .flip = true};

BatchSource source(std::shared_ptr<FakeDataset> dataset = std::make_shared<FakeDataset>(7),
                   std::vector<ViewSpec> views = {kGlobal}, int64_t captions = 1) {
  return BatchSource(std::move(dataset), std::make_shared<FakeTokenizer>(), std::move(views),
                     {.batch = 3,
                      .image_size = 8,
                      .context_length = 4,
                      .seed = 5,
                      .captions = captions,
                      .total_steps = 10,
                      .dataset_name = "fake_data",
                      .tokenizer_name = "fake_words"});
}

void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_TRUE(torch::equal(a.tokens, b.tokens));
  EXPECT_TRUE(torch::equal(a.labels, b.labels));
  ASSERT_EQ(a.views.size(), b.views.size());
  for (const auto& [name, view] : a.views) EXPECT_TRUE(torch::equal(view, b.views.at(name)));
}

TEST(BatchSource, GivesTheShapesThatObjectivesAreTold) {
  const Batch batch = source().batch(0);
  EXPECT_EQ(batch.size, 3);
  EXPECT_EQ(batch.views.at("global").sizes(), (at::IntArrayRef{6, 3, 8, 8}));
  EXPECT_EQ(batch.tokens.sizes(), (at::IntArrayRef{3, 4}));
  EXPECT_EQ(batch.labels.sizes(), (at::IntArrayRef{3}));
}

TEST(BatchSource, LaysOutViewByView) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  // The whole picture twice: both views of a picture are the same.
  const Batch batch = source(dataset, {{.name = "whole", .count = 2}}).batch(1);
  const at::Tensor views = batch.views.at("whole");
  EXPECT_TRUE(torch::equal(views.narrow(0, 0, 3), views.narrow(0, 3, 3)));
  EXPECT_FALSE(torch::equal(views[0], views[1]));
}

TEST(BatchSource, DrawsEachViewAfresh) {
  const at::Tensor views = source().batch(0).views.at("global");
  EXPECT_FALSE(torch::equal(views[0], views[3]));
}

TEST(BatchSource, GivesTheSameBatchesForAnyNumberOfThreads) {
  const BatchSource batches = source();
  const auto make = [&](int64_t step) { return batches.batch(step); };
  Prefetcher<Batch> one(0, 6, 1, 2, make);
  Prefetcher<Batch> three(0, 6, 3, 4, make);
  for (int step = 0; step < 6; ++step) expect_equal(*one.next(), *three.next());
}

TEST(BatchSource, LeavesOutViewsThatAreNotNeededYet) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  const ViewSpec always{.name = "global", .area = {0.4, 1.0}};
  const ViewSpec late{.name = "late", .size = 4, .area = {0.1, 0.4}, .from = 0.5};
  const BatchSource batches = source(dataset, {late, always});
  EXPECT_FALSE(batches.batch(4).views.contains("late"));
  EXPECT_TRUE(batches.batch(5).views.contains("late"));
}

TEST(BatchSource, LetsTheObjectivePrepareEachBatchForItsPlaceInTraining) {
  const auto prepare = [](Batch& batch, const Progress& progress) {
    EXPECT_EQ(batch.views.at("global").sizes(), (at::IntArrayRef{6, 3, 8, 8}));
    EXPECT_EQ(batch.tokens.sizes(), (at::IntArrayRef{3, 4}));
    batch.prepared["place"] =
        at::tensor({progress.step, progress.micro_batch, progress.total_steps, static_cast<int64_t>(progress.seed)});
    batch.host["fraction"] = at::scalar_tensor(progress.fraction, at::kDouble);
  };
  const BatchSource batches(std::make_shared<FakeDataset>(7), std::make_shared<FakeTokenizer>(), {kGlobal},
                            {.batch = 3,
                             .image_size = 8,
                             .context_length = 4,
                             .seed = 5,
                             .total_steps = 8,
                             .prepare = prepare,
                             .accumulate = 2,
                             .dataset_name = "fake_data",
                             .tokenizer_name = "fake_words"});
  const Batch batch = batches.batch(5);
  EXPECT_TRUE(torch::equal(batch.prepared.at("place"), at::tensor({2, 1, 4, 5}, at::kLong)));
  EXPECT_EQ(batch.host.at("fraction").item<double>(), 0.5);
}

TEST(BatchSource, DrawsSeveralCaptionsCaptionByCaption) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  const at::Tensor one = source(dataset).batch(1).tokens;  // [B, T]
  const at::Tensor three = source(dataset, {kGlobal}, 3).batch(1).tokens;
  ASSERT_EQ(three.sizes(), (at::IntArrayRef{9, 4}));
  EXPECT_TRUE(torch::equal(three.narrow(0, 0, 3), one));
  // A caption of picture b is its letter, once or twice.
  for (int64_t b = 0; b < 3; ++b)
    for (int64_t c = 1; c < 3; ++c) EXPECT_TRUE(torch::equal(three[c * 3 + b][0], one[b][0]));
  EXPECT_FALSE(torch::equal(three.narrow(0, 3, 3), one) && torch::equal(three.narrow(0, 6, 3), one));
}

TEST(BatchSource, RefusesToDrawNoCaption) {
  EXPECT_THROW(source(std::make_shared<FakeDataset>(7), {kGlobal}, 0), Error);
}

TEST(BatchSource, CutsMasksWithTheVeryCropOfTheirView) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  dataset->masked = true;  // each pixel's class is its red value
  ViewSpec view{.name = "global", .count = 2, .size = 4, .area = {0.2, 0.9}, .flip = true, .masks = true};
  const Batch batch = source(dataset, {view}).batch(2);
  const at::Tensor masks = batch.masks.at("global");
  ASSERT_EQ(masks.sizes(), (at::IntArrayRef{6, 4, 4}));
  // Nearest and bilinear values of a picture that rises by 5 from pixel to pixel along both axes: the nearest pixel
  // lies within 0.5 of the centre, and the filter's mean, where the edge cuts it off, within 0.3.
  const at::Tensor red = (batch.views.at("global").select(1, 0) + 1) * 127.5;
  EXPECT_LT((red - masks.to(torch::kFloat)).abs().max().item<float>(), 8);
  EXPECT_GT(masks.to(torch::kFloat).std().item<float>(), 6);
}

TEST(BatchSource, GivesMasksOnlyToViewsThatWantThem) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  dataset->masked = true;
  EXPECT_TRUE(source(dataset, {kGlobal}).batch(0).masks.empty());
}

TEST(BatchSource, SaysWhichDatasetLacksTheMasksOfAView) {
  ViewSpec view = kGlobal;
  view.masks = true;
  const BatchSource batches = source(std::make_shared<FakeDataset>(7), {view});
  try {
    std::ignore = batches.batch(0);
    FAIL() << "there are no masks";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("view \"global\""));
    EXPECT_THAT(error.what(), HasSubstr("dataset \"fake_data\""));
    EXPECT_THAT(error.what(), HasSubstr("masks"));
  }
}

TEST(BatchSource, ChangesColoursWithoutChangingCrops) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  ViewSpec solarized = kGlobal;
  solarized.colours.solarize = 1;
  const at::Tensor plain = source(dataset).batch(1).views.at("global");
  const at::Tensor changed = source(dataset, {solarized}).batch(1).views.at("global");
  // Values above one half are inverted: in [-1, 1], those above 0.
  EXPECT_TRUE(torch::allclose(changed, -plain.abs(), 0, 1e-6));
}

TEST(BatchSource, DrawsColoursForEachViewAfresh) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  const ViewSpec view{.name = "whole", .count = 2, .colours = {.jitter = 1}};
  const at::Tensor views = source(dataset, {view}).batch(1).views.at("whole");
  EXPECT_FALSE(torch::equal(views.narrow(0, 0, 3), views.narrow(0, 3, 3)));
  EXPECT_TRUE(torch::equal(views, source(dataset, {view}).batch(1).views.at("whole")));
}

TEST(BatchSource, RefusesColoursThatMakeNoSense) {
  ViewSpec view = kGlobal;
  view.colours.jitter = 1.5;
  EXPECT_THROW(source(std::make_shared<FakeDataset>(7), {view}), Error);
  view.colours = {.hue = 0.6};
  EXPECT_THROW(source(std::make_shared<FakeDataset>(7), {view}), Error);
  view.colours = {.blur_sigma = {0.0, 1.0}};
  EXPECT_THROW(source(std::make_shared<FakeDataset>(7), {view}), Error);
}

TEST(BatchSource, NamesTheDatasetOfABrokenSample) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  dataset->broken = 4;
  const BatchSource batches = source(dataset);
  try {
    for (int step = 0; step < 3; ++step) std::ignore = batches.batch(step);
    FAIL() << "sample 4 was read";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "dataset \"fake_data\": picture 4 is cut short");
  }
}

// A photograph, as pixels or as its file.
class Photos : public Dataset {
 public:
  Photos(std::string kind, bool encoded) : kind_(std::move(kind)), encoded_(encoded) {}
  int64_t size() const override { return 5; }
  Sample sample(int64_t /*index*/) const override {
    Sample sample;
    sample.image = encoded_image(testing::stored_bytes(kind_ + ".file"), "a.jpg");
    if (!encoded_) sample.image = decoded(std::move(sample.image));
    sample.captions = {"a photo"};
    return sample;
  }
  std::string fingerprint() const override { return "photos"; }

 private:
  std::string kind_;
  bool encoded_;
};

at::Tensor views_of(const std::string& kind, bool encoded, int64_t size, const ImageTransform& transform = {}) {
  const BatchSource source(std::make_shared<Photos>(kind, encoded), std::make_shared<FakeTokenizer>(),
                           {{.name = "global", .count = 2, .area = {0.4, 1.0}, .flip = true},
                            {.name = "local", .size = 6, .area = {0.1, 0.3}}},
                           {.batch = 8,
                            .image_size = size,
                            .context_length = 4,
                            .seed = 5,
                            .transform = transform,
                            .dataset_name = "photos",
                            .tokenizer_name = "fake_words"});
  const Batch batch = source.batch(0);
  return at::cat({batch.views.at("global").flatten(), batch.views.at("local").flatten()});
}

TEST(BatchSourceOfFiles, CutsTheSameViewsAsFromPixels) {
  for (const std::string kind : {"png_rgb", "webp_lossy", "jpeg_exif_6", "jpeg_420"})
    EXPECT_TRUE(torch::equal(views_of(kind, true, 40), views_of(kind, false, 40))) << kind;
}

TEST(BatchSourceOfFiles, ReducesAJpegOnlyAsFarAsNothingIsEnlarged) {
  const at::Tensor from_pixels = views_of("jpeg_420", false, 8);
  const at::Tensor from_file = views_of("jpeg_420", true, 8);
  EXPECT_FALSE(torch::equal(from_file, from_pixels)) << "reduced while it is decoded";
  // Two grey levels of 127.5 on average.
  EXPECT_LT((from_file - from_pixels).abs().mean().item<double>(), 2 / 127.5);
}

TEST(BatchSourceOfFiles, GivesTheValuesThatTheModelWasTrainedOn) {
  const ImageTransform transform{.mean = {0.4F, 0.5F, 0.6F}, .std = {0.2F, 0.25F, 0.3F}};
  const at::Tensor plain = views_of("png_rgb", true, 40).slice(0, 0, 3 * 40 * 40).reshape({3, 1600});
  const at::Tensor mean = torch::tensor({0.4, 0.5, 0.6}).to(torch::kFloat).unsqueeze(1);
  const at::Tensor std = torch::tensor({0.2, 0.25, 0.3}).to(torch::kFloat).unsqueeze(1);
  const at::Tensor values = views_of("png_rgb", true, 40, transform).slice(0, 0, 3 * 40 * 40).reshape({3, 1600});
  EXPECT_TRUE(torch::allclose(values, ((plain + 1) / 2 - mean) / std, 0, 1e-5));
}

TEST(BatchSource, PutsTheNextSampleInThePlaceOfOneThatCannotBeRead) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  dataset->broken = 4;
  const BatchSource all = source(std::make_shared<FakeDataset>(7));
  const BatchSource rest(dataset, std::make_shared<FakeTokenizer>(), {kGlobal},
                         {.batch = 3,
                          .image_size = 8,
                          .context_length = 4,
                          .seed = 5,
                          .total_steps = 10,
                          .skip = true,
                          .dataset_name = "fake_data",
                          .tokenizer_name = "fake_words"});
  int64_t skipped = 0;
  for (int64_t step = 0; step < 7; ++step) {
    const ReadBatch read = rest.read(step);
    std::vector<int64_t> expected = all.batch(step).samples;
    skipped += std::count(expected.begin(), expected.end(), 4);
    std::replace(expected.begin(), expected.end(), int64_t{4}, int64_t{5});
    EXPECT_EQ(read.batch.samples, expected);
    for (const Unreadable& unreadable : read.skipped) {
      EXPECT_EQ(unreadable.sample, 4);
      EXPECT_EQ(unreadable.reason, "picture 4 is cut short");
      --skipped;
    }
  }
  EXPECT_EQ(skipped, 0) << "each time is told";
}

TEST(BatchSource, GivesUpWhereNothingCanBeRead) {
  class Nothing : public FakeDataset {
   public:
    using FakeDataset::FakeDataset;
    Sample sample(int64_t index) const override { throw Error("picture " + std::to_string(index) + " is gone"); }
  };
  const BatchSource batches(std::make_shared<Nothing>(7), std::make_shared<FakeTokenizer>(), {kGlobal},
                            {.batch = 3,
                             .image_size = 8,
                             .context_length = 4,
                             .skip = true,
                             .dataset_name = "d",
                             .tokenizer_name = "fake_words"});
  try {
    std::ignore = batches.batch(0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("dataset \"d\": 7 samples in a row cannot be read; the last: picture "));
  }
}

TEST(BatchSource, RefusesAnEmptyDataset) { EXPECT_THROW(source(std::make_shared<FakeDataset>(0)), Error); }

TEST(BatchSource, RefusesTwoViewsOfOneName) {
  EXPECT_THROW(source(std::make_shared<FakeDataset>(7), {{.name = "a"}, {.name = "a"}}), Error);
}

TEST(DataThreads, AreThoseOfTheEngineForAGpuUnlessToldOtherwise) {
  const int before = at::get_num_threads();
  const at::Device gpu(at::kCUDA, 0);
  at::set_num_threads(3);
  EXPECT_EQ(data_threads({}, at::kCPU), 1);
  EXPECT_EQ(data_threads({}, gpu), 3);
  at::set_num_threads(64);
  EXPECT_EQ(data_threads({}, gpu), 8);
  EXPECT_EQ(data_threads({.data_threads = 20}, gpu), 20);
  EXPECT_EQ(data_threads({.data_threads = 2}, at::kCPU), 2);
  at::set_num_threads(before);
}

}  // namespace
}  // namespace silc
