#include "engine/failure.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace silc {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

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
  EXPECT_THAT(message, StartsWith("objective \"silc\": "));
  // LibTorch 2.15 names the operator before it.
  EXPECT_THAT(message, EndsWith("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"));
}

// As LibTorch's allocator for CUDA says it.
constexpr const char* kOutOfGpuMemory =
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.15 GiB of which 8.25 MiB is "
    "free. Including non-PyTorch memory, this process has 79.14 GiB memory in use. Of the allocated memory 78.60 GiB "
    "is "
    "allocated by PyTorch, and 5.00 MiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is "
    "large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.";

TEST(InPlugin, SaysWhatToDoWhereAGpusMemoryRunsOut) {
  EXPECT_EQ(failure_of([] { TORCH_CHECK_WITH(OutOfMemoryError, false, kOutOfGpuMemory); }),
            "objective \"silc\": CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.15 "
            "GiB of which 8.25 MiB is free; use a smaller optimizer.batch or model, engine.chunk or engine.recompute, "
            "or fewer --jobs on a GPU");
}

TEST(InPlugin, SaysWhatToDoWhereAnOperatorIsNotDeterministic) {
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  EXPECT_EQ(failure_of([] { at::globalContext().alertNotDeterministic("cumsum_cuda_kernel"); }),
            "objective \"silc\": cumsum_cuda_kernel does not have a deterministic implementation on this device, so a "
            "cell would not give the same bits twice; use another operator, or allow it by engine.deterministic = "
            "false");
  at::globalContext().setDeterministicAlgorithms(false, /*warn_only=*/false);
}

TEST(InPlugin, SaysWhatToDoWhereTheCpusMemoryRunsOut) {
  EXPECT_EQ(failure_of([] { throw std::bad_alloc(); }),
            "objective \"silc\": out of memory; use a smaller optimizer.batch or model");
}

TEST(OutOfMemory, IsToldFromOtherFaults) {
  try {
    TORCH_CHECK_WITH(OutOfMemoryError, false, kOutOfGpuMemory);
  } catch (const std::exception& error) {
    EXPECT_TRUE(is_out_of_memory(error));
  }
  EXPECT_TRUE(is_out_of_memory(std::runtime_error("DefaultCPUAllocator: you tried to allocate 99 bytes.")));
  EXPECT_FALSE(is_out_of_memory(std::runtime_error("the head fell off")));
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
