// Image-text objectives beside CLIP, SigLIP and SILC.
#include <torch/optim/adamw.h>

#include "nn/caption_decoder.h"
#include "nn/grid_cells.h"
#include "nn/patch_alignment.h"
#include "tests/plugins/objectives/tiny_training.h"

namespace silc {
namespace {

using testing::Changes;
using testing::Fixture;
using testing::load_fixture;
using testing::make_model;
using testing::ModelShape;
using testing::near;
using testing::shapes_batch;
using testing::total;

constexpr int64_t kBatch = 4;
constexpr double kRate = 0.05;  // of the gradient descent in tests/reference/nn_image_text.py
constexpr uint64_t kSeed = 1;

// Small heads, unless `changes` says otherwise.
std::shared_ptr<Objective> make(const std::string& name, const std::shared_ptr<DualEncoder>& model,
                                const Changes& changes = {}, const ModelShape& shape = {}) {
  static const std::map<std::string, Changes> kSmall = {
      {"slip", {{"hidden", int64_t{10}}, {"out", int64_t{5}}}},
      {"xclip", {{"hidden", int64_t{10}}, {"prototypes", int64_t{7}}}},
      {"cap",
       {{"decoder_width", int64_t{12}},
        {"decoder_layers", int64_t{1}},
        {"decoder_heads", int64_t{2}},
        {"mlp_ratio", 2.0}}}};
  Changes all = kSmall.contains(name) ? kSmall.at(name) : Changes{};
  for (const auto& [key, value] : changes) all[key] = value;
  return testing::make_objective(name, model, all, shape);
}

Progress progress_of(int64_t step) {
  return {.step = step, .fraction = static_cast<double>(step) / 100, .seed = kSeed};
}

// Parameters of model and objective under the names of tests/reference, each once.
std::map<std::string, at::Tensor> parameters_of(const DualEncoder& model, const Objective& objective) {
  std::map<std::string, at::Tensor> all;
  for (const auto& item : objective.named_parameters())
    if (!item.key().starts_with("teacher.")) all[item.key()] = item.value();
  for (const auto& item : model.named_parameters())
    if (item.key().find("patch_head") == std::string::npos) all["model." + item.key()] = item.value();
  return all;
}

Batch batch_of(const Fixture& fixture, const std::string& prefix) {
  Batch batch = {.size = kBatch, .views = {}, .tokens = fixture.at(prefix + "tokens"), .labels = {}};
  for (const auto* view : {"image", "augmented"})
    if (fixture.contains(prefix + view)) batch.views[view] = fixture.at(prefix + view).to(at::kDouble);
  return batch;
}

void to_double(const torch::nn::Module& module) {
  for (auto& parameter : module.parameters()) parameter.set_data(parameter.to(at::kDouble));
  for (auto& buffer : module.buffers())
    if (buffer.is_floating_point()) buffer.set_data(buffer.to(at::kDouble));
}

struct Agreement {
  std::string fixture, objective;
  Changes changes;

