// The self-supervised and masked objectives: DINO, iBOT, DINOv2, MaskCLIP, SigLIP 2.
#include <ATen/autocast_mode.h>
#include <torch/optim/adamw.h>

#include "nn/caption_decoder.h"
#include "tests/plugins/objectives/tiny_training.h"

namespace silc {
namespace {

using testing::Changes;
using testing::Fixture;
using testing::load_fixture;
using testing::make_model;
using testing::ModelShape;
using testing::near;
using testing::total;
using testing::trained_parameters;

using std::string;

// A small head and few crops, unless `changes` says otherwise.
std::shared_ptr<Objective> make(const string& name, const std::shared_ptr<DualEncoder>& model,
                                const Changes& changes = {}, const ModelShape& shape = {}) {
  Changes all = {{"prototypes", int64_t{12}}, {"hidden", int64_t{8}}, {"bottleneck", int64_t{5}}};
  if (name != "maskclip") {
    all["local_views"] = int64_t{2};
    all["local_size"] = int64_t{shape.image_size / 2};
  }
  if (name == "siglip2") all["caption_layers"] = int64_t{1};
  for (const auto& [key, value] : changes) all[key] = value;
  return testing::make_objective(name, model, all, shape);
}

Batch random_batch(const Objective& objective, int64_t size = 3) {
  at::manual_seed(1);
  Batch batch = {.size = size,
                 .views = {},
                 .tokens = at::cat({at::randint(1, 19, {size, 5}, at::kLong), at::full({size, 1}, 19, at::kLong)}, 1),
                 .labels = {}};
  for (const auto& view : objective.views()) {
    const auto side = view.size > 0 ? view.size : ModelShape{}.image_size;
    batch.views[view.name] = at::randn({view.count * size, 3, side, side}).clamp(-1, 1);
  }
  return batch;
}

bool is_finite(const at::Tensor& tensor) { return tensor.isfinite().all().item<bool>(); }

// Reads one vector of values, tensor by tensor in the order of their names.
class Slices {
 public:
  explicit Slices(at::Tensor values) : values_(std::move(values)) {}
  at::Tensor next(at::IntArrayRef shape) {
    const auto count = c10::multiply_integers(shape);
    const auto slice = values_.slice(0, at_, at_ + count).view(shape);
    at_ += count;
    return slice;
  }
  [[nodiscard]] bool done() const { return at_ == values_.numel(); }

 private:
  at::Tensor values_;
  int64_t at_ = 0;
};

struct Agreement {
  string fixture, objective;
  Changes changes;
};

// As tests/reference/nn_self_supervision.py sets them.
constexpr int64_t kSteps = 3;
constexpr uint64_t kSeed = 11;
constexpr double kRate = 0.05;

class AgainstPublishedCode : public ::testing::TestWithParam<Agreement> {
 protected:
  AgainstPublishedCode()
      : fixture_(load_fixture(GetParam().fixture)),
        model_(make_model()),
        objective_(make(GetParam().objective, model_, GetParam().changes)),
        trained_(trained_parameters(*model_, *objective_)) {
    const torch::NoGradGuard no_grad;
    Slices start(fixture_.at("start"));
    for (auto& [name, parameter] : trained_) parameter.copy_(start.next(parameter.sizes()));
    EXPECT_TRUE(start.done());
    copy_into_teacher();
  }

  // The parameters of the teacher that follow one that is trained; the student's name without "model." and, of heads,
  // as the teacher has it.
  std::map<string, at::Tensor> teacher() const {
    std::map<string, at::Tensor> following;
    for (const auto& item : objective_->named_parameters())
      if (item.key().starts_with("teacher.") && trained_.contains(student_of(item.key())))
        following[item.key()] = item.value();
    return following;
  }

  string student_of(const string& teacher_name) const {
    const auto name = teacher_name.substr(string("teacher.").size());
    if (name.starts_with("image.")) return "model." + name;
    if (name.starts_with("head.") && GetParam().objective == "maskclip") return "tokenizer" + name.substr(4);
    return name;
  }

  void copy_into_teacher() {
    for (auto& [name, parameter] : teacher()) parameter.copy_(trained_.at(student_of(name)));
  }

