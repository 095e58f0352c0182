#include "silc/objective.h"

#include <fstream>

#include "nn/contrastive_loss.h"
#include "scripts.h"
#include "silc/testing/model.h"
#include "silc/testing/options.h"

extern "C" silc::Objective* silc_objective_torchscript(const silc::ObjectiveContext& context);

namespace silc {
namespace {

using ::testing::ElementsAre;
using testing::fixture_file;
using ::testing::HasSubstr;
using testing::options_of;
using testing::random_batch;
using testing::refusal;
using testing::tiny_context;
using testing::tiny_model;

constexpr int64_t kBatch = 5;

std::shared_ptr<Objective> scripted(const std::string& file, const std::shared_ptr<DualEncoder>& model = tiny_model(),
                                    const Texts& set = {}, const std::string& init = "file") {
  const auto options = options_of("torchscript", {{"file", file}, {"set", set}, {"init", init}});
  return std::shared_ptr<Objective>(silc_objective_torchscript(tiny_context(options, model)));
}

at::Tensor total(const StepResult& result) {
  auto sum = at::zeros({});
  for (const auto& term : result.terms) sum = sum + term.weight * term.value;
  return sum;
}

std::map<std::string, at::Tensor> gradients(const torch::nn::Module& module) {
  std::map<std::string, at::Tensor> gradients;
  for (const auto& parameter : module.named_parameters()) gradients[parameter.key()] = parameter.value().grad().clone();
  return gradients;
}

using ScriptedObjective = testing::ScriptTest;

// ClipLoss is what the objective "clip" consists of. The same formula in two implementations: fp32, values of order 1.
TEST_F(ScriptedObjective, ClipInPythonIsTheBuiltInClip) {
  constexpr double kTolerance = 1e-6;
  const auto model = tiny_model();
  const auto python = scripted(fixture_file("clip"), model);
  const auto batch = random_batch(*python, kBatch);
  ClipLoss clip;
  const auto image = model->image->embed(model->image->forward(batch.views.at("image")).pooled);
  const auto expected_loss = clip.forward(image, model->text->embed(batch.tokens));
  expected_loss.backward();
  const auto expected = gradients(*model);
  const auto expected_scale = clip.parameters()[0].grad().item<double>();
  model->zero_grad();
  const auto loss = total(python->step(batch, {}));
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), expected_loss.item<double>(), kTolerance * expected_loss.item<double>());
  for (const auto& [name, gradient] : gradients(*model)) {
    const double scale = std::max(1.0, expected.at(name).abs().max().item<double>());
    EXPECT_LE((gradient - expected.at(name)).abs().max().item<double>(), kTolerance * scale) << name;
  }
  EXPECT_NEAR(python->named_parameters()["script.logit_scale"].grad().item<double>(), expected_scale,
              kTolerance * std::max(1.0, std::abs(expected_scale)));
}

TEST_F(ScriptedObjective, AsksForOneViewOfMostOfThePictureUnlessItSaysOtherwise) {
  const auto views = scripted(fixture_file("clip"))->views();
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].name, "image");
  EXPECT_EQ(views[0].count, 1);
  EXPECT_EQ(views[0].area, (Pair{0.9, 1.0}));
}

TEST_F(ScriptedObjective, ParametersAndTensorsAreThoseOfTheModuleAndItsSubmodules) {
  torch::jit::Module outer("Outer");
  outer.register_module("inner", module(""));
  outer.define("def forward(self, image):\n  return (self.inner.scale * image).mean()\n");
  const auto objective = scripted(save(outer));
  EXPECT_THAT(objective->named_parameters().keys(), ElementsAre("script.inner.scale"));
  EXPECT_THAT(objective->named_buffers().keys(), ElementsAre("script.inner.center"));
}

TEST_F(ScriptedObjective, WhatIsCopiedIntoItsParametersIsWhatItComputesWith) {
  const auto objective = scripted(script("def forward(self, image):\n  return self.scale + 0 * image.mean()\n"));
  const torch::NoGradGuard no_grad;
  objective->named_parameters()["script.scale"].fill_(7);
  EXPECT_EQ(total(objective->step(random_batch(*objective, kBatch), {})).item<double>(), 7);
}

