#include "weights/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "files/safetensors.h"
#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecipeTest : public ::testing::Test {
 protected:
  RecipeTest() {
    const auto view = [](const char* dtype, std::vector<int64_t> shape, const auto& elements) {
      return TensorView{.dtype = dtype, .shape = std::move(shape), .bytes = std::as_bytes(std::span(elements))};
    };
    // [[0, 1, 2], [3, 4, 5]], and the same in halves and as bytes.
    static const std::vector<float> floats = {0, 1, 2, 3, 4, 5};
    static const std::vector<uint16_t> halves = {0x0000, 0x3C00, 0x4000, 0x4200, 0x4400, 0x4500};
    static const std::vector<uint16_t> brains = {0x0000, 0x3F80, 0x4000, 0x4040, 0x4080, 0x40A0};
    static const std::vector<uint8_t> strange = {1, 2};
    write_safetensors(folder_ / "file.safetensors",
                      {{"floats", view("F32", {2, 3}, floats)},
                       {"halves", view("F16", {2, 3}, halves)},
                       {"brains", view("BF16", {2, 3}, brains)},
                       {"strange", view("F8_E4M3", {2}, strange)}},
                      {});
    file_ = open_weights(folder_ / "file.safetensors");
  }

  std::vector<float> made(const Recipe& recipe) { return follow(recipe, *file_).values; }

  std::string fault(const Recipe& recipe) {
    try {
      follow(recipe, *file_);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TemporaryFolder folder_;
  std::unique_ptr<WeightsFile> file_;
};

TEST_F(RecipeTest, FloatsHalvesAndBrainFloatsAreReadAsTheNumbersThatTheyAre) {
  for (const std::string name : {"floats", "halves", "brains"})
    EXPECT_THAT(made({.parts = {{.source = name}}, .shape = {2, 3}}), ElementsAre(0, 1, 2, 3, 4, 5)) << name;
}

TEST_F(RecipeTest, IndicesAreExchanged) {
  EXPECT_THAT(made({.parts = {{.source = "floats", .permutation = {1, 0}}}, .shape = {3, 2}}),
              ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST_F(RecipeTest, APartIsReadInAnotherShapeBeforeItsIndicesAreExchanged) {
  EXPECT_THAT(made({.parts = {{.source = "floats", .shape = {3, 2}, .permutation = {1, 0}}}, .shape = {2, 3}}),
              ElementsAre(0, 2, 4, 1, 3, 5));
}

TEST_F(RecipeTest, RowsAreTakenAndPutBehindEachOtherWithZerosBetween) {
  const Recipe recipe{.parts = {{.source = "floats", .begin = 1},
                                {.source = "", .shape = {1, 3}},
                                {.source = "floats", .begin = 0, .count = 1}},
                      .shape = {3, 3}};
  EXPECT_THAT(made(recipe), ElementsAre(3, 4, 5, 0, 0, 0, 0, 1, 2));
}

TEST_F(RecipeTest, WithoutPartsItIsAnIdentityMatrix) {
  EXPECT_THAT(made({.parts = {}, .shape = {3, 2}}), ElementsAre(1, 0, 0, 1, 0, 0));
}

TEST_F(RecipeTest, ALogarithmIsTakenOfWhatIsKeptAsTheNumberItself) {
  EXPECT_FLOAT_EQ(made({.parts = {{.source = "floats", .begin = 1, .count = 1}}, .shape = {3}, .logarithm = true})[2],
                  std::log(5.0F));
}

TEST_F(RecipeTest, WhatDoesNotFitIsRefusedByTheTensorsName) {
  EXPECT_THAT(fault({.parts = {{.source = "floats"}}, .shape = {7}}), HasSubstr("\"floats\""));
  EXPECT_THAT(fault({.parts = {{.source = "floats", .begin = 3}}, .shape = {3}}), HasSubstr("\"floats\""));
  EXPECT_THAT(fault({.parts = {{.source = "floats", .begin = 1, .count = 2}}, .shape = {6}}), HasSubstr("\"floats\""));
  EXPECT_THAT(fault({.parts = {{.source = "floats", .shape = {4}}}, .shape = {6}}), HasSubstr("\"floats\""));
  EXPECT_THAT(fault({.parts = {{.source = "floats", .permutation = {0, 0}}}, .shape = {2, 3}}),
              HasSubstr("\"floats\""));
  EXPECT_THAT(fault({.parts = {{.source = "missing"}}, .shape = {6}}), HasSubstr("\"missing\""));
  EXPECT_THAT(fault({.parts = {{.source = "strange"}}, .shape = {2}}), HasSubstr("F8_E4M3"));
}

}  // namespace
}  // namespace silc
