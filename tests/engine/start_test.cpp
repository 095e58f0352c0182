#include "engine/start.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include "engine/parameters.h"
#include "engine/tensor_file.h"
#include "nn/contrastive_loss.h"
#include "silc/error.h"
#include "silc/testing/model.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using ::testing::HasSubstr;

// A loss, and a head of some width or none.
class Parts : public torch::nn::Module {
 public:
  Parts(const std::string& loss, int64_t head) {
    register_module("loss", make_contrastive_loss(loss));
    if (head > 0) register_module("head", torch::nn::Linear(3, head));
  }
};

class StartTest : public ::testing::Test {
 protected:
  // The checkpoint that a phase with these parts leaves, all its numbers changed from their initial values.
  std::unique_ptr<const StartWeights> ended(const DualEncoder& model, const Parts& parts) {
    auto state = module_state(model, parts);
    {
      const torch::NoGradGuard no_grad;
      for (auto& [name, tensor] : state) tensor.add_(0.25);
    }
    state["optimizer.exp_avg.model.image.projection"] = at::ones({2});
    write_tensors(folder_ / "end.safetensors", state, {});
    return weights_of(SafetensorsFile(folder_ / "end.safetensors"));
  }

  static at::Tensor value(const DualEncoder& model, const Parts& parts, const std::string& name) {
    return module_state(model, parts).at(name).detach();
  }

  TemporaryFolder folder_;
  std::shared_ptr<DualEncoder> before_ = testing::tiny_model();
  std::shared_ptr<DualEncoder> after_ = testing::tiny_model();
};

TEST_F(StartTest, TheModelIsTheOneThatThePhaseBeforeLeft) {
  const Parts parts("clip", 0);
  const auto start = ended(*before_, parts);
  start_model(*start, *after_);
  for (const auto& [name, tensor] : module_state(*before_, torch::nn::Module()))
    EXPECT_TRUE(at::equal(tensor, value(*after_, parts, name))) << name;
}

TEST_F(StartTest, AnotherModelIsRefused) {
  const auto start = ended(*before_, Parts("clip", 0));
  after_->image->register_parameter("another", at::zeros({1}));
  try {
    start_model(*start, *after_);
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("\"model.image.another\""));
  }
}

TEST_F(StartTest, AnObjectiveWithTheSameTensorsGoesOnWithAllOfThem) {
  const Parts old_parts("clip", 4), new_parts("clip", 4);
  const auto start = ended(*before_, old_parts);
  start_objective(*start, *after_, new_parts);
  for (const auto& [name, tensor] : module_state(*before_, old_parts))
    EXPECT_TRUE(at::equal(tensor, value(*after_, new_parts, name))) << name;
}

TEST_F(StartTest, AnotherObjectiveHasTheTemperatureAloneFromTheOneBefore) {
  const Parts old_parts("clip", 0), new_parts("clip", 4);
  const at::Tensor head = value(*after_, new_parts, "objective.head.weight").clone();
  const auto start = ended(*before_, old_parts);
  start_objective(*start, *after_, new_parts);
  EXPECT_TRUE(at::equal(value(*after_, new_parts, "objective.loss.logit_scale"),
                        value(*before_, old_parts, "objective.loss.logit_scale")));
  EXPECT_TRUE(at::equal(value(*after_, new_parts, "objective.head.weight"), head));
}

TEST_F(StartTest, ALossOfAnotherKindHasATemperatureOfItsOwn) {
  const Parts old_parts("clip", 0), new_parts("siglip", 0);
  const at::Tensor scale = value(*after_, new_parts, "objective.loss.logit_scale").clone();
  start_objective(*ended(*before_, old_parts), *after_, new_parts);
  EXPECT_TRUE(at::equal(value(*after_, new_parts, "objective.loss.logit_scale"), scale));
}

}  // namespace
}  // namespace silc
