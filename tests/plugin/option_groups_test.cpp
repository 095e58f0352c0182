#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "silc/plugin.h"

namespace silc {
namespace {

using ::testing::ElementsAre;

struct Crop {
  Option<Pair> area;
  Option<bool> flip = boolean_option("flip", false, "mirrored");

  consteval explicit Crop(std::string_view prefix, const Pair& standard = {0.5, 1.0})
      : area(prefixed(prefix, pair_option("area", standard[0], standard[1], 0, 1, "part of the area"))) {}

  [[nodiscard]] constexpr auto members() const { return std::tie(area, flip); }
};

// A group in a group, which another extends.
struct Crops {
  Option<int64_t> views = integer_option("views", 2, 1, 9, "of a picture");
  Crop global;

  consteval explicit Crops(const Pair& standard) : global("global_", standard) {}
  [[nodiscard]] constexpr auto members() const { return std::tie(views, global); }
};

struct ColouredCrops : Crops {
  Option<double> hue = number_option("hue", 0.1, 0, 1, "in turns");

  consteval explicit ColouredCrops(const Pair& standard) : Crops(standard) {}
  [[nodiscard]] constexpr auto members() const { return std::tuple_cat(Crops::members(), std::tie(hue)); }
};

constexpr ColouredCrops kCrops({0.25, 0.75});
constexpr auto kWeight = number_option("weight", 1.0, 0, 10, "of it");
constexpr auto kRecord = declare_plugin(PluginKind::objective, "cropped", "silc_objective_cropped", 1, "crops", kWeight,
                                        kCrops, needs(Need::masks));

TEST(OptionGroups, DeclareTheOptionsOfAllTheirMembers) {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < kRecord.header.option_count; ++i) names.emplace_back(kRecord.options[i].name);
  EXPECT_THAT(names, ElementsAre("weight", "views", "global_area", "flip", "hue"));
  EXPECT_EQ(kRecord.header.size, sizeof(kRecord));
}

TEST(OptionGroups, HaveTheDefaultsThatTheyAreGiven) {
  EXPECT_EQ(kRecord.options[2].default_number, 0.25);
  EXPECT_EQ(kRecord.options[2].default_second, 0.75);
}

TEST(OptionGroups, AreReadByTheirMembers) {
  const Options options(std::map<std::string, OptionValue>{{"views", int64_t{3}}, {"global_area", Pair{0.1, 0.2}}});
  EXPECT_EQ(options[kCrops.views], 3);
  EXPECT_EQ(options[kCrops.global.area], (Pair{0.1, 0.2}));
}

TEST(OptionGroups, KeepWhatAnOptionIsUnderItsLongerName) {
  constexpr auto longer = prefixed("very_", kWeight);
  EXPECT_EQ(longer.name(), "very_weight");
  EXPECT_STREQ(longer.record.help, "of it");
  EXPECT_EQ(longer.record.maximum, 10);
}

}  // namespace
}  // namespace silc