  Batch batch(const string& prefix) const {
    Batch batch = {.size = 3, .views = {}, .tokens = at::ones({3, 6}, at::kLong), .labels = {}};
    for (const auto& view : objective_->views())
      if (fixture_.contains(prefix + view.name)) batch.views[view.name] = fixture_.at(prefix + view.name);
    if (fixture_.contains(prefix + "tokens")) batch.tokens = fixture_.at(prefix + "tokens");
    return batch;
  }

  const Fixture fixture_;
  const std::shared_ptr<DualEncoder> model_;
  const std::shared_ptr<Objective> objective_;
  std::map<string, at::Tensor> trained_;
};

// The reference computes in fp64; the tolerances are what fp32 costs, where a temperature of 0.04 multiplies the
// rounding of a score by 25, and later steps start from what rounding left of the earlier ones.
TEST_P(AgainstPublishedCode, LossesAndGradientsAgreeOverThreeSteps) {
  constexpr double kFirstTolerance = 1e-5, kLaterTolerance = 1e-4;
  for (int64_t step = 0; step < kSteps; ++step) {
    const double tolerance = step == 0 ? kFirstTolerance : kLaterTolerance;
    const auto prefix = std::to_string(step) + ".";
    const Progress progress = {
        .step = step, .fraction = static_cast<double>(step) / kSteps, .total_steps = kSteps, .seed = kSeed};
    const auto result = testing::step(*objective_, batch(prefix), progress);
    for (const auto& term : result.terms)
      EXPECT_TRUE(near(term.value, fixture_.at(prefix + term.name), tolerance)) << step << ' ' << term.name;
    model_->zero_grad();
    objective_->zero_grad();
    total(result).backward();
    objective_->after_backward(progress);
    const torch::NoGradGuard no_grad;
    Slices gradients(fixture_.at(prefix + "gradients"));
    for (auto& [name, parameter] : trained_) {
      const auto expected = gradients.next(parameter.sizes());
      if (parameter.grad().defined()) {
        EXPECT_TRUE(near(parameter.grad(), expected, tolerance)) << step << ' ' << name;
        parameter.sub_(kRate * parameter.grad());
      } else {
        EXPECT_EQ(expected.count_nonzero().item<int64_t>(), 0) << step << ' ' << name;
      }
    }
    objective_->after_update(progress);
  }
  Slices end(fixture_.at("end")), end_teacher(fixture_.at("end.teacher"));
  for (const auto& [name, parameter] : trained_)
    EXPECT_TRUE(near(parameter, end.next(parameter.sizes()), kLaterTolerance)) << name;
  for (const auto& [name, parameter] : teacher())
    EXPECT_TRUE(near(parameter, end_teacher.next(parameter.sizes()), kLaterTolerance)) << name;
  EXPECT_TRUE(end.done() && end_teacher.done());
  for (const auto& buffer : objective_->named_buffers())
    EXPECT_TRUE(!buffer.key().ends_with("center") ||
                near(buffer.value(), fixture_.at("end." + buffer.key()), kLaterTolerance))
        << buffer.key();
}

const Changes kSchedules = {{"teacher_momentum", 0.8},
                            {"teacher_momentum_end", 1.0},
                            {"teacher_temperature_warmup", 0.5},
                            {"freeze_last_layer", 0.2}};

Changes with_schedules(Changes changes) {
  changes.insert(kSchedules.begin(), kSchedules.end());
  return changes;
}

INSTANTIATE_TEST_SUITE_P(
    Objectives, AgainstPublishedCode,
    ::testing::Values(
        Agreement{"nn_dino", "dino", kSchedules}, Agreement{"nn_ibot", "ibot", with_schedules({{"patch_weight", 0.7}})},
        Agreement{"nn_ibot_unshared", "ibot",
                  with_schedules({{"patch_weight", 0.7}, {"shared_head", false}, {"patch_prototypes", int64_t{7}}})},
        Agreement{"nn_dinov2", "dinov2", kSchedules},
        Agreement{"nn_dinov2_sinkhorn", "dinov2",
                  with_schedules({{"centering", string("sinkhorn_knopp")}, {"separate_head", true}})},
        Agreement{
            "nn_maskclip",
            "maskclip",
            {{"weight", 0.3}, {"teacher_momentum", 0.8}, {"teacher_momentum_end", 1.0}, {"teacher_temperature", 0.06}}},
        Agreement{"nn_siglip2",
                  "siglip2",
                  {{"caption_weight", 0.0}, {"start", 0.3}, {"teacher_momentum", 0.8}, {"teacher_temperature", 0.06}}}),
    [](const auto& info) { return info.param.fixture; });

class EverySelfSupervised : public ::testing::TestWithParam<string> {
 protected:
  // Late in training, when everything is switched on.
  static Progress late() { return {.step = 90, .fraction = 0.9, .total_steps = 100, .seed = kSeed}; }
};

TEST_P(EverySelfSupervised, GivesEveryTrainedParameterAGradient) {
  const auto model = make_model();
  const auto objective = make(GetParam(), model);
  total(testing::step(*objective, random_batch(*objective), late())).backward();
  for (const auto& [name, parameter] : trained_parameters(*model, *objective))
    EXPECT_TRUE(parameter.grad().defined()) << name;
}

// Against a teacher and a centre that stay as they are, with the same masks in every step: otherwise the losses of
// different steps could not be compared.
TEST_P(EverySelfSupervised, LowersItsLossOnShapes) {
  const ModelShape shape = {.image_size = 32,
                            .patch = 8,
                            .width = 32,
                            .embed_dim = 16,
                            .vocabulary_size = 259,
                            .context_length = 24,
                            .pooling = "mean"};
  Changes changes = {{"prototypes", int64_t{32}}, {"hidden", int64_t{32}},       {"bottleneck", int64_t{16}},
                     {"teacher_momentum", 1.0},   {"teacher_temperature", 0.04}, {"center_momentum", 1.0}};
  changes.insert(GetParam() == "siglip2" ? Changes::value_type{"start", 0.0}
                                         : Changes::value_type{"teacher_momentum_end", 1.0});
  const auto model = make_model(shape);
  const auto objective = make(GetParam(), model, changes, shape);
  const auto batch = testing::shapes_batch(*objective, shape, 8);
  std::vector<at::Tensor> parameters;
  for (const auto& [name, parameter] : trained_parameters(*model, *objective)) parameters.push_back(parameter);
  torch::optim::AdamW optimizer(parameters, torch::optim::AdamWOptions(3e-3));
  double first = 0, last = 0;
  for (int64_t step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    const auto loss = total(testing::step(*objective, batch, late()));
    loss.backward();
    objective->after_backward(late());
    optimizer.step();
    objective->after_update(late());
    last = loss.item<double>();
    if (step == 0) first = last;
  }
  EXPECT_LT(last, 0.95 * first);
}

TEST_P(EverySelfSupervised, TakesTheSameStepAgainToTheSameBits) {
  const auto run = [] {
    const auto model = make_model();
    const auto objective = make(GetParam(), model);
    return total(testing::step(*objective, random_batch(*objective), late())).item<double>();
  };
  EXPECT_EQ(run(), run());
}

TEST_P(EverySelfSupervised, TakesABatchOfOne) {
  const auto model = make_model();
  const auto objective = make(GetParam(), model);
  const auto loss = total(testing::step(*objective, random_batch(*objective, 1), late()));
  loss.backward();
  EXPECT_TRUE(std::isfinite(loss.item<double>()));
  for (const auto& [name, parameter] : trained_parameters(*model, *objective))
    EXPECT_TRUE(!parameter.grad().defined() || is_finite(parameter.grad())) << name;
}

TEST_P(EverySelfSupervised, StaysFiniteWhereAllPicturesAreAlike) {
  const auto model = make_model();
  const auto objective = make(GetParam(), model);
  auto batch = random_batch(*objective);
  for (auto& [name, view] : batch.views) view.fill_(1);
  const auto loss = total(testing::step(*objective, batch, late()));
  loss.backward();
  EXPECT_TRUE(std::isfinite(loss.item<double>()));
  for (const auto& [name, parameter] : trained_parameters(*model, *objective))
    EXPECT_TRUE(is_finite(parameter.grad())) << name;
}

TEST_P(EverySelfSupervised, TrainsInBfloat16) {
  const auto model = make_model();
  const auto objective = make(GetParam(), model);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto loss = total(testing::step(*objective, random_batch(*objective), late()));
  at::autocast::set_autocast_enabled(at::kCPU, false);
  at::autocast::clear_cache();
  loss.backward();
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  for (const auto& [name, parameter] : trained_parameters(*model, *objective))
    EXPECT_TRUE(is_finite(parameter.grad())) << name;
}

TEST_P(EverySelfSupervised, KeepsATeacherWithoutGradients) {
  const auto model = make_model();
  const auto objective = make(GetParam(), model);
  total(testing::step(*objective, random_batch(*objective), late())).backward();
  ASSERT_NE(objective->teacher(), nullptr);
  for (const auto& parameter : objective->teacher()->parameters()) EXPECT_FALSE(parameter.requires_grad());
}

INSTANTIATE_TEST_SUITE_P(Objectives, EverySelfSupervised,
                         ::testing::Values("dino", "ibot", "dinov2", "maskclip", "siglip2"),
                         [](const auto& info) { return info.param; });

class PicturesAlone : public ::testing::TestWithParam<string> {};

TEST_P(PicturesAlone, LeavesTextTowerAndProjectionsAsTheyAre) {
  const auto model = make_model();
  const auto objective = make(GetParam(), model);
  for (const auto& parameter : model->text->parameters()) EXPECT_FALSE(parameter.requires_grad());
  EXPECT_FALSE(model->image->named_parameters()["projection"].requires_grad());
  EXPECT_TRUE(model->image->named_parameters()["backbone.ln_post.weight"].requires_grad());
}

TEST_P(PicturesAlone, AsksForTheColoursOfDino) {
  const auto views = make(GetParam(), make_model())->views();
  ASSERT_EQ(views.size(), 3);
  EXPECT_EQ(views[0].colours.blur, 1.0);
  EXPECT_EQ(views[0].colours.solarize, 0);
  EXPECT_EQ(views[1].colours.blur, 0.1);
  EXPECT_EQ(views[1].colours.solarize, 0.2);
  EXPECT_EQ(views[2].colours.blur, 0.5);
  for (const auto& view : views) {
    EXPECT_EQ(view.colours.jitter, 0.8);
    EXPECT_EQ(view.colours.greyscale, 0.2);
    EXPECT_TRUE(view.flip);
  }
  for (const auto& view : make(GetParam(), make_model(), {{"colours", false}})->views())
    EXPECT_EQ(view.colours, Photometric{});
}

TEST_P(PicturesAlone, DistilsTheGlobalCropsWithoutLocalOnes) {
  const auto model = make_model();
  const auto objective = make(GetParam(), model, {{"local_views", int64_t{0}}});
  EXPECT_EQ(objective->views().size(), 2);
  total(testing::step(*objective, random_batch(*objective), {.seed = kSeed})).backward();
  EXPECT_TRUE(model->image->named_parameters()["backbone.ln_post.weight"].grad().defined());
}

TEST_P(PicturesAlone, KeepsThePrototypesInTheFirstHundredthOfTraining) {
  const auto model = make_model();
  const auto objective = make(GetParam(), model);
  const auto frozen = [&](double fraction) {
    objective->zero_grad();
    const Progress progress = {.step = 1, .fraction = fraction, .seed = kSeed};
    total(testing::step(*objective, random_batch(*objective), progress)).backward();
    objective->after_backward(progress);
    return !objective->named_parameters()["head.prototypes"].grad().defined();
  };
  EXPECT_TRUE(frozen(0.009));
  EXPECT_FALSE(frozen(0.01));
}

INSTANTIATE_TEST_SUITE_P(Objectives, PicturesAlone, ::testing::Values("dino", "ibot", "dinov2"),
                         [](const auto& info) { return info.param; });

TEST(Dinov2, TrainsEarlierLayersMoreSlowly) {
  const auto model = make_model();
  const auto objective = make("dinov2", model);
  const auto scale = [&](const at::Tensor& parameter) {
    for (const auto& group : objective->parameter_groups())
      for (const auto& member : group.parameters)
        if (member.is_same(parameter)) return group.lr_scale;
    return 1.0;
  };
  const auto of_tower = [&](const string& name) { return scale(model->image->named_parameters()["backbone." + name]); };
  // One block: it lies one layer below what comes after it, the embeddings two.
  EXPECT_DOUBLE_EQ(of_tower("transformer.resblocks.0.mlp.c_fc.weight"), 0.9);
  EXPECT_DOUBLE_EQ(of_tower("positional_embedding"), 0.81);
  EXPECT_DOUBLE_EQ(of_tower("class_embedding"), 0.81);
  EXPECT_DOUBLE_EQ(of_tower("conv1.weight"), 0.81 * 0.2);
  EXPECT_DOUBLE_EQ(of_tower("ln_post.weight"), 1);
  EXPECT_DOUBLE_EQ(scale(objective->named_parameters()["mask_token"]), 0.81);
  EXPECT_DOUBLE_EQ(scale(objective->named_parameters()["head.prototypes"]), 1);
}

TEST(MaskClip, RefusesHeadsThatDoNotDivideTheWidth) {
  EXPECT_THROW(make("maskclip", make_model(), {{"decoder_heads", int64_t{3}}}), Error);
}

TEST(Siglip2, BeginsSelfSupervisionAtItsStartWithATeacherThatIsTheStudent) {
  const auto model = make_model();
  const auto objective = make("siglip2", model);
  EXPECT_EQ(objective->milestones(), std::vector<double>{0.8});
  for (const auto& view : objective->views()) EXPECT_EQ(view.from, view.name == "image" ? 0 : 0.8) << view.name;
  auto early = random_batch(*objective);
  early.views.erase("global");
  early.views.erase("local");
  EXPECT_EQ(testing::step(*objective, early, {.step = 1, .fraction = 0.79}).terms.size(), 2);
  {
    const torch::NoGradGuard no_grad;
    model->image->named_parameters()["projection"].add_(1);
  }
  objective->after_update({.step = 1, .fraction = 0.79});
  EXPECT_TRUE(at::equal(objective->teacher()->named_parameters()["projection"],
                        model->image->named_parameters()["projection"]));
  const auto late = testing::step(*objective, random_batch(*objective), {.step = 2, .fraction = 0.8});
  ASSERT_EQ(late.terms.size(), 4);
  EXPECT_DOUBLE_EQ(late.terms[2].weight, 0.25);
  EXPECT_DOUBLE_EQ(late.terms[3].weight, 0.0625);
}

TEST(Siglip2, IsTheSigmoidLossAloneWithoutCaptioningAndSelfSupervision) {
  const auto model = make_model();
  const auto objective = make("siglip2", model, {{"caption_weight", 0.0}, {"start", 1.0}});
  EXPECT_EQ(objective->views().size(), 1);
  EXPECT_EQ(objective->teacher(), nullptr);
  EXPECT_TRUE(objective->milestones().empty());
  EXPECT_EQ(testing::step(*objective, random_batch(*objective), {.step = 9, .fraction = 0.95}).terms.size(), 1);
  EXPECT_EQ(objective->parameters().size(), 2);  // logit_scale and logit_bias
}

TEST(Siglip2, CaptionsTheOriginalPicture) {
  const auto model = make_model();
  const auto objective = make("siglip2", model, {{"caption_parallel", 0.0}});
  const auto batch = random_batch(*objective);
  const auto result = testing::step(*objective, batch, {.step = 1, .fraction = 0.1, .seed = kSeed});
  ASSERT_EQ(result.terms[1].name, "caption");
  auto captioner = std::dynamic_pointer_cast<CaptionDecoder>(objective->named_children()["captioner"]);
  ASSERT_NE(captioner, nullptr);
  const auto patches = model->image->forward(batch.views.at("image")).patches;
  EXPECT_TRUE(
      near(captioner->loss(patches, batch.tokens, at::zeros({3}, at::kBool)), result.terms[1].value.detach(), 1e-6));
}

}  // namespace
}  // namespace silc
