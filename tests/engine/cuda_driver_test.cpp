#include "engine/cuda_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silc {
namespace {

using ::testing::HasSubstr;

// A machine with a GPU on which all is well.
CudaSigns sound() { return {.card = true, .libtorch = 13000, .driver = true, .driver_version = 13010}; }

TEST(CudaFault, IsNoneWithoutAnNvidiaGpu) {
  EXPECT_EQ(explain({.libtorch = 0}).what, "");
  EXPECT_EQ(explain({.libtorch = 13000}).what, "") << "LibTorch with CUDA, which need not be used";
}

TEST(CudaFault, IsALibTorchWithoutCuda) {
  CudaSigns signs = sound();
  signs.libtorch = 0;
  EXPECT_THAT(explain(signs).what, HasSubstr("built without CUDA"));
  EXPECT_THAT(explain(signs).remedy, HasSubstr("LibTorch with CUDA"));
}

TEST(CudaFault, IsADriverThatIsMissing) {
  CudaSigns signs = sound();
  signs.driver = false;
  EXPECT_THAT(explain(signs).what, HasSubstr("libcuda.so.1"));
}

TEST(CudaFault, IsADriverThatIsTooOld) {
  CudaSigns signs = sound();
  signs.driver_version = 12020;
  EXPECT_EQ(explain(signs).what, "NVIDIA's driver is for CUDA 12.2, and LibTorch needs 13.0");
  EXPECT_THAT(explain(signs).remedy, HasSubstr("LibTorch for CUDA 12"));
}

TEST(CudaFault, IsNotADriverOfTheSameMajorVersion) {
  CudaSigns signs = sound();
  signs.libtorch = 13030;
  signs.chosen = true;
  EXPECT_THAT(explain(signs).what, HasSubstr("CUDA_VISIBLE_DEVICES leaves no GPU"));
}

TEST(CudaFault, IsADriverThatDoesNotStart) {
  CudaSigns signs = sound();
  signs.start = 803;
  EXPECT_THAT(explain(signs).what, HasSubstr("different versions"));
  signs.start = 999;
  EXPECT_THAT(explain(signs).what, HasSubstr("error 999"));
}

}  // namespace
}  // namespace silc