  friend std::ostream& operator<<(std::ostream& stream, const Agreement& agreement) {
    return stream << agreement.fixture;
  }
};

class Reference : public ::testing::TestWithParam<Agreement> {};

// Losses, gradients and gradient descent against tests/reference/nn_image_text.py, both in double, as batch norm over
// four pictures would make much of fp32's rounding. The fixtures are rounded to fp32, 6e-8 of each value.
TEST_P(Reference, AgreesWithAnIndependentImplementation) {
  constexpr double kTolerance = 1e-5;
  const auto fixture = load_fixture(GetParam().fixture);
  const auto model = make_model();
  testing::load_parameters(*model, fixture, "start.model.");
  const auto objective = make(GetParam().objective, model, GetParam().changes);
  Fixture own;
  for (const auto& [key, value] : fixture)
    if (key.starts_with("start.") && !key.starts_with("start.model.")) own[key] = value;
  testing::load_parameters(*objective, own, "start.");
  to_double(*model);
  to_double(*objective);
  auto parameters = parameters_of(*model, *objective);

  for (int64_t step = 0; fixture.contains(std::to_string(step) + ".tokens"); ++step) {
    const auto prefix = std::to_string(step) + ".";
    const auto result = testing::step(*objective, batch_of(fixture, prefix), progress_of(step));
    for (const auto& term : result.terms)
      EXPECT_TRUE(near(term.value, fixture.at(prefix + "term." + term.name), kTolerance)) << step << ' ' << term.name;
    model->zero_grad();
    objective->zero_grad();
    total(result).backward();
    const torch::NoGradGuard no_grad;
    for (auto& [name, parameter] : parameters) {
      if (step == 0) {
        EXPECT_EQ(parameter.requires_grad(), fixture.contains("grad." + name)) << name;
        if (parameter.requires_grad()) {
          EXPECT_TRUE(near(parameter.grad(), fixture.at("grad." + name), kTolerance)) << name;
        }
      }
      if (parameter.grad().defined()) parameter.sub_(kRate * parameter.grad());
    }
    objective->after_update(progress_of(step));
  }
  const auto buffers = objective->named_buffers();
  for (const auto& [key, value] : fixture) {
    if (!key.starts_with("end.")) continue;
    const auto name = key.substr(4);
    const auto& now = parameters.contains(name) ? parameters.at(name) : buffers[name];
    EXPECT_TRUE(near(now, value, kTolerance)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Objectives, Reference,
    ::testing::Values(
        Agreement{"nn_slip", "slip", {{"weight", 0.7}}},
        Agreement{"nn_xclip", "xclip", {{"weight", 0.6}, {"temperature", 0.8}, {"mean_entropy_weight", 1.5}}},
        Agreement{"nn_pacl", "pacl", {}},
        Agreement{"nn_pacl_all",
                  "pacl",
                  {{"train", std::string("all")}, {"patch_weights", std::string("sigmoid")}, {"tile", int64_t{3}}}},
        Agreement{"nn_lit", "lit", {}},
        Agreement{"nn_lit_projection", "lit", {{"image_projection", std::string("trained")}}},
        Agreement{"nn_clipself", "clipself", {{"view_size", int64_t{12}}, {"max_cells", int64_t{5}}}},
        Agreement{"nn_cap", "cap", {{"parallel", 0.5}, {"weight", 2.0}, {"decoder_layers", int64_t{2}}}},
        Agreement{
            "nn_coca",
            "cap",
            {{"parallel", 0.5}, {"weight", 2.0}, {"contrastive", std::string("clip")}, {"contrastive_weight", 0.5}}}),
    [](const auto& info) { return info.param.fixture; });

class Learning : public ::testing::TestWithParam<std::pair<std::string, Changes>> {};

TEST_P(Learning, LowersItsLossOnShapes) {
  const ModelShape shape = {.image_size = 32,
                            .patch = 8,
                            .width = 32,
                            .embed_dim = 16,
                            .vocabulary_size = 259,
                            .context_length = 24,
                            .pooling = "mean"};
  const auto model = make_model(shape);
  const auto& [name, changes] = GetParam();
  const auto objective = make(name, model, changes, shape);
  const auto batch = shapes_batch(*objective, shape, 8);
  std::vector<at::Tensor> trained;
  for (const auto& [key, parameter] : parameters_of(*model, *objective))
    if (parameter.requires_grad()) trained.push_back(parameter);
  torch::optim::AdamW optimizer(trained, torch::optim::AdamWOptions(2e-3));
  double first = 0, last = 0;
  for (int64_t step = 0; step < 30; ++step) {
    optimizer.zero_grad();
    const auto loss = total(testing::step(*objective, batch, progress_of(0)));
    loss.backward();
    objective->after_backward(progress_of(0));
    optimizer.step();
    objective->after_update(progress_of(0));
    last = loss.item<double>();
    if (step == 0) first = last;
  }
  EXPECT_LT(last, first - 0.1 * std::abs(first));
}

INSTANTIATE_TEST_SUITE_P(
    Objectives, Learning,
    ::testing::Values(std::pair{"slip", Changes{}}, std::pair{"xclip", Changes{}},
                      std::pair{"pacl", Changes{{"train", std::string("all")}}}, std::pair{"lit", Changes{}},
                      std::pair{"clipself", Changes{{"max_split", int64_t{3}}, {"max_cells", int64_t{4}}}},
                      std::pair{"cap", Changes{{"contrastive", std::string("clip")}}}),
    [](const auto& info) { return info.param.first; });

Batch random_batch(int64_t size = kBatch) {
  at::manual_seed(1);
  return {.size = size,
          .views = {{"image", at::randn({size, 3, 8, 8})}, {"augmented", at::randn({2 * size, 3, 8, 8})}},
          .tokens = at::cat({at::randint(1, 19, {size, 5}, at::kLong), at::full({size, 1}, 19, at::kLong)}, 1),
          .labels = {}};
}

TEST(Slip, AsksForOneMildViewAndTwoColouredOnes) {
  const auto views = make("slip", make_model())->views();
  ASSERT_EQ(views.size(), 2);
  EXPECT_EQ(views[0].area, (Pair{0.5, 1.0}));
  EXPECT_EQ(views[0].colours, Photometric{});
  EXPECT_EQ(views[1].count, 2);
  EXPECT_EQ(views[1].colours.jitter, 0.8);
  EXPECT_EQ(views[1].colours.saturation, 0.4);
  const auto plain = make("slip", make_model(), {{"colours", false}})->views();
  EXPECT_EQ(plain[1].colours, Photometric{});
}

TEST(Slip, SaysThatBatchNormNeedsTwoPictures) {
  const auto slip = make("slip", make_model());
  EXPECT_THROW(testing::step(*slip, random_batch(1), {}), Error);
}

TEST(Lit, LeavesNoGraphOfTheImageTower) {
  const auto model = make_model();
  const auto lit = make("lit", model);
  EXPECT_FALSE(model->image->forward(random_batch().views.at("image")).pooled.requires_grad());
  total(testing::step(*lit, random_batch(), {})).backward();
  for (const auto& parameter : model->image->parameters()) EXPECT_FALSE(parameter.grad().defined());
}

TEST(Pacl, ItsEmbedderIsPartOfTheImageTower) {
  const auto model = make_model();
  const auto features = model->image->forward(random_batch().views.at("image"));
  const auto before = model->image->embed_patches(features);
  const auto pacl = make("pacl", model);
  EXPECT_TRUE(model->image->named_parameters().contains("patch_head.fc1.weight"));
  const auto patches = model->image->embed_patches(features);  // [B, N, E]
  EXPECT_FALSE(at::allclose(patches, before));
  EXPECT_TRUE(near(patches.norm(2, -1), at::ones({kBatch, 16}), 1e-5));
  const auto mean = patches.mean(1);
  EXPECT_TRUE(near(model->image->embed_image(features), (mean / mean.norm(2, -1, true)).detach(), 1e-5));
}

TEST(PatchEmbedder, TilesOfTextsChangeNeitherSimilaritiesNorGradients) {
  at::manual_seed(3);
  const auto unit = [](at::IntArrayRef shape) {
    const auto x = at::randn(shape, at::kDouble);
    return (x / x.norm(2, -1, true)).requires_grad_();
  };
  const auto patches = unit({3, 5, 4}), texts = unit({7, 4});
  const auto seed = at::randn({3, 7}, at::kDouble);
  const auto compute = [&](int64_t tile) {
    PatchEmbedder embedder({.width = 4, .embed_dim = 4, .tile = tile});
    const auto similarity = embedder.similarity(patches, texts);
    auto results = torch::autograd::grad({(similarity * seed).sum()}, {patches, texts});
    results.push_back(similarity.detach());
    return results;
  };
  const auto whole = compute(7);
  for (const int64_t tile : {1, 2, 4, 100}) {
    const auto tiled = compute(tile);
    for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(near(tiled[i], whole[i], 1e-12)) << tile << ' ' << i;
  }
}

TEST(ClipSelf, ItsTeacherIsTheModelAsItWasAtTheStart) {
  const auto model = make_model();
  const auto clipself = make("clipself", model);
  const auto start = model->image->named_parameters()["backbone.conv1.weight"].detach().clone();
  total(testing::step(*clipself, random_batch(), progress_of(0))).backward();
  {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : model->image->parameters())
      if (parameter.grad().defined()) parameter.sub_(parameter.grad());
  }
  clipself->after_update(progress_of(0));
  EXPECT_FALSE(at::equal(model->image->named_parameters()["backbone.conv1.weight"], start));
  EXPECT_TRUE(at::equal(clipself->teacher()->named_parameters()["backbone.conv1.weight"], start));
  for (const auto& parameter : clipself->teacher()->parameters()) EXPECT_FALSE(parameter.grad().defined());
}

TEST(ClipSelf, RefusesMoreCellsThanPixels) {
  EXPECT_THROW(make("clipself", make_model(), {{"max_split", int64_t{9}}}), Error);
}

TEST(GridCells, AreDistinctCellsOfOneGridThatIsNeitherTooWideNorTooHigh) {
  std::map<std::pair<int64_t, int64_t>, int> seen;
  for (uint64_t index = 0; index < 2000; ++index) {
    const auto cells = draw_cells(Random(7, 5, index), 6, 36);
    const auto rows = cells[0].down.parts, columns = cells[0].across.parts;
    ASSERT_EQ(static_cast<int64_t>(cells.size()), rows * columns);
    std::map<std::pair<int64_t, int64_t>, int> corners;
    for (const auto& cell : cells) {
      EXPECT_EQ(cell.down.parts, rows);
      EXPECT_EQ(cell.across.parts, columns);
      ++corners[{cell.down.index, cell.across.index}];
    }
    EXPECT_EQ(corners.size(), cells.size());
    ++seen[{rows, columns}];
  }
  // 1×1, 1×2, 2×1, …, 6×6 with neither side more than twice the other.
  EXPECT_EQ(seen.size(), 24);
  for (const auto& [grid, count] : seen) {
    EXPECT_LE(grid.first, 2 * grid.second);
    EXPECT_LE(grid.second, 2 * grid.first);
    EXPECT_GT(count, 40);  // 83 expected, standard deviation 9
  }
}

TEST(GridCells, AreCutToTheNumberAskedFor) { EXPECT_EQ(draw_cells(Random(7, 5, 12), 6, 1).size(), 1); }

TEST(GridCells, AreFoundAgainByTheirNumbers) {
  const auto cells = draw_cells(Random(7, 5, 3), 6, 36);
  const auto again = numbered_cells(cell_numbers(cells));
  ASSERT_EQ(again.size(), cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    EXPECT_EQ(again[i].down.index, cells[i].down.index);
    EXPECT_EQ(again[i].down.parts, cells[i].down.parts);
    EXPECT_EQ(again[i].across.index, cells[i].across.index);
    EXPECT_EQ(again[i].across.parts, cells[i].across.parts);
  }
}

TEST(CellPooling, OfTheWholeGridIsTheMeanOfItsTokens) {
  CellPooling pooling(2);
  EXPECT_TRUE(near(pooling.matrix(cell_numbers({GridCell{}}), 3, 5), at::full({1, 15}, 1.0 / 15), 1e-6));
}

CaptionDecoder small_decoder(double parallel) {
  at::manual_seed(2);
  return CaptionDecoder({.vocabulary_size = 20,
                         .context_length = 6,
                         .padding_id = 0,
                         .image_width = 8,
                         .width = 8,
                         .layers = 2,
                         .heads = 2,
                         .parallel = parallel});
}

// The head starts from zero, which hides the inputs.
void make_visible(CaptionDecoder& decoder) {
  const torch::NoGradGuard no_grad;
  decoder.named_parameters()["head.weight"].normal_(0, 1);
}

TEST(CaptionDecoder, StartsFromTheUniformDistribution) {
  auto decoder = small_decoder(0.5);
  auto batch = random_batch();
  decoder.prepare(batch, Random(1, 5, 0));
  const auto loss = decoder.forward(at::randn({4, 3, 8}), batch);
  EXPECT_NEAR(loss.item<double>(), std::log(20), 1e-5);
}

TEST(CaptionDecoder, PredictsATokenFromThoseBeforeItAlone) {
  auto decoder = small_decoder(0);
  make_visible(decoder);
  const auto patches = at::randn({4, 3, 8});
  auto tokens = random_batch().tokens;
  const auto parallel = at::zeros({4}, at::kBool);
  const auto before = decoder.logits(patches, tokens, parallel);
  tokens.select(1, 3).fill_(7);
  const auto after = decoder.logits(patches, tokens, parallel);  // [B, 5, V], predictions of tokens 1 to 5
  EXPECT_TRUE(at::equal(before.slice(1, 0, 3), after.slice(1, 0, 3)));
  EXPECT_FALSE(at::allclose(before.slice(1, 3), after.slice(1, 3)));
}

TEST(CaptionDecoder, InParallelSeesThePictureAndNoToken) {
  auto decoder = small_decoder(1);
  make_visible(decoder);
  const auto patches = at::randn({4, 3, 8});
  const auto parallel = at::ones({4}, at::kBool);
  const auto tokens = random_batch().tokens;
  const auto logits = decoder.logits(patches, tokens, parallel);
  EXPECT_TRUE(at::equal(logits, decoder.logits(patches, at::full_like(tokens, 3), parallel)));
  EXPECT_FALSE(at::allclose(logits, decoder.logits(2 * patches, tokens, parallel)));
}

TEST(CaptionDecoder, WritesTheMostProbableTokenAgainAndAgain) {
  const torch::NoGradGuard no_grad;
  auto decoder = small_decoder(0.5);
  make_visible(decoder);
  const auto patches = at::randn({4, 3, 8});
  const auto written = decoder.write(patches, /*start=*/1, /*end=*/-1);  // an end that is never predicted
  ASSERT_EQ(written.sizes(), at::IntArrayRef({4, 6}));
  EXPECT_TRUE(written.select(1, 0).eq(1).all().item<bool>());
  const auto scores = decoder.logits(patches, written, at::zeros({4}, at::kBool));
  EXPECT_TRUE(at::equal(scores.argmax(2), written.slice(1, 1)));
}

TEST(CaptionDecoder, WritesPaddingBehindTheEnd) {
  const torch::NoGradGuard no_grad;
  auto decoder = small_decoder(0);
  make_visible(decoder);
  const auto patches = at::randn({4, 3, 8});
  const int64_t end = decoder.write(patches, 1, -1)[0][2].item<int64_t>();
  const auto written = decoder.write(patches, 1, end);
  const auto after_end = written.slice(1, 1, -1).eq(end).cumsum(1).gt(0);
  EXPECT_TRUE(after_end[0].any().item<bool>());
  EXPECT_TRUE(written.slice(1, 2).eq(0).logical_or(after_end.logical_not()).all().item<bool>());
}

TEST(CaptionDecoder, LogLikelihoodsAreItsLossTokenByToken) {
  const torch::NoGradGuard no_grad;
  auto decoder = small_decoder(0.5);
  make_visible(decoder);
  const auto patches = at::randn({4, 3, 8});
  auto tokens = random_batch().tokens.clone();
  tokens[0].slice(0, 4).fill_(0);  // padding
  const auto one_by_one = at::zeros({4}, at::kBool);
  const auto each = decoder.log_likelihoods(patches, tokens);  // [4, 5]
  const auto real = tokens.slice(1, 1).ne(0);
  EXPECT_TRUE(each.masked_select(real.logical_not()).eq(0).all().item<bool>());
  const auto loss = -(each.sum(1) / real.sum(1)).mean();
  EXPECT_TRUE(near(loss, decoder.loss(patches, tokens, one_by_one), 1e-6));
}

TEST(CaptionDecoder, PaddingHasNoPartInTheLoss) {
  auto decoder = small_decoder(0);
  make_visible(decoder);
  const auto patches = at::randn({4, 3, 8});
  const auto parallel = at::zeros({4}, at::kBool);
  auto tokens = random_batch().tokens;
  tokens.slice(1, 4).fill_(0);
  const auto loss = decoder.loss(patches, tokens, parallel);
  EXPECT_TRUE(near(decoder.loss(patches, tokens.slice(1, 0, 4), parallel), loss.detach(), 1e-6));
}

TEST(CaptionDecoder, RefusesHeadsThatDoNotDivideItsWidth) {
  EXPECT_THROW(make("cap", make_model(), {{"decoder_heads", int64_t{5}}}), Error);
}

}  // namespace
}  // namespace silc
