#include "engine/accelerator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(VisibleGpus, AreNumberedWhereNothingChoosesAmongThem) {
  EXPECT_THAT(visible_gpus(nullptr, 3), ElementsAre("0", "1", "2"));
  EXPECT_THAT(visible_gpus(nullptr, 0), IsEmpty());
}

TEST(VisibleGpus, KeepTheNamesThatTheyWereChosenBy) {
  EXPECT_THAT(visible_gpus("3,1", 2), ElementsAre("3", "1"));
  EXPECT_THAT(visible_gpus("GPU-8932f937-d72c, GPU-1", 2), ElementsAre("GPU-8932f937-d72c", "GPU-1"));
}

TEST(VisibleGpus, EndWhereCudaFindsNoMore) {
  EXPECT_THAT(visible_gpus("0,9,1", 1), ElementsAre("0"));
  EXPECT_THAT(visible_gpus("", 0), IsEmpty());
  EXPECT_THAT(visible_gpus("-1", 0), IsEmpty());
}

TEST(VisibleGpus, HoldAllPartsOfGpusThoughAProcessSeesOne) {
  EXPECT_THAT(visible_gpus("MIG-a,MIG-b,MIG-c", 1), ElementsAre("MIG-a", "MIG-b", "MIG-c"));
  EXPECT_THAT(visible_gpus("MIG-a", 0), IsEmpty()) << "LibTorch without CUDA";
}

}  // namespace
}  // namespace silc
