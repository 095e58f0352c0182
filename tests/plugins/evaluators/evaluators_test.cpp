// Expected values of the fixture "evaluators" come from tests/reference/evaluators.py, in which metrics are computed by
// sorting and by counting pixels. Metrics are ratios of counts, so they agree to the rounding of fp32: 1e-6.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>

#include "plugins/evaluators/cider.h"
#include "silc/evaluator.h"
#include "tests/nn/fixture.h"
#include "tests/plugins/declared.h"

extern "C" silc::Evaluator* silc_evaluator_zero_shot_classification(const silc::EvaluatorContext& context);
extern "C" silc::Evaluator* silc_evaluator_retrieval(const silc::EvaluatorContext& context);
extern "C" silc::Evaluator* silc_evaluator_zero_shot_segmentation(const silc::EvaluatorContext& context);
extern "C" silc::Evaluator* silc_evaluator_captioning(const silc::EvaluatorContext& context);

namespace silc {
namespace {

using ::testing::HasSubstr;
using Changes = std::map<std::string, OptionValue>;

constexpr double kRounding = 1e-6;

class FakeDataset : public Dataset {
 public:
  [[nodiscard]] int64_t size() const override { return static_cast<int64_t>(samples.size()); }
  [[nodiscard]] Sample sample(int64_t index) const override { return samples[static_cast<std::size_t>(index)]; }
  [[nodiscard]] std::vector<std::string> classes() const override { return names; }
  [[nodiscard]] std::vector<std::string> prompt_templates() const override { return {"the {}", "one {}"}; }
  [[nodiscard]] std::string fingerprint() const override { return ""; }

  std::vector<Sample> samples;
  std::vector<std::string> names;
};

// The two bytes by which FakeEncoder knows a picture.
std::vector<uint8_t> mark(int64_t index) {
  return {static_cast<uint8_t>(index % 256), static_cast<uint8_t>(index / 256)};
}

// Gives the embeddings that it is told to.
class FakeEncoder : public Encoder {
 public:
  at::Tensor embed_images(std::span<const Sample> samples) override { return images.index_select(0, rows(samples)); }
  PatchEmbeddings embed_patches(std::span<const Sample> samples) override {
    return {patches.index_select(0, rows(samples)), grid_height, grid_width};
  }
  at::Tensor embed_texts(std::span<const std::string> asked) override {
    std::vector<at::Tensor> found;
    for (const std::string& text : asked) found.push_back(texts.at(text));
    return at::stack(found);
  }
  at::Tensor similarities(std::span<const Sample> samples, const at::Tensor& /*texts*/) override {
    return own_similarities.defined() ? own_similarities.index_select(0, rows(samples)) : at::Tensor();
  }

  [[nodiscard]] bool writes_captions() const override { return !written.empty(); }
  std::vector<std::vector<int64_t>> write_captions(std::span<const Sample> samples) override {
    std::vector<std::vector<int64_t>> captions;
    const at::Tensor index = rows(samples);
    for (int64_t b = 0; b < index.size(0); ++b)
      captions.push_back(written.at(static_cast<std::size_t>(index[b].item<int64_t>())));
    return captions;
  }
  // Every letter is a word.
  std::vector<std::vector<int64_t>> tokenize(std::span<const std::string> asked) override {
    std::vector<std::vector<int64_t>> all;
    for (const std::string& text : asked) all.emplace_back(text.begin(), text.end());
    return all;
  }
  at::Tensor caption_log_likelihoods(std::span<const Sample> samples, std::span<const std::string> asked) override {
    at::Tensor values = at::empty({static_cast<int64_t>(asked.size())});
    for (std::size_t i = 0; i < asked.size(); ++i)
      values[static_cast<int64_t>(i)] = -static_cast<double>(asked[i].size() + samples[i].image.rgb.at(0));
    return values;
  }

