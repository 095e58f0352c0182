#include "plugin/option_values.h"

#include <gtest/gtest.h>

#include <limits>

#include "silc/error.h"

namespace silc {
namespace {

using nlohmann::json;

constexpr auto kFlag = boolean_option("flag", true, "");
constexpr auto kCount = integer_option("count", 6, 0, 32, "");
constexpr auto kScale = number_option("scale", 0.5, 0.0, 1.0, "");
constexpr auto kMode = choice_option("mode", "dino", "none|dino", "");
constexpr auto kNote = text_option("note", "as it is", "");
constexpr auto kArea = pair_option("area", 0.1, 0.4, 0.0, 1.0, "");
constexpr auto kList = texts_option("list", "a|b", "");
constexpr auto kFile = file_option("file", "");
constexpr auto kUnbounded =
    integer_option("unbounded", 0, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), "");

PluginInfo plugin_with_every_type() {
  PluginInfo plugin;
  plugin.name = "every";
  plugin.options = {kFlag.record, kCount.record, kScale.record, kMode.record,
                    kNote.record, kArea.record,  kList.record,  kFile.record};
  return plugin;
}

std::string refusal(const OptionRecord& option, const json& value) {
  try {
    option_value(option, value);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(OptionValues, DefaultsAreThoseOfTheDeclaration) {
  const Options options = default_options(plugin_with_every_type());
  EXPECT_EQ(options[kFlag], true);
  EXPECT_EQ(options[kCount], 6);
  EXPECT_EQ(options[kScale], 0.5);
  EXPECT_EQ(options[kMode], "dino");
  EXPECT_EQ(options[kNote], "as it is");
  EXPECT_EQ(options[kArea], (Pair{0.1, 0.4}));
  EXPECT_EQ(options[kList], (Texts{"a", "b"}));
  EXPECT_EQ(options[kFile], "");
}

TEST(OptionValues, EveryTypeIsReadFromJson) {
  const Options options = options_from_json(
      plugin_with_every_type(),
      json::parse(
          R"({"flag": false, "count": 32, "scale": 1, "mode": "none", "note": "", "area": [0, 1], "list": [],
              "file": "a.pt"})"));
  EXPECT_EQ(options[kFlag], false);
  EXPECT_EQ(options[kCount], 32);
  EXPECT_EQ(options[kScale], 1.0);
  EXPECT_EQ(options[kMode], "none");
  EXPECT_EQ(options[kNote], "");
  EXPECT_EQ(options[kArea], (Pair{0, 1}));
  EXPECT_EQ(options[kList], Texts{});
  EXPECT_EQ(options[kFile], "a.pt");
}

TEST(OptionValues, JsonGivesTheSameOptionsAgain) {
  const PluginInfo plugin = plugin_with_every_type();
  const Options options = options_from_json(plugin, json{{"scale", 0.1}, {"list", {"x", "y|z"}}});
  EXPECT_EQ(options_from_json(plugin, json::parse(options_to_json(options).dump())), options);
}

TEST(OptionValues, RefusesAnIntegerOutOfRange) {
  EXPECT_EQ(refusal(kCount.record, 33), "count must be an integer from 0 to 32, not 33");
}

TEST(OptionValues, RefusesAFractionForAnInteger) {
  EXPECT_EQ(refusal(kCount.record, 2.5), "count must be an integer from 0 to 32, not 2.5");
}

TEST(OptionValues, RefusesAnIntegerBeyondSixtyFourBits) {
  EXPECT_EQ(refusal(kUnbounded.record, 9223372036854775808u), "unbounded must be an integer, not 9223372036854775808");
}

TEST(OptionValues, RefusesANumberThatIsNone) {
  EXPECT_NE(refusal(kScale.record, std::numeric_limits<double>::quiet_NaN()), "");
  EXPECT_NE(refusal(kScale.record, std::numeric_limits<double>::infinity()), "");
}

TEST(OptionValues, RefusesATextThatIsNoChoice) {
  EXPECT_EQ(refusal(kMode.record, "dinno"), "mode must be \"none\" or \"dino\", not \"dinno\"; did you mean \"dino\"?");
}

TEST(OptionValues, RefusesAPairInTheWrongOrder) {
  EXPECT_EQ(refusal(kArea.record, json{0.5, 0.1}),
            "area must be two numbers from 0 to 1, the first not above the second, not [0.5,0.1]");
}

TEST(OptionValues, RefusesAListThatHoldsANumber) {
  EXPECT_EQ(refusal(kList.record, json{"a", 1}), "list must be a list of texts, not [\"a\",1]");
}

TEST(OptionValues, RefusesANumberForAFile) {
  EXPECT_EQ(refusal(kFile.record, 1), "file must be the path of a file, not 1");
}

TEST(OptionValues, RefusesANumberForABoolean) {
  EXPECT_EQ(refusal(kFlag.record, 1), "flag must be true or false, not 1");
}

TEST(OptionValues, ReportsEveryFaultOfAnObjectAtOnce) {
  try {
    options_from_json(plugin_with_every_type(), json{{"cuont", 1}, {"flag", 0}});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "objective \"every\" has no option \"cuont\"; did you mean \"count\"?\n"
                 "objective \"every\": flag must be true or false, not 0");
  }
}

}  // namespace
}  // namespace silc