TEST_F(ScriptedObjective, ABufferThatIsAssignedIsInTheCheckpoint) {
  const auto objective = scripted(script(R"(
def forward(self, image):
    loss = (image[0].mean(0) - self.center).pow(2).sum() * self.scale
    self.center = 0.5 * self.center + 0.5 * image[0].mean(0).detach()
    return loss
)"));
  const auto registered = objective->named_buffers()["script.center"];
  const auto batch = random_batch(*objective, kBatch);
  for (int step = 0; step < 2; ++step) {
    total(objective->step(batch, {})).backward();
    objective->after_backward({});
    objective->after_update({});
  }
  EXPECT_GT(registered.abs().sum().item<double>(), 0);
  // Restoring a checkpoint is copying into the registered tensor.
  registered.zero_();
  const auto first = total(objective->step(batch, {})).item<double>();
  objective->after_backward({});
  registered.zero_();
  EXPECT_EQ(total(objective->step(batch, {})).item<double>(), first);
}

TEST_F(ScriptedObjective, GetsEverythingItAsksForByName) {
  auto every = module(R"(
def forward(self, wide, wide_features, wide_patches, narrow, text, text_features, labels, fraction: float, step: int):
    terms = {"a": wide.sum() + narrow.sum(), "b": text.sum()}
    sizes: List[int] = wide.shape + wide_features.shape + wide_patches.shape
    sizes += narrow.shape + text.shape + text_features.shape + labels.shape
    metrics = {"fraction": torch.tensor(fraction), "step": torch.tensor(float(step))}
    for place in range(len(sizes)):
        metrics["size " + str(place)] = torch.tensor(float(sizes[place]))
    return terms, metrics
)");
  every.register_attribute("views", c10::StringType::get(),
                           R"({"wide": {"count": 2}, "narrow": {"count": 3, "size": 8, "area": [0.1, 0.5],
                               "flip": true, "colours": {"jitter": 0.8}}})");
  every.register_attribute("captions", c10::IntType::get(), 2);
  const auto objective = scripted(save(every));
  EXPECT_EQ(objective->captions(), 2);
  const auto views = objective->views();
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].name, "narrow");
  EXPECT_EQ(views[0].count, 3);
  EXPECT_EQ(views[0].size, 8);
  EXPECT_EQ(views[0].area, (Pair{0.1, 0.5}));
  EXPECT_TRUE(views[0].flip);
  EXPECT_EQ(views[0].colours.jitter, 0.8);

  const auto result = objective->step(random_batch(*objective, kBatch), {.step = 3, .fraction = 0.25});
  ASSERT_EQ(result.terms.size(), 2U);
  EXPECT_EQ(result.terms[0].name, "a");
  EXPECT_EQ(result.metrics.at("fraction").item<double>(), 0.25);
  EXPECT_EQ(result.metrics.at("step").item<double>(), 3);
  const std::vector<int64_t> sizes = {2, 5, 4, 2, 5, 8, 2, 5, 16, 4, 3, 5, 4, 2, 5, 4, 2, 5, 8, 5};
  for (size_t i = 0; i < sizes.size(); ++i)
    EXPECT_EQ(result.metrics.at("size " + std::to_string(i)).item<int64_t>(), sizes[i]) << i;
}

TEST_F(ScriptedObjective, EmbeddingsLieViewByView) {
  auto difference = module("def forward(self, image):\n  return (image[1] - image[0]).pow(2).sum()\n");
  difference.register_attribute("views", c10::StringType::get(), R"({"image": {"count": 2}})");
  const auto objective = scripted(save(difference));
  auto batch = random_batch(*objective, kBatch);
  const auto first = batch.views["image"].slice(0, 0, kBatch);
  batch.views["image"] = at::cat({first, first});
  EXPECT_LT(total(objective->step(batch, {})).item<double>(), 1e-10);
}