  at::Tensor images;   // [n, E]
  at::Tensor patches;  // [n, N, E]
  int64_t grid_height = 0;
  int64_t grid_width = 0;
  std::map<std::string, at::Tensor> texts;    // [E]
  at::Tensor own_similarities;                // [n, classes]; undefined: none
  std::vector<std::vector<int64_t>> written;  // captions, of the pictures in turn; none: it has no decoder

 private:
  static at::Tensor rows(std::span<const Sample> samples) {
    at::Tensor index = at::empty({static_cast<int64_t>(samples.size())}, at::kLong);
    for (std::size_t i = 0; i < samples.size(); ++i)
      index[static_cast<int64_t>(i)] = samples[i].image.rgb.at(0) + 256 * samples[i].image.rgb.at(1);
    return index;
  }
};

struct World {
  FakeDataset dataset;
  FakeEncoder encoder;
};

using Factory = Evaluator* (*)(const EvaluatorContext&);

// `ask(evaluator, context)`.
template <class Ask>
auto with_evaluator(const std::string& name, Factory factory, World& world, const Changes& changes, const Ask& ask) {
  const Options options = testing::options_of(name, changes);
  const std::unique_ptr<Evaluator> evaluator(factory({options}));
  constexpr std::size_t kBatch = 5;
  const auto visit_all = [&](const std::function<void(std::span<const Sample>, int64_t)>& visit) {
    const std::span<const Sample> all(world.dataset.samples);
    for (std::size_t first = 0; first < all.size(); first += kBatch)
      visit(all.subspan(first, std::min(kBatch, all.size() - first)), static_cast<int64_t>(first));
  };
  return ask(*evaluator, EvaluationContext{options, world.dataset, world.encoder, visit_all});
}

Scores run(const std::string& name, Factory factory, World& world, const Changes& changes) {
  return with_evaluator(name, factory, world, changes,
                        [](Evaluator& evaluator, const auto& context) { return evaluator.evaluate(context); });
}

Illustrations illustrate(const std::string& name, Factory factory, World& world) {
  return with_evaluator(name, factory, world, {},
                        [](Evaluator& evaluator, const auto& context) { return evaluator.illustrate(context); });
}

Scores classify(World& world, const Changes& changes = {}) {
  return run("zero_shot_classification", silc_evaluator_zero_shot_classification, world, changes);
}
Scores retrieve(World& world, const Changes& changes = {}) {
  return run("retrieval", silc_evaluator_retrieval, world, changes);
}
Scores segment(World& world, const Changes& changes = {}) {
  return run("zero_shot_segmentation", silc_evaluator_zero_shot_segmentation, world, changes);
}

Scores caption(World& world, const Changes& changes = {}) {
  return run("captioning", silc_evaluator_captioning, world, changes);
}

template <class F>
std::string fault(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool has(const Scores& scores, const std::string& name) {
  return std::any_of(scores.metrics.begin(), scores.metrics.end(), [&](const Metric& m) { return m.name == name; });
}

Metric metric(const Scores& scores, const std::string& name) {
  for (const Metric& metric : scores.metrics)
    if (metric.name == name) return metric;
  throw std::logic_error("no metric " + name);
}

double value(const Scores& scores, const std::string& name) { return metric(scores, name).value; }

// The scene that tests/reference/evaluators.py made up.
World reference_world(const testing::Fixture& fixture) {
  World world;
  const at::Tensor masks = fixture.at("masks");
  const int64_t height = masks.size(1);
  const int64_t width = masks.size(2);
  world.encoder.images = fixture.at("images");
  world.encoder.patches = fixture.at("patches");
  world.encoder.grid_height = 3;
  world.encoder.grid_width = 4;
  const at::Tensor prompts = fixture.at("prompts");  // [C, 2, E]
  for (int64_t c = 0; c < prompts.size(0); ++c) {
    const std::string name = "class" + std::to_string(c);
    world.dataset.names.push_back(name);
    world.encoder.texts["the " + name] = prompts[c][0];
    world.encoder.texts["one " + name] = prompts[c][1];
  }
  const int64_t captions = fixture.at("texts").size(0) / masks.size(0);
  for (int64_t i = 0; i < masks.size(0); ++i) {
    Sample sample;
    sample.image = {width, height, mark(i)};
    sample.label = fixture.at("labels")[i].item<int64_t>();
    const at::Tensor bytes = masks[i].to(at::kByte).contiguous();
    sample.mask.assign(bytes.data_ptr<uint8_t>(), bytes.data_ptr<uint8_t>() + bytes.numel());
    for (int64_t t = i * captions; t < (i + 1) * captions; ++t) {
      sample.captions.push_back("caption " + std::to_string(t));
      world.encoder.texts[sample.captions.back()] = fixture.at("texts")[t];
    }
    world.dataset.samples.push_back(std::move(sample));
  }
  return world;
}

class Evaluators : public ::testing::Test {
 protected:
  [[nodiscard]] double expected(const std::string& key, int64_t i) const { return fixture.at(key)[i].item<double>(); }

  testing::Fixture fixture = testing::load_fixture("evaluators");
  World world = reference_world(fixture);
};

// ---- against the reference

TEST_F(Evaluators, ClassifyLikeTheReference) {
  const Scores scores = classify(world);
  EXPECT_NEAR(value(scores, "acc1"), expected("classification", 0), kRounding);
  EXPECT_NEAR(value(scores, "acc5"), expected("classification", 1), kRounding);
  EXPECT_NEAR(value(scores, "mean_per_class_recall"), expected("classification", 2), kRounding);
  EXPECT_EQ(metric(scores, "acc1").n, 37);
}

TEST_F(Evaluators, RetrieveLikeTheReference) {
  const Scores scores = retrieve(world);
  const std::vector<std::string> names = {"image_retrieval_recall@1",  "image_retrieval_recall@5",
                                          "image_retrieval_recall@10", "text_retrieval_recall@1",
                                          "text_retrieval_recall@5",   "text_retrieval_recall@10"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_NEAR(value(scores, names[i]), expected("recalls", static_cast<int64_t>(i)), kRounding) << names[i];
    EXPECT_EQ(metric(scores, names[i]).n, i < 3 ? 111 : 37);
  }
}

TEST_F(Evaluators, SegmentLikeTheReference) {
  const Scores scores = segment(world);
  EXPECT_NEAR(value(scores, "miou"), expected("segmentation", 0), kRounding);
  EXPECT_NEAR(value(scores, "pixel_accuracy"), expected("segmentation", 1), kRounding);
  EXPECT_EQ(metric(scores, "miou").n, 37);
  EXPECT_EQ(metric(scores, "pixel_accuracy").n, fixture.at("masks").ne(kIgnoreLabel).sum().item<int64_t>());
}

// ---- scores of single samples

TEST_F(Evaluators, GiveSampleScoresWhoseMeanIsTheMetric) {
  for (const Scores& scores : {classify(world), retrieve(world)}) {
    for (const Metric& metric : scores.metrics) {
      if (metric.name == "mean_per_class_recall") continue;
      const at::Tensor samples = scores.samples.at(metric.name);
      EXPECT_EQ(samples.size(0), metric.n);
      EXPECT_NEAR(samples.mean().item<double>(), metric.value, kRounding) << metric.name;
    }
  }
}

TEST_F(Evaluators, GiveCountsOfEachPictureThatSumToTheMiou) {
  const Scores scores = segment(world);
  const at::Tensor hits = scores.samples.at("intersection").sum(0).to(at::kDouble);  // [C]
  const at::Tensor joins = scores.samples.at("union").sum(0).to(at::kDouble);
  const at::Tensor present = joins.gt(0);
  const double miou = (hits.masked_select(present) / joins.masked_select(present)).mean().item<double>();
  EXPECT_NEAR(miou, value(scores, "miou"), kRounding);
  EXPECT_EQ(scores.samples.at("picture_miou").size(0), 37);
}

// ---- for people to look at

TEST_F(Evaluators, IllustrateTheClassesThatTheyPredict) {
  const Illustrations shown = illustrate("zero_shot_classification", silc_evaluator_zero_shot_classification, world);
  const Scores scores = classify(world);
  EXPECT_TRUE(shown.class_scores.argmax(1).equal(scores.samples.at("prediction")));
  const at::Tensor norms = shown.class_texts.norm(2, 1);
  EXPECT_LT((norms - 1).abs().max().item<double>(), kRounding);
  EXPECT_LT((at::matmul(fixture.at("images"), shown.class_texts.t()) - shown.class_scores).abs().max().item<double>(),
            kRounding);
}

TEST_F(Evaluators, IllustrateTheMasksThatTheyScore) {
  const Illustrations shown = illustrate("zero_shot_segmentation", silc_evaluator_zero_shot_segmentation, world);
  const at::Tensor intersection = segment(world).samples.at("intersection");  // [n, C]
  ASSERT_EQ(shown.masks.size(), world.dataset.samples.size());
  for (std::size_t i = 0; i < shown.masks.size(); ++i) {
    std::vector<int64_t> hits(static_cast<std::size_t>(intersection.size(1)));
    const std::vector<uint8_t>& truth = world.dataset.samples[i].mask;
    ASSERT_EQ(shown.masks[i].size(), truth.size());
    for (std::size_t p = 0; p < truth.size(); ++p)
      if (truth[p] == shown.masks[i][p]) ++hits[truth[p]];
    EXPECT_TRUE(intersection[static_cast<int64_t>(i)].equal(at::tensor(hits, at::kLong)));
  }
}

TEST_F(Evaluators, CountTheClassesThatPixelsAreTakenFor) {
  const Illustrations shown = illustrate("zero_shot_segmentation", silc_evaluator_zero_shot_segmentation, world);
  at::Tensor expected = at::zeros_like(segment(world).samples.at("confusion"));  // [C, C]
  auto counts = expected.accessor<int64_t, 2>();
  for (std::size_t i = 0; i < shown.masks.size(); ++i) {
    const std::vector<uint8_t>& truth = world.dataset.samples[i].mask;
    for (std::size_t p = 0; p < truth.size(); ++p)
      if (truth[p] != kIgnoreLabel) ++counts[truth[p]][shown.masks[i][p]];
  }
  EXPECT_TRUE(segment(world).samples.at("confusion").equal(expected));
  EXPECT_GT(expected.sum().item<int64_t>(), expected.diagonal().sum().item<int64_t>());
}

TEST_F(Evaluators, IllustratePicturesWithoutLabelsAndMasks) {
  for (Sample& sample : world.dataset.samples) {
    sample.label = kNoLabel;
    sample.mask.clear();
  }
  EXPECT_EQ(illustrate("zero_shot_classification", silc_evaluator_zero_shot_classification, world).class_scores.size(0),
            37);
  EXPECT_EQ(illustrate("zero_shot_segmentation", silc_evaluator_zero_shot_segmentation, world).masks.size(), 37U);
  EXPECT_FALSE(illustrate("retrieval", silc_evaluator_retrieval, world).class_texts.defined());
}

TEST_F(Evaluators, KeepWhatASearchFindsFirst) {
  const Scores scores = retrieve(world);
  const at::Tensor cosines = at::matmul(fixture.at("texts").to(at::kDouble), fixture.at("images").to(at::kDouble).t());
  const auto first = [](const at::Tensor& table) {
    return at::argsort(table, /*stable=*/true, 1, /*descending=*/true).slice(1, 0, 5);
  };
  EXPECT_TRUE(scores.samples.at("nearest_pictures").equal(first(cosines)));
  EXPECT_TRUE(scores.samples.at("nearest_captions").equal(first(cosines.t().contiguous())));
  const at::Tensor hit = scores.samples.at("nearest_pictures").eq(scores.samples.at("picture").unsqueeze(1)).any(1);
  EXPECT_TRUE(hit.to(at::kFloat).equal(scores.samples.at("image_retrieval_recall@5")));
}

// ---- properties

TEST_F(Evaluators, GiveTheSameWhateverTheOrderOfSamples) {
  const std::vector<Scores> before = {classify(world), retrieve(world), segment(world)};
  std::shuffle(world.dataset.samples.begin(), world.dataset.samples.end(), std::mt19937(3));
  const std::vector<Scores> after = {classify(world), retrieve(world), segment(world)};
  for (std::size_t e = 0; e < before.size(); ++e)
    for (const Metric& metric : before[e].metrics)
      EXPECT_NEAR(value(after[e], metric.name), metric.value, kRounding) << metric.name;
}

TEST_F(Evaluators, GiveOneToAPerfectEncoder) {
  const auto classes = static_cast<int64_t>(world.dataset.names.size());
  const at::Tensor axes = at::eye(classes);
  for (int64_t c = 0; c < classes; ++c)
    for (const char* start : {"the ", "one "})
      world.encoder.texts[start + world.dataset.names[static_cast<std::size_t>(c)]] = axes[c];
  world.encoder.images = axes.index_select(0, fixture.at("labels"));
  EXPECT_EQ(value(classify(world), "acc1"), 1);
  EXPECT_EQ(value(classify(world), "mean_per_class_recall"), 1);

  // One patch a pixel, each on the axis of its class.
  at::Tensor truth = fixture.at("masks").clone();
  truth.masked_fill_(truth.eq(kIgnoreLabel), 0);
  world.encoder.grid_height = truth.size(1);
  world.encoder.grid_width = truth.size(2);
  world.encoder.patches = axes.index_select(0, truth.flatten()).view({truth.size(0), -1, classes});
  EXPECT_EQ(value(segment(world), "miou"), 1);
  EXPECT_EQ(value(segment(world), "pixel_accuracy"), 1);

  const int64_t images = truth.size(0);
  world.encoder.images = at::eye(images);
  for (int64_t i = 0; i < images; ++i)
    for (const std::string& caption : world.dataset.samples[static_cast<std::size_t>(i)].captions)
      world.encoder.texts[caption] = at::eye(images)[i];
  EXPECT_EQ(value(retrieve(world), "image_retrieval_recall@1"), 1);
  EXPECT_EQ(value(retrieve(world), "text_retrieval_recall@1"), 1);
}

TEST_F(Evaluators, UseTheGivenTemplatesInsteadOfTheDatasets) {
  for (const std::string& name : world.dataset.names)
    world.encoder.texts["my " + name] = world.encoder.texts.at("the " + name);
  const Scores mine = classify(world, {{"templates", Texts{"my {}"}}});
  EXPECT_EQ(value(mine, "acc1"), value(classify(world, {{"templates", Texts{"the {}"}}}), "acc1"));
}

TEST_F(Evaluators, ReportClassesWhereAsked) {
  const Scores scores = segment(world, {{"per_class", true}});
  double sum = 0;
  int count = 0;
  for (const Metric& metric : scores.metrics) {
    if (!metric.name.starts_with("iou/")) continue;
    sum += metric.value;
    ++count;
  }
  EXPECT_NEAR(sum / count, value(scores, "miou"), kRounding);
}

// ---- ties, absent classes, small numbers

// Two classes and pictures of which every embedding is the same.
World tied_world(int64_t images) {
  World world;
  world.encoder.images = at::ones({images, 1});
  world.dataset.names = {"x", "y"};
  for (const char* prompt : {"the x", "one x", "the y", "one y"}) world.encoder.texts[prompt] = at::ones({1});
  for (int64_t i = 0; i < images; ++i) {
    Sample sample;
    sample.image = {1, 1, mark(i)};
    sample.label = i % 2;
    sample.captions = {"same"};
    world.dataset.samples.push_back(sample);
  }
  world.encoder.texts["same"] = at::ones({1});
  return world;
}

TEST(ZeroShotClassification, GivesEqualScoresToTheLowerClass) {
  World world = tied_world(4);
  EXPECT_EQ(value(classify(world), "acc1"), 0.5);
  EXPECT_TRUE(classify(world).samples.at("prediction").eq(0).all().item<bool>());
}

TEST(ZeroShotClassification, TakesAnEncodersOwnSimilaritiesInPlaceOfCosines) {
  World world = tied_world(4);
  world.encoder.own_similarities = at::eye(2).repeat({2, 1});  // each picture's label
  EXPECT_EQ(value(classify(world), "acc1"), 1);
}

TEST(ZeroShotClassification, LeavesAcc5OutWhereAllClassesWouldCount) {
  World world = tied_world(4);
  EXPECT_FALSE(has(classify(world), "acc5"));
}

TEST(Retrieval, FindsNoMoreThanThereAre) {
  World world;
  world.encoder.images = at::eye(2);
  for (int64_t i = 0; i < 2; ++i) {
    Sample sample;
    sample.image = {1, 1, mark(i)};
    sample.captions = {"caption " + std::to_string(i)};
    world.encoder.texts[sample.captions[0]] = at::eye(2)[i];
    world.dataset.samples.push_back(sample);
  }
  EXPECT_TRUE(retrieve(world).samples.at("nearest_captions").equal(at::tensor({0, 1, 1, 0}, at::kLong).view({2, 2})));
}

TEST(Retrieval, RanksEqualScoresByIndex) {
  World world = tied_world(20);
  const Scores scores = retrieve(world);
  for (const char* direction : {"image", "text"}) {
    EXPECT_DOUBLE_EQ(value(scores, std::string(direction) + "_retrieval_recall@1"), 1.0 / 20);
    EXPECT_DOUBLE_EQ(value(scores, std::string(direction) + "_retrieval_recall@5"), 5.0 / 20);
    EXPECT_DOUBLE_EQ(value(scores, std::string(direction) + "_retrieval_recall@10"), 10.0 / 20);
  }
}

TEST(Retrieval, CountsTheSameCaptionUnderAnotherPictureAsAMiss) {
  World world = tied_world(2);
  world.encoder.images = at::eye(2);
  world.encoder.texts["same"] = at::eye(2)[0];
  const Scores scores = retrieve(world);
  EXPECT_EQ(value(scores, "image_retrieval_recall@1"), 0.5);
  EXPECT_EQ(value(scores, "text_retrieval_recall@1"), 0.5);
}

// Each caption has the embedding of the picture `shift` further on. So many that scores come in several tiles.
World many_pictures(int64_t shift) {
  constexpr int64_t kImages = 3000;
  World world;
  world.encoder.images = at::randn({kImages, 16}, at::make_generator<at::CPUGeneratorImpl>(7));
  world.encoder.images /= world.encoder.images.norm(2, 1, true);
  for (int64_t i = 0; i < kImages; ++i) {
    Sample sample;
    sample.image = {1, 1, mark(i)};
    sample.captions = {"caption " + std::to_string(i)};
    world.encoder.texts[sample.captions.front()] = world.encoder.images[(i + shift) % kImages];
    world.dataset.samples.push_back(sample);
  }
  return world;
}

TEST(Retrieval, FindsEveryPictureOfManyByItsOwnEmbedding) {
  World world = many_pictures(0);
  const Scores scores = retrieve(world);
  EXPECT_EQ(value(scores, "image_retrieval_recall@1"), 1);
  EXPECT_EQ(value(scores, "text_retrieval_recall@1"), 1);
}

TEST(Retrieval, IsNearChanceWherePicturesAndCaptionsHaveNothingInCommon) {
  World world = many_pictures(1);
  const Scores scores = retrieve(world);
  for (const char* direction : {"image", "text"}) {
    EXPECT_EQ(value(scores, std::string(direction) + "_retrieval_recall@1"), 0);
    // Chance finds 10 of 3000, with a standard deviation of 3.2; five of them.
    EXPECT_LE(value(scores, std::string(direction) + "_retrieval_recall@10"), 26.0 / 3000);
  }
}

TEST(Retrieval, UsesTheFirstCaptionsOnly) {
  World world = tied_world(3);
  for (Sample& sample : world.dataset.samples) sample.captions = {"same", "same", "never embedded"};
  EXPECT_EQ(metric(retrieve(world, {{"captions", int64_t{2}}}), "image_retrieval_recall@1").n, 6);
}

// One picture of four pixels in a row, a patch each; classes x, y, z on the axes.
World row_world(const std::vector<uint8_t>& mask, const std::vector<int64_t>& predicted) {
  World world;
  world.dataset.names = {"x", "y", "z"};
  for (int64_t c = 0; c < 3; ++c)
    for (const char* start : {"the ", "one "})
      world.encoder.texts[start + world.dataset.names[static_cast<std::size_t>(c)]] = at::eye(3)[c];
  world.encoder.patches = at::eye(3).index_select(0, at::tensor(predicted, at::kLong)).unsqueeze(0);
  world.encoder.grid_height = 1;
  world.encoder.grid_width = static_cast<int64_t>(predicted.size());
  Sample sample;
  sample.image = {static_cast<int64_t>(mask.size()), 1, mark(0)};
  sample.mask = mask;
  world.dataset.samples = {sample};
  return world;
}

TEST(ZeroShotSegmentation, LeavesClassesOutThatAreNowhere) {
  World world = row_world({0, 0, 1, 1}, {0, 0, 0, 1});
  EXPECT_NEAR(value(segment(world), "miou"), (2.0 / 3 + 1.0 / 2) / 2, kRounding);
  EXPECT_EQ(value(segment(world), "pixel_accuracy"), 0.75);
}

TEST(ZeroShotSegmentation, CountsAClassThatIsOnlyPredicted) {
  World world = row_world({0, 0, 0, 0}, {0, 0, 0, 2});
  EXPECT_NEAR(value(segment(world), "miou"), (3.0 / 4 + 0) / 2, kRounding);
}

TEST(ZeroShotSegmentation, IgnoresPixelsWithoutALabel) {
  World world = row_world({0, 255, 255, 1}, {0, 1, 2, 1});
  EXPECT_EQ(value(segment(world), "miou"), 1);
  EXPECT_EQ(metric(segment(world), "pixel_accuracy").n, 2);
}

// ---- refusals

TEST(ZeroShotClassification, RefusesAPictureWithoutLabel) {
  World world = tied_world(4);
  world.dataset.samples[2].label = kNoLabel;
  EXPECT_THAT(fault([&] { classify(world); }), HasSubstr("picture 2 of the dataset has none"));
}

TEST(ZeroShotClassification, RefusesADatasetWithoutClasses) {
  World world = tied_world(4);
  world.dataset.names.clear();
  EXPECT_THAT(fault([&] { classify(world); }), HasSubstr("needs class names"));
}

TEST(ZeroShotClassification, RefusesATemplateWithoutPlaceForTheName) {
  World world = tied_world(4);
  EXPECT_THAT(fault([&] { classify(world, {{"templates", Texts{"a photo"}}}); }), HasSubstr("\"a photo\" lacks"));
}

TEST(ZeroShotSegmentation, RefusesAPictureWithoutMask) {
  World world = row_world({0, 0}, {0, 0});
  world.dataset.samples[0].mask.clear();
  EXPECT_THAT(fault([&] { segment(world); }), HasSubstr("picture 0 of the dataset has none"));
}

TEST(ZeroShotSegmentation, RefusesAMaskWithUnknownClasses) {
  World world = row_world({0, 3}, {0, 0});
  EXPECT_THAT(fault([&] { segment(world); }), HasSubstr("neither below 3"));
}

TEST(Retrieval, RefusesAPictureWithoutCaption) {
  World world = tied_world(4);
  world.dataset.samples[1].captions.clear();
  EXPECT_THAT(fault([&] { retrieve(world); }), HasSubstr("picture 1 of the dataset has no caption"));
}

// A broken model must not look like a perfect one: no score is greater than NaN.
TEST(Evaluation, RefusesEmbeddingsThatAreNotFinite) {
  World world = tied_world(4);
  world.encoder.images.fill_(NAN);
  EXPECT_THAT(fault([&] { classify(world); }), HasSubstr("not finite"));
  EXPECT_THAT(fault([&] { retrieve(world); }), HasSubstr("not finite"));
  World row = row_world({0, 0}, {0, 0});
  row.encoder.patches.fill_(INFINITY);
  EXPECT_THAT(fault([&] { segment(row); }), HasSubstr("not finite"));
}

// Rows of token ids, up to the padding.
std::vector<evaluators::Words> words_of(const at::Tensor& rows) {
  std::vector<evaluators::Words> all;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    evaluators::Words& words = all.emplace_back();
    for (int64_t t = 0; t < rows.size(1) && rows[i][t].item<int64_t>() >= 0; ++t)
      words.push_back(rows[i][t].item<int64_t>());
  }
  return all;
}

// Reference: the COCO caption evaluation (tests/reference/captioning.py), kept in fp32.
TEST(Captioning, CiderIsThatOfTheCocoEvaluation) {
  const testing::Fixture fixture = testing::load_fixture("captioning");
  std::vector<std::vector<evaluators::Words>> references;
  for (const at::Tensor& own : fixture.at("references").unbind(0)) references.push_back(words_of(own));
  const std::vector<double> scores = evaluators::cider_d(words_of(fixture.at("candidates")), references);
  EXPECT_TRUE(testing::near(at::tensor(scores).to(at::kFloat), fixture.at("cider"), kRounding));
}

// Two pictures with the captions "ab" and "ac", and "d".
World two_captioned_pictures() {
  World world;
  for (const auto& captions : {std::vector<std::string>{"ab", "ac"}, std::vector<std::string>{"d"}}) {
    Sample sample;
    sample.image = {1, 1, mark(world.dataset.size())};
    sample.captions = captions;
    world.dataset.samples.push_back(sample);
  }
  return world;
}

double value_of(const Scores& scores, const std::string& name) {
  const auto found = std::ranges::find(scores.metrics, name, &Metric::name);
  return found == scores.metrics.end() ? -1 : found->value;
}

TEST(Captioning, CountsCaptionsThatAreOneOfThePicturesOwn) {
  World world = two_captioned_pictures();
  world.encoder.written = {{'a', 'c'}, {'a'}};
  const Scores scores = caption(world);
  EXPECT_EQ(value_of(scores, "exact"), 0.5);
  EXPECT_TRUE(at::equal(scores.samples.at("exact"), at::tensor({1.0F, 0.0F})));
}

TEST(Captioning, ReadsNoMoreReferencesThanItIsTold) {
  World world = two_captioned_pictures();
  world.encoder.written = {{'a', 'c'}, {'a'}};
  EXPECT_EQ(value_of(caption(world, {{"captions", int64_t{1}}}), "exact"), 0);
}

TEST(Captioning, TheLikelihoodIsAPicturesMeanOverItsCaptions) {
  World world = two_captioned_pictures();
  world.encoder.written = {{'a'}, {'a'}};
  // −2 for both captions of the first picture, −(1 + 1) for that of the second.
  EXPECT_NEAR(value_of(caption(world), "likelihood"), std::exp(-2.0), kRounding);
}

TEST(Captioning, NamesThePictureWithoutACaption) {
  World world = two_captioned_pictures();
  world.encoder.written = {{'a'}, {'a'}};
  world.dataset.samples[1].captions.clear();
  EXPECT_THAT(fault([&] { caption(world); }), HasSubstr("picture 1 of the dataset has no caption"));
}

}  // namespace
}  // namespace silc
