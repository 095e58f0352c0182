#include "schedule/gpus.h"

#include <gmock/gmock.h>

#include "fixture.h"

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

Gpu gpu(const std::string& visible, int64_t free_memory = 79) {
  return {.visible = visible, .name = "GPU", .memory = 80, .free_memory = free_memory};
}

std::vector<ResolvedCell> cells_on(const std::vector<std::string>& devices) {
  std::vector<ResolvedCell> cells;
  for (const std::string& device : devices) cells.emplace_back().engine.device = device;
  return cells;
}

TEST(GpuPool, GivesEachEngineTheGpuWithTheFewest) {
  GpuPool pool({gpu("0"), gpu("1")}, cells_on({"auto", "auto", "auto"}), 3);
  const GpuPlace first = pool.take("auto");
  EXPECT_EQ(first.visible(), "0");
  {
    const GpuPlace second = pool.take("cuda");
    EXPECT_EQ(second.visible(), "1");
    EXPECT_EQ(pool.take("auto").visible(), "0") << "as many on each: the first";
  }
  EXPECT_EQ(pool.take("auto").visible(), "1") << "the one that was given back";
}

TEST(GpuPool, HandsNamesOnAsTheyAre) {
  GpuPool pool({gpu("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"), gpu("MIG-a1b2"), gpu("7")},
               cells_on({"auto", "auto", "auto"}), 3);
  const GpuPlace places[] = {pool.take("auto"), pool.take("auto"), pool.take("auto")};
  EXPECT_THAT(places[0].environment(),
              ElementsAre(Pair("CUDA_VISIBLE_DEVICES", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6")));
  EXPECT_THAT(places[1].environment(), ElementsAre(Pair("CUDA_VISIBLE_DEVICES", "MIG-a1b2")));
  EXPECT_THAT(places[2].environment(), ElementsAre(Pair("CUDA_VISIBLE_DEVICES", "7")));
}

TEST(GpuPool, LeavesCellsOnTheCpuAlone) {
  GpuPool pool({gpu("0")}, cells_on({"cpu", "auto"}), 2);
  EXPECT_THAT(pool.take("cpu").environment(), IsEmpty());
  EXPECT_THAT(pool.take("auto").environment(), ElementsAre(Pair("CUDA_VISIBLE_DEVICES", "0")));
}

TEST(GpuPool, HasNothingToGiveWithoutGpus) {
  GpuPool pool({}, cells_on({"auto"}), 1);
  EXPECT_EQ(pool.take("auto").visible(), "");
  EXPECT_THAT(pool.take("cuda:1").environment(), IsEmpty());
}

TEST(GpuPool, CountsAnEngineThatChoosesItsGpuByNumberAndLeavesTheChoiceToIt) {
  GpuPool pool({gpu("2"), gpu("3")}, cells_on({"cuda:0", "auto"}), 1);
  const GpuPlace chosen = pool.take("cuda:0");
  EXPECT_EQ(chosen.visible(), "2");
  EXPECT_THAT(chosen.environment(), IsEmpty());
  EXPECT_EQ(pool.take("auto").visible(), "3");
  EXPECT_EQ(pool.take("cuda:2").visible(), "") << "which is not there: the engine says so";
}

bool told_to_share(const GpuPlace& place) {
  for (const auto& [name, value] : place.environment())
    if (name == "SILC_DEVICE_SHARED") return true;
  return false;
}

TEST(GpuPool, TellsEnginesThatMayMeetOnAGpuFromTheFirst) {
  const auto shared = [](std::size_t gpus, const std::vector<std::string>& devices, int64_t jobs) {
    GpuPool pool(std::vector<Gpu>(gpus, gpu("0")), cells_on(devices), jobs);
    return told_to_share(pool.take(devices.front()));
  };
  EXPECT_TRUE(shared(1, {"auto", "auto"}, 2));
  EXPECT_FALSE(shared(1, {"auto", "auto"}, 1)) << "one after the other";
  EXPECT_FALSE(shared(2, {"auto", "auto", "auto"}, 2)) << "each has its own";
  EXPECT_FALSE(shared(1, {"auto", "cpu"}, 2)) << "the other is on the CPU";
  EXPECT_TRUE(shared(2, {"cuda:1", "auto"}, 2)) << "they may choose the same";
}

TEST(GpuPool, CountsAGpuThatOthersFillAsOneInUse) {
  GpuPool pool({gpu("0", 20), gpu("1")}, cells_on({"auto", "auto"}), 1);
  {
    const GpuPlace idle = pool.take("auto");
    EXPECT_EQ(idle.visible(), "1");
    EXPECT_FALSE(told_to_share(idle));
  }
  const GpuPlace named = pool.take("cuda:0");
  EXPECT_TRUE(told_to_share(named));
}

TEST(Gpus, AreThoseOfTheEnginesAnswer) {
  const auto gpus = gpus_of(nlohmann::json::parse(R"({"devices": [
      {"name": "Xeon", "kind": "cpu"},
      {"name": "NVIDIA H200", "kind": "cuda:0", "visible": "3", "memory": 140, "free_memory": 130},
      {"name": "part of a GPU", "kind": "cuda", "visible": "MIG-1"}]})"));
  ASSERT_EQ(gpus.size(), 2U);
  EXPECT_EQ(gpus[0].visible, "3");
  EXPECT_EQ(gpus[0].name, "NVIDIA H200");
  EXPECT_EQ(gpus[0].memory, 140);
  EXPECT_EQ(gpus[0].free_memory, 130);
  EXPECT_EQ(gpus[1].visible, "MIG-1");
  EXPECT_EQ(gpus[1].memory, 0);
}

TEST(Gpus, AreAskedForOnlyWhereACellMayUseThem) {
  const ScopedVariable gpus("FAKE_ENGINE_GPUS", "2");
  EXPECT_EQ(find_gpus(fake_engine(), cells_on({"cpu", "auto"})).size(), 2U);
  EXPECT_EQ(find_gpus({"/nowhere/silc-engine", {}}, cells_on({"cpu", "cpu"})).size(), 0U);
}

TEST(GpuLabel, IsShort) {
  EXPECT_EQ(gpu_label("1"), "GPU 1");
  EXPECT_EQ(gpu_label("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"), "GPU-8932f937");
  EXPECT_EQ(gpu_label("MIG-8932f937-d72c-4106-c12f-20bd9faed9f6"), "MIG-8932f937");
}

}  // namespace
}  // namespace silc
