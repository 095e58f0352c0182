// CLIP, SigLIP and SILC.
#include "tests/plugins/objectives/tiny_training.h"

namespace silc {
namespace {

using testing::Changes;
using testing::Fixture;
using testing::load_fixture;
using testing::make_model;
using testing::make_objective;
using testing::ModelShape;
using testing::near;
using testing::options_of;
using testing::total;

constexpr int64_t kImageSize = ModelShape{}.image_size;
constexpr int64_t kBatch = 4;

Changes small_silc() {
  return {{"prototypes", int64_t{12}},
          {"hidden", int64_t{8}},
          {"bottleneck", int64_t{5}},
          {"local_size", int64_t{4}},
          {"local_views", int64_t{3}}};
}

std::shared_ptr<Objective> make_silc(const std::shared_ptr<DualEncoder>& model, const Changes& changes = {}) {
  Changes all = small_silc();
  for (const auto& [key, value] : changes) all[key] = value;
  return make_objective("silc", model, all);
}

Batch random_batch() {
  at::manual_seed(1);
  const auto side = kImageSize;
  return {.size = kBatch,
          .views = {{"image", at::randn({kBatch, 3, side, side})},
                    {"global", at::randn({2 * kBatch, 3, side, side})},
                    {"local", at::randn({3 * kBatch, 3, 4, 4})}},
          .tokens = at::cat({at::randint(1, 19, {kBatch, 5}, at::kLong), at::full({kBatch, 1}, 19, at::kLong)}, 1),
          .labels = {}};
}

Batch without_local(Batch batch) {
  batch.views.erase("local");
  return batch;
}

std::map<std::string, at::Tensor> gradients(DualEncoder& model) {
  std::map<std::string, at::Tensor> gradients;
  for (const auto& parameter : model.named_parameters()) gradients[parameter.key()] = parameter.value().grad();
  return gradients;
}

// Plain gradient descent in place of the engine's optimizer.
void descend(torch::nn::Module& module, double rate) {
  const torch::NoGradGuard no_grad;
  for (auto& parameter : module.parameters())
    if (parameter.grad().defined()) parameter.sub_(rate * parameter.grad());
}

void train_step(Objective& objective, DualEncoder& model, const Batch& batch, const Progress& progress,
                double rate = 0.05) {
  model.zero_grad();
  objective.zero_grad();
  total(objective.step(batch, progress)).backward();
  objective.after_backward(progress);
  descend(model, rate);
  descend(objective, rate);
  objective.after_update(progress);
}

StepResult expect_same_gradients(DualEncoder& model, Objective& first, Objective& second, const Batch& batch,
                                 const Progress& progress, double tolerance) {
  model.zero_grad();
  const auto result = first.step(batch, progress);
  total(result).backward();
  const auto expected = gradients(model);
  model.zero_grad();
  const auto other = total(second.step(batch, progress));
  other.backward();
  EXPECT_TRUE(near(other, total(result).detach(), tolerance));
  for (const auto& [name, gradient] : gradients(model))
    EXPECT_TRUE(near(gradient, expected.at(name), tolerance)) << name;
  return result;
}

class EveryObjective : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryObjective, GivesEveryTrainedParameterAGradient) {
  const auto model = make_model();
  const auto& name = GetParam();
  const auto objective =
      name.starts_with("silc_") ? make_silc(model, {{"contrastive", name.substr(5)}}) : make_objective(name, model);
  total(objective->step(random_batch(), {})).backward();
  for (const auto& parameter : model->named_parameters())
    EXPECT_TRUE(parameter.value().grad().defined()) << parameter.key();
  for (const auto& parameter : objective->named_parameters())
    EXPECT_EQ(parameter.value().grad().defined(), parameter.value().requires_grad()) << parameter.key();
}

INSTANTIATE_TEST_SUITE_P(Objectives, EveryObjective, ::testing::Values("clip", "siglip", "silc_clip", "silc_siglip"),
                         [](const auto& info) { return info.param; });

TEST(Clip, AsksForOneViewOfMostOfThePicture) {
  const auto views = make_objective("clip", make_model())->views();
  ASSERT_EQ(views.size(), 1);
  EXPECT_EQ(views[0].count, 1);
  EXPECT_EQ(views[0].area, (Pair{0.9, 1.0}));
}

TEST(Silc, WithoutDistillationIsTheClipLossAveragedOverTheGlobalViews) {
  const auto model = make_model();
  const auto silc = make_silc(model, {{"distillation", std::string("none")}});
  const auto clip = make_objective("clip", model);
  const auto batch = random_batch();
  double mean = 0;
  for (const auto& view : batch.views.at("global").chunk(2)) {
    auto one = batch;
    one.views["image"] = view;
    mean += total(clip->step(one, {})).item<double>() / 2;
  }
  EXPECT_NEAR(total(silc->step(without_local(batch), {})).item<double>(), mean, 1e-5 * mean);
}

TEST(Silc, WithWeightZeroTrainsTheModelAsWithoutDistillation) {
  const auto model = make_model();
  const auto none = make_silc(model, {{"distillation", std::string("none")}});
  const auto silc = make_silc(model, {{"weight", 0.0}});
  // Views of two sizes share the tower's weights, whose gradient of exactly 0 from the local views is added.
  expect_same_gradients(*model, *none, *silc, random_batch(), {}, 1e-6);
}

TEST(Silc, BeforeTheStartIsTheSameAsWithoutDistillationAndNeedsNoLocalViews) {
  const auto model = make_model();
  const auto none = make_silc(model, {{"distillation", std::string("none")}});
  const auto silc = make_silc(model, {{"start", 0.5}});
  const auto batch = without_local(random_batch());
  const auto result = expect_same_gradients(*model, *none, *silc, batch, {.step = 4, .fraction = 0.49}, 0);
  EXPECT_EQ(result.terms.size(), 1);
  EXPECT_EQ(silc->step(random_batch(), {.step = 5, .fraction = 0.5}).terms.size(), 2);
}

TEST(Silc, SaysWhenItsWorkChanges) {
  const auto silc = make_silc(make_model(), {{"start", 0.5}});
  EXPECT_EQ(silc->milestones(), std::vector<double>{0.5});
  ASSERT_EQ(silc->views().size(), 2);
  EXPECT_EQ(silc->views()[0].from, 0);
  EXPECT_EQ(silc->views()[1].from, 0.5);
  EXPECT_TRUE(make_silc(make_model())->milestones().empty());
}

TEST(Silc, TeacherIsTheStudentUntilTheStartAndThenFollowsIt) {
  const auto model = make_model();
  const auto silc = make_silc(model, {{"start", 0.5}, {"teacher_momentum", 0.75}});
  const auto batch = random_batch();
  const auto student = [&] { return model->image->named_parameters()["projection"].detach().clone(); };
  const auto teacher = [&] { return silc->teacher()->named_parameters()["projection"].detach().clone(); };
  train_step(*silc, *model, batch, {.step = 0, .fraction = 0.25});
  EXPECT_TRUE(at::equal(teacher(), student()));
  const auto before = teacher();
  train_step(*silc, *model, batch, {.step = 1, .fraction = 0.5});
  EXPECT_FALSE(at::equal(before, student()));
  EXPECT_TRUE(near(teacher(), 0.75 * before + 0.25 * student(), 1e-6));
}

TEST(Silc, WithEmaKeepsATeacherFromTheFirstStepAndTrainsAsWithout) {
  const auto model = make_model();
  const auto none = make_silc(model, {{"distillation", std::string("none")}});
  const auto ema = make_silc(model, {{"distillation", std::string("ema")}, {"teacher_momentum", 0.75}});
  EXPECT_EQ(none->teacher(), nullptr);
  const auto batch = without_local(random_batch());
  expect_same_gradients(*model, *none, *ema, batch, {}, 0);
  const auto before = ema->teacher()->named_parameters()["projection"].detach().clone();
  train_step(*ema, *model, batch, {});
  EXPECT_TRUE(near(ema->teacher()->named_parameters()["projection"],
                   0.75 * before + 0.25 * model->image->named_parameters()["projection"].detach(), 1e-6));
}

TEST(Silc, TeacherNeverRequiresAGradient) {
  const auto model = make_model();
  const auto silc = make_silc(model);
  train_step(*silc, *model, random_batch(), {});
  for (const auto& parameter : silc->teacher()->named_parameters()) {
    EXPECT_FALSE(parameter.value().requires_grad()) << parameter.key();
    EXPECT_FALSE(parameter.value().grad().defined()) << parameter.key();
  }
}

TEST(Silc, WeightGrowsOverTheRamp) {
  const auto silc = make_silc(make_model(), {{"weight", 2.0}, {"start", 0.2}, {"ramp", 0.4}});
  const auto weight = [&](double fraction) {
    return silc->step(random_batch(), {.step = 1, .fraction = fraction}).terms[1].weight;
  };
  EXPECT_DOUBLE_EQ(weight(0.2), 0);
  EXPECT_DOUBLE_EQ(weight(0.3), 0.5);
  EXPECT_DOUBLE_EQ(weight(0.9), 2);
}

TEST(Silc, PrototypesStayWhileTheLastLayerIsFrozen) {
  const auto model = make_model();
  const auto silc = make_silc(model, {{"freeze_last_layer", 0.5}});
  const auto prototypes = [&] { return silc->named_parameters()["head.prototypes"].detach().clone(); };
  const auto start = prototypes();
  train_step(*silc, *model, random_batch(), {.step = 0, .fraction = 0.4});
  EXPECT_TRUE(at::equal(prototypes(), start));
  train_step(*silc, *model, random_batch(), {.step = 1, .fraction = 0.5});
  EXPECT_FALSE(at::equal(prototypes(), start));
}

TEST(Silc, LocalViewsAreAsLargeAsThePapersByDefault) {
  const Changes small = {{"prototypes", int64_t{4}}, {"hidden", int64_t{4}}};
  const std::map<int64_t, int64_t> expected = {{224, 96}, {64, 32}, {256, 112}, {32, 16}};
  for (const auto& [image_size, local_size] : expected) {
    const ModelShape shape{.image_size = image_size};
    const auto silc = make_objective("silc", make_model(shape), small, shape);
    EXPECT_EQ(silc->views()[1].size, local_size) << image_size;
  }
}

TEST(Silc, ColoursOnlyLocalViewsAndOnlyIfAsked) {
  const auto plain = make_silc(make_model())->views();
  const auto coloured = make_silc(make_model(), {{"local_colours", true}})->views();
  EXPECT_EQ(plain[1].colours, Photometric{});
  EXPECT_EQ(coloured[0].colours, Photometric{});
  EXPECT_EQ(coloured[1].colours, (Photometric{.jitter = 0.8, .greyscale = 0.2, .blur = 0.5}));
}

TEST(Silc, RefusesToDistilWithoutLocalViews) {
  EXPECT_THROW(make_silc(make_model(), {{"local_views", int64_t{0}}}), Error);
}

TEST(Silc, DistilsGlobalViewsWithoutLocalOnesIfAllAreStudents) {
  const auto silc = make_silc(make_model(), {{"local_views", int64_t{0}}, {"student_views", std::string("all")}});
  EXPECT_EQ(silc->views().size(), 1);
  EXPECT_EQ(silc->step(without_local(random_batch()), {}).terms.size(), 2);
}

// tests/reference/nn_silc.py writes the method out with open_clip's towers. fp32 over three steps of gradient descent.
TEST(Silc, ThreeStepsAgreeWithAnIndependentImplementation) {
  constexpr double kTolerance = 1e-4;
  const auto fixture = load_fixture("nn_silc");
  const auto model = make_model();
  testing::load_parameters(*model, fixture, "start.model.");
  const auto silc = make_silc(
      model,
      {{"weight", 0.5}, {"teacher_momentum", 0.8}, {"teacher_temperature", 0.07}, {"teacher_temperature_start", 0.07}});
  Fixture own;
  for (const auto& [key, value] : fixture) {
    if (!key.starts_with("start.") || key.starts_with("start.model.")) continue;
    own[key] = value;
    if (key.starts_with("start.head.")) own["start.teacher." + key.substr(6)] = value;
  }
  testing::load_parameters(*silc, own, "start.");
  for (int step = 0; step < 3; ++step) {
    const auto prefix = std::to_string(step) + ".";
    const Batch batch = {.size = kBatch,
                         .views = {{"global", fixture.at(prefix + "global")}, {"local", fixture.at(prefix + "local")}},
                         .tokens = fixture.at(prefix + "tokens"),
                         .labels = {}};
    const Progress progress = {.step = step, .fraction = step / 3.0};
    const auto result = silc->step(batch, progress);
    EXPECT_TRUE(near(result.terms[0].value, fixture.at(prefix + "contrastive"), kTolerance)) << step;
    EXPECT_TRUE(near(result.terms[1].value, fixture.at(prefix + "distillation"), kTolerance)) << step;
    model->zero_grad();
    silc->zero_grad();
    total(result).backward();
    descend(*model, 0.05);
    descend(*silc, 0.05);
    silc->after_update(progress);
  }
  for (const auto& parameter : model->named_parameters())
    EXPECT_TRUE(near(parameter.value(), fixture.at("end.model." + parameter.key()), kTolerance)) << parameter.key();
  for (const auto& parameter : silc->named_parameters())
    EXPECT_TRUE(near(parameter.value(), fixture.at("end." + parameter.key()), kTolerance)) << parameter.key();
  EXPECT_TRUE(near(silc->named_buffers()["distillation.center"], fixture.at("end.distillation.center"), kTolerance));
}

// The gradients of model and objective, towers computing `chunk` pictures or texts at a time.
std::map<std::string, at::Tensor> gradients_in_chunks(const std::string& name, int64_t chunk) {
  const auto model = make_model();
  const auto make_tower = [chunk] {
    auto tower = testing::make_image_tower({});
    tower->set_chunk(chunk);
    return tower;
  };
  at::manual_seed(2);
  const auto options = name == "silc" ? options_of(name, small_silc()) : options_of(name);
  const std::shared_ptr<Objective> objective(testing::factory_of(name)(
      {.options = options, .model = model, .make_image_tower = make_tower, .image_size = kImageSize}));
  model->image->set_chunk(chunk);
  model->text->set_chunk(chunk);
  total(objective->step(random_batch(), {})).backward();
  auto all = gradients(*model);
  for (const auto& parameter : objective->named_parameters())
    if (parameter.value().requires_grad()) all[name + parameter.key()] = parameter.value().grad();
  return all;
}

class InChunks : public ::testing::TestWithParam<std::string> {};

// A batch of 4, 8 global views and 12 local ones.
TEST_P(InChunks, GradientsAreThoseOfOnePass) {
  const auto expected = gradients_in_chunks(GetParam(), 0);
  const auto chunked = gradients_in_chunks(GetParam(), 3);
  for (const auto& [name, gradient] : expected) EXPECT_TRUE(near(chunked.at(name), gradient, 1e-5)) << name;
}

INSTANTIATE_TEST_SUITE_P(Objectives, InChunks, ::testing::Values("clip", "siglip", "silc"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace silc
