#include "weights/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>

#include "files/durable_file.h"
#include "files/safetensors.h"
#include "silc/error.h"
#include "tests/files/temporary_folder.h"
#include "weights/pickle.h"
#include "weights/statistics.h"

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

// What PyTorch and numpy wrote (tests/reference/weights.py).
std::filesystem::path stored(const std::string& name) { return SILC_SOURCE_DIR "/tests/data/weights/" + name; }

std::string fault_of(const std::filesystem::path& file) {
  try {
    const auto weights = open_weights(file);
    for (const auto& [name, shape] : weights->tensors()) static_cast<void>(weights->read(name));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

struct Written {
  std::string file, format, expected;
};

class WeightsAgainstPython : public ::testing::TestWithParam<Written> {};

TEST_P(WeightsAgainstPython, TypesShapesAndElementsAgree) {
  const auto weights = open_weights(stored(GetParam().file));
  const SafetensorsFile expected(stored(GetParam().expected));
  EXPECT_EQ(weights->format(), GetParam().format);
  ASSERT_EQ(weights->tensors().size(), expected.tensors().size());
  for (const auto& [name, view] : expected.tensors()) {
    ASSERT_TRUE(weights->tensors().contains(name)) << name;
    EXPECT_EQ(weights->tensors().at(name).dtype, view.dtype) << name;
    EXPECT_EQ(weights->tensors().at(name).shape, view.shape) << name;
    const std::vector<std::byte> bytes = weights->read(name);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), view.bytes.begin(), view.bytes.end())) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, WeightsAgainstPython,
                         ::testing::Values(Written{"state_dict.pt", "PyTorch", "state_dict.safetensors"},
                                           Written{"script.pt", "TorchScript", "script.safetensors"},
                                           Written{"plain.npz", "numpy", "plain.safetensors"},
                                           Written{"packed.npz", "numpy", "plain.safetensors"},
                                           Written{"plain.safetensors", "safetensors", "plain.safetensors"}),
                         [](const auto& info) {
                           std::string name = info.param.file;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(Weights, NameWhatIsNestedWithDots) {
  const auto weights = open_weights(stored("checkpoint.pt"));
  EXPECT_THAT(weights->tensors(), ElementsAre(Key("optimizer.state.0.step"), Key("state_dict.w")));
  EXPECT_EQ(weights->metadata().at("epoch"), "3");
  EXPECT_EQ(weights->metadata().at("args.model"), "ViT");
}

TEST(Weights, RunNothingThatAFileNames) {
  static_cast<void>(open_weights(stored("checkpoint.pt")));
  EXPECT_FALSE(std::filesystem::exists("/tmp/silc-was-harmed"));
}

TEST(Weights, RefuseWhatTheyDoNotKnow) {
  const TemporaryFolder folder;
  std::ofstream(folder / "text.pt") << "these are no weights, but words";
  std::ofstream(folder / "empty.pt").close();
  EXPECT_THAT(fault_of(folder / "text.pt"), HasSubstr("is no file of weights that is known"));
  EXPECT_THAT(fault_of(folder / "empty.pt"), HasSubstr("is no file of weights that is known"));
  EXPECT_THAT(fault_of(folder / "none.pt"), HasSubstr("No such file"));
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("is a folder"));
  EXPECT_THAT(fault_of(stored("legacy.pt")), HasSubstr("save it again"));
}

TEST(Weights, SayWhatIsDamagedWhateverBytesAreWrong) {
  constexpr int kTries = 250;
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "damaged";
  std::mt19937 random(7);
  for (const std::string name : {"state_dict.pt", "checkpoint.pt", "script.pt", "plain.npz", "packed.npz"}) {
    const std::string sound = read_file(stored(name));
    int found = 0;
    for (int i = 0; i < kTries; ++i) {
      std::string bytes = sound;
      for (std::size_t k = 0; k <= random() % 4; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
      if (i % 5 == 0) bytes.resize(random() % bytes.size());
      std::ofstream(file, std::ios::binary) << bytes;
      const std::string fault = fault_of(file);
      found += fault.empty() ? 0 : 1;
      EXPECT_TRUE(fault.empty() || fault.find("damaged") != std::string::npos) << fault;
    }
    EXPECT_GT(found, kTries / 4) << name;
  }
}

TEST(Weights, AreNotLedAstrayByAnyPickle) {
  constexpr int kTries = 4000;
  std::mt19937 random(9);
  const std::string codes =
      "(0123.)]}tldeasucRbQqrhNKMJX"
      "\x81\x85\x86\x87\x88\x8a\x8c\x93\x94";
  for (int i = 0; i < kTries; ++i) {
    std::string bytes = "\x80\x02";
    for (std::size_t k = 0; k < 3 + random() % 40; ++k)
      bytes += random() % 4 == 0 ? static_cast<char>(random()) : codes[random() % codes.size()];
    std::vector<std::byte> program;
    for (const char c : bytes) program.push_back(static_cast<std::byte>(c));
    try {
      pickle::Pickle(program, "made up");
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("made up is no sound pickle"));
    }
  }
}

TEST(WeightFigures, CountParametersAndWhatIsNotFinite) {
  const auto weights = open_weights(stored("state_dict.pt"));
  const WeightFigures figures = figures_of(*weights, "broken");
  EXPECT_EQ(figures.parameters, 4);
  EXPECT_EQ(figures.not_finite, 2);
  EXPECT_DOUBLE_EQ(figures.squares, 5);
  EXPECT_DOUBLE_EQ(figures.greatest, 2);
  EXPECT_EQ(figures_of(*weights, "text.ids").floating, 0);
}

TEST(WeightFigures, KnowTheTowersByTheNamesOfOthers) {
  for (const std::string name : {"visual.conv1.weight", "state_dict.module.visual.proj", "vision_model.embeddings.x",
                                 "params/img/head", "model.image.backbone.x", "visual_projection.weight"})
    EXPECT_EQ(tower_of(name), "image") << name;
  for (const std::string name : {"transformer.resblocks.0.x", "token_embedding.weight", "text_model.x", "params/txt/x",
                                 "model.text.x", "text_projection"})
    EXPECT_EQ(tower_of(name), "text") << name;
  EXPECT_EQ(tower_of("logit_scale"), "other");
  EXPECT_EQ(tower_of("optimizer.exp_avg.model.image.x"), "optimizer");
}

}  // namespace
}  // namespace silc