TEST_F(ScriptedObjective, AttributesAreSetFromTheExperiment) {
  const auto file = script(R"(
def forward(self, image):
    return image.mean() * 0 + (self.margin if self.symmetric else -self.margin)
)");
  const auto value = [&](const Texts& set) {
    const auto objective = scripted(file, tiny_model(), set);
    return total(objective->step(random_batch(*objective, kBatch), {})).item<double>();
  };
  EXPECT_EQ(value({}), 0.5);
  EXPECT_EQ(value({"margin=0.25"}), 0.25);
  EXPECT_EQ(value({"margin=2", "symmetric=false"}), -2);
  EXPECT_THAT(refusal([&] { value({"margn=2"}); }), HasSubstr("has no attribute \"margn\""));
  EXPECT_THAT(refusal([&] { value({"margin=high"}); }), HasSubstr("\"margin=high\" does not fit"));
  EXPECT_THAT(refusal([&] { value({"margin"}); }), HasSubstr("is not NAME=VALUE"));
}

TEST_F(ScriptedObjective, AfterUpdateRunsAfterEachUpdate) {
  const auto objective = scripted(script(R"(
def forward(self, image):
    return image.mean()

def after_update(self):
    self.scale.clamp_(max=1.0)
)"));
  const torch::NoGradGuard no_grad;
  objective->after_update({});
  EXPECT_EQ(objective->named_parameters()["script.scale"].item<double>(), 1);
}

TEST_F(ScriptedObjective, RefusesWhatIsNoTorchScriptFile) {
  const std::string file = (folder_ / "notes.pt").string();
  std::ofstream(file) << "not a module";
  EXPECT_THAT(refusal([&] { scripted(file); }), HasSubstr(file + " is no TorchScript module"));
  EXPECT_THAT(refusal([&] { scripted((folder_ / "none.pt").string()); }),
              HasSubstr("none.pt is no TorchScript module"));
}

TEST_F(ScriptedObjective, RefusesAnArgumentThatItCannotHave) {
  EXPECT_THAT(refusal([&] { scripted(script("def forward(self, image, caption):\n  return image.mean()\n")); }),
              HasSubstr("forward() has an argument \"caption\"; it can have fraction, image, image_features"));
}

TEST_F(ScriptedObjective, RefusesAnArgumentOfAnotherType) {
  EXPECT_THAT(refusal([&] { scripted(script("def forward(self, image: int):\n  return torch.zeros(1)\n")); }),
              HasSubstr("forward() takes \"image\" as int; it is a Tensor"));
}

TEST_F(ScriptedObjective, RefusesToReturnWhatIsNoLoss) {
  EXPECT_THAT(refusal([&] { scripted(script("def forward(self, image):\n  return [1, 2]\n")); }),
              HasSubstr("forward() returns List[int]; it must return the loss as a Tensor"));
}

TEST_F(ScriptedObjective, RefusesALossThatIsNoNumber) {
  const auto objective = scripted(script("def forward(self, image):\n  return image\n"));
  EXPECT_THAT(refusal([&] { objective->step(random_batch(*objective, kBatch), {}); }),
              HasSubstr("forward() gives \"loss\" as [1, 5, 4] of Float; it must be one floating-point number"));
}

TEST_F(ScriptedObjective, RefusesAViewThatForwardDoesNotAskFor) {
  auto unused = module("def forward(self, text):\n  return text.mean()\n");
  EXPECT_THAT(refusal([&] { scripted(save(unused)); }), HasSubstr("has no argument for its view \"image\""));
}

TEST_F(ScriptedObjective, SaysWhatASickRunLooksLike) {
  auto watched = module("def forward(self, image):\n  return image.mean()\n");
  watched.register_attribute("health", c10::StringType::get(), std::string(R"([
    {"metric": "spread", "below": 0.01, "steps": 50, "share": 0.05, "message": "collapsed"},
    {"metric": "spread", "near": 3, "tolerance": 0.5, "from": 0.75, "name": "wide", "message": "too wide"}])"));
  const auto checks = scripted(save(watched))->health({.size = kBatch});
  ASSERT_EQ(checks.size(), 2U);
  EXPECT_EQ(checks[0].name, "spread");
  EXPECT_EQ(checks[0].metric, "spread");
  EXPECT_EQ(checks[0].condition, HealthCondition::below);
  EXPECT_EQ(checks[0].value, 0.01);
  EXPECT_EQ(checks[0].steps, 50);
  EXPECT_EQ(checks[0].share, 0.05);
  EXPECT_EQ(checks[0].message, "collapsed");
  EXPECT_EQ(checks[1].name, "wide");
  EXPECT_EQ(checks[1].condition, HealthCondition::near);
  EXPECT_EQ(checks[1].tolerance, 0.5);
  EXPECT_EQ(checks[1].from, 0.75);
  EXPECT_TRUE(scripted(fixture_file("clip"))->health({.size = kBatch}).empty());
}

TEST_F(ScriptedObjective, SaysWhatIsWrongWithItsChecks) {
  const auto with_health = [&](const std::string& health) {
    auto some = module("def forward(self, image):\n  return image.mean()\n");
    some.register_attribute("health", c10::StringType::get(), health);
    return refusal([&] { scripted(save(some)); });
  };
  EXPECT_THAT(with_health("{}"), HasSubstr("\"health\" is no JSON array of checks"));
  EXPECT_THAT(with_health(R"([{"metric": "spread", "message": "m"}])"), HasSubstr("needs one of \"below\""));
  EXPECT_THAT(with_health(R"([{"below": 1, "message": "m"}])"), HasSubstr("needs a \"metric\" and a \"message\""));
  EXPECT_THAT(with_health(R"([{"metric": "a", "below": 1, "until": 2, "message": "m"}])"),
              HasSubstr("\"until\" is no property of a check"));
}

TEST_F(ScriptedObjective, RefusesViewsThatAreNone) {
  const auto with_views = [&](const std::string& views) {
    auto some = module("def forward(self, image):\n  return image.mean()\n");
    some.register_attribute("views", c10::StringType::get(), views);
    return refusal([&] { scripted(save(some)); });
  };
  EXPECT_THAT(with_views("image"), HasSubstr("\"views\" is no JSON object of views"));
  EXPECT_THAT(with_views(R"({"image": {"crops": 2}})"), HasSubstr("\"crops\" is no property of a view"));
  EXPECT_THAT(with_views(R"({"image": {"count": "two"}})"), HasSubstr("\"views\" is no JSON object of views"));
  EXPECT_THAT(with_views(R"({"text": {}})"), HasSubstr("a view cannot be called \"text\""));
}

TEST_F(ScriptedObjective, AFailureNamesThePlaceInThePythonSource) {
  const auto objective =
      scripted(script("def forward(self, image, text):\n  return torch.mm(image[0], text[0]).mean()\n"));
  const auto message = refusal([&] { objective->step(random_batch(*objective, kBatch), {}); });
  EXPECT_THAT(message, ::testing::MatchesRegex(".*script0\\.pt: forward\\(\\) failed at [^ ]+:[0-9]+: .*"));
  EXPECT_THAT(message, HasSubstr("mat1 and mat2 shapes cannot be multiplied (5x4 and 5x4)"));
}

TEST_F(ScriptedObjective, TheSameStepGivesTheSameBitsAgainAndAgain) {
  // TorchScript's own executor would fuse from the second call on.
  const auto objective = scripted(script(R"(
def forward(self, image, text):
    logits = self.scale * image[0] @ text[0].t()
    return (torch.sigmoid(logits) * torch.tanh(logits) + logits.exp()).log().mean()
)"));
  const auto batch = random_batch(*objective, kBatch);
  const auto parameter = objective->named_parameters()["script.scale"];
  const auto once = [&] {
    objective->zero_grad();
    total(objective->step(batch, {})).backward();
    return parameter.grad().clone();
  };
  const auto first = once();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(once(), first));
}

}  // namespace
}  // namespace silc
