#include "spec/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kOwn = R"([own]
flops = { bf16 = 100e12 }
memory = 16e9
memory_bandwidth = 1e12
within_node = 25e9
mfu = 0.4
)";

std::string fault_of(const std::string& text) {
  try {
    parse_devices(text, "own.toml");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Devices, SayWhereTheirFiguresComeFrom) {
  const std::vector<Device> devices = known_devices();
  EXPECT_GE(devices.size(), 10U);
  for (const Device& device : devices) {
    EXPECT_THAT(device.source, Not(IsEmpty())) << device.name;
    EXPECT_THAT(device.mfu_source, Not(IsEmpty())) << device.name;
    EXPECT_GT(device.bf16_flops, device.fp32_flops) << device.name;
    EXPECT_GE(device.within_node, device.between_nodes) << device.name;
  }
}

TEST(Devices, AreFoundByName) {
  const Device device = find_device("h100");
  EXPECT_DOUBLE_EQ(device.bf16_flops, 989.4e12);
  EXPECT_EQ(device.per_node, 8);
}

TEST(Devices, ThatThereAreNotAreToldWithTheNearest) {
  try {
    find_device("h10");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("there is no device \"h10\"; did you mean \"h100\"?"));
  }
}

TEST(Devices, ComeFromAFileToo) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "own.toml";
  std::ofstream(file) << kOwn;
  const Device device = find_device(file.string());
  EXPECT_EQ(device.name, "own");
  EXPECT_DOUBLE_EQ(device.fp32_flops, 0);
  EXPECT_DOUBLE_EQ(device.between_nodes, 25e9) << "as within a node, where nothing is said";
}

TEST(Devices, HaveAnMfuForEachPrecisionWhereTheySaySo) {
  const Device device =
      parse_devices(std::string(kOwn).replace(std::string(kOwn).find("0.4"), 3, "{ bf16 = 0.5 }"), "own.toml").front();
  EXPECT_DOUBLE_EQ(device.bf16_mfu, 0.5);
  EXPECT_DOUBLE_EQ(device.fp32_mfu, 0);
}

TEST(Devices, WithFaultsAreRefusedWithTheirPlace) {
  EXPECT_THAT(fault_of(std::string(kOwn) + "mfuu = 1\n"),
              HasSubstr("own.toml:7:1: unknown key \"own.mfuu\"; did you mean \"own.mfu\"?"));
  EXPECT_THAT(fault_of("[own]\nmfu = 1.5\n"), HasSubstr("own.toml:2:7: own.mfu"));
  EXPECT_THAT(fault_of("[own]\nflops = { bf16 = 1e12 }\n"), HasSubstr("own.toml:1:"));
  EXPECT_THAT(fault_of("[own]\nflops = { bf16 = 1e12 }\n"), HasSubstr("[own] does not say memory"));
  EXPECT_THAT(fault_of("# nothing\n"), HasSubstr("there is no device"));
}

}  // namespace
}  // namespace silc
