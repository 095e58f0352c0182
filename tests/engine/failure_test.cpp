#include "engine/failure.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace silc {
namespace {

std::string failure_of(const std::function<void()>& work) {
  try {
    in_plugin(PluginKind::objective, "silc", work);
  } catch (const PluginFailure& failure) {
    EXPECT_EQ(failure.plugin(), "silc");
    return failure.what();
  }
  return "";
}

TEST(InPlugin, NamesThePluginInOneLine) {
  EXPECT_EQ(failure_of([] { throw std::runtime_error("the head\nfell off\n"); }),
            "objective \"silc\": the head fell off");
}

TEST(InPlugin, LeavesOutLibTorchsBacktrace) {
  const std::string message = failure_of([] { torch::ones({2, 3}).matmul(torch::ones({2, 3})); });
  EXPECT_EQ(message, "objective \"silc\": mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)");
}

TEST(InPlugin, KeepsTheInnermostPlugin) {
  try {
    in_plugin(PluginKind::evaluator, "outer",
              [] { in_plugin(PluginKind::dataset, "inner", [] { throw Error("picture 3 is cut short"); }); });
    FAIL() << "nothing was thrown";
  } catch (const PluginFailure& failure) {
    EXPECT_EQ(failure.plugin(), "inner");
    EXPECT_STREQ(failure.what(), "dataset \"inner\": picture 3 is cut short");
  }
}

TEST(InPlugin, LetsAnInterruptionPass) {
  EXPECT_THROW(in_plugin(PluginKind::evaluator, "e", [] { throw Interrupted{}; }), Interrupted);
}

}  // namespace
}  // namespace silc
