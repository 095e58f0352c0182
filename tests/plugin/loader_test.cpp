#include "plugin/loader.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugin/option_values.h"

extern int FLAGS_minloglevel;  // of c10, which libsentencepiece defines, too, as something larger

namespace silc {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

fs::path loadable() { return fs::path(SILC_BINARY_DIR) / "tests/libraries/loadable/loadable.so"; }

const PluginInfo& plugin(PluginKind kind, const std::string& name) {
  static const fs::path folders[] = {loadable()};
  static const Catalogue catalogue = Catalogue::scan(folders);
  return catalogue.require(kind, name);
}

std::string failure(const std::string& fault) {
  const PluginInfo& faulty = plugin(PluginKind::tokenizer, "faulty");
  const Options options = options_from_json(faulty, {{"fault", fault}});
  try {
    make_tokenizer(faulty, {options, 0, {}});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Loader, MakesAnObjectWithItsOptions) {
  const PluginInfo& counted = plugin(PluginKind::dataset, "counted");
  const Options options = options_from_json(counted, {{"length", 7}});
  const std::shared_ptr<Dataset> dataset = make_dataset(counted, {options, "train", ""});
  EXPECT_EQ(dataset->size(), 7);
  EXPECT_EQ(dataset->sample(2).label, 2);
}

TEST(Loader, SentencePieceLeavesLibTorchsVariablesAlone) {
  static const fs::path folders[] = {fs::path(SILC_BINARY_DIR) / "plugins"};
  const Catalogue catalogue = Catalogue::scan(folders);
  const PluginInfo& built_in = catalogue.require(PluginKind::tokenizer, "sentencepiece");
  const Options options =
      options_from_json(built_in, {{"model", SILC_SOURCE_DIR "/tests/data/sentencepiece_siglip.model"}});
  const int before = FLAGS_minloglevel;
  const std::shared_ptr<Tokenizer> tokenizer = make_tokenizer(built_in, {options, 0, {}});
  EXPECT_EQ(tokenizer->encode("a photo of a cat", 16).size(), 16);
  EXPECT_EQ(FLAGS_minloglevel, before);
}

TEST(Loader, ATorchModuleOfAPluginTakesPartInAutograd) {
  const PluginInfo& doubled = plugin(PluginKind::objective, "doubled");
  const Options options = default_options(doubled);
  const std::shared_ptr<Objective> objective = make_objective(doubled, {options, nullptr, {}, 8});
  Batch batch;
  batch.views["global"] = at::ones({4});
  objective->step(batch, {}).terms.at(0).value.backward();
  EXPECT_EQ(objective->parameters().at(0).grad().item<double>(), 4.0);
}

TEST(Loader, DynamicCastFindsInterfacesAcrossTheBorder) {
  const PluginInfo& doubled = plugin(PluginKind::objective, "doubled");
  const Options options = default_options(doubled);
  const std::shared_ptr<torch::nn::Module> module = make_objective(doubled, {options, nullptr, {}, 8});
  EXPECT_NE(std::dynamic_pointer_cast<Objective>(module), nullptr);
  EXPECT_EQ(std::dynamic_pointer_cast<ImageBackbone>(module), nullptr);
}

TEST(Loader, AnExceptionOfAMethodCrossesTheBorder) {
  const PluginInfo& counted = plugin(PluginKind::dataset, "counted");
  const std::shared_ptr<Dataset> dataset = make_dataset(counted, {default_options(counted), "train", ""});
  EXPECT_THROW(dataset->sample(100), Error);
}

TEST(Loader, AnErrorForTheUserPassesThroughAsItIs) {
  EXPECT_EQ(failure("user"), "captions.txt:3: a caption is empty; remove the line");
}

TEST(Loader, AnyOtherExceptionNamesThePlugin) {
  EXPECT_EQ(failure("plugin"), "tokenizer \"faulty\" (" + loadable().string() + ") failed: vector::at");
}

TEST(Loader, AnErrorOfLibTorchComesWithoutItsBacktrace) {
  EXPECT_THAT(failure("torch"), HasSubstr("failed: shapes do not fit"));
  EXPECT_THAT(failure("torch"), Not(HasSubstr("frame #")));
}

TEST(Loader, WhatIsNoExceptionNamesThePluginToo) {
  EXPECT_THAT(failure("other"), HasSubstr("failed with something that is no std::exception"));
}

TEST(Loader, TheLibraryStaysLoadedWhenItsObjectsAreGone) {
  const PluginInfo& counted = plugin(PluginKind::dataset, "counted");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(make_dataset(counted, {default_options(counted), "", ""})->size(), 3);
}

TEST(Loader, AForeignLibraryIsRefusedBeforeItIsLoaded) {
  // Its static initialiser would end this process.
  PluginInfo foreign;
  foreign.kind = PluginKind::dataset;
  foreign.name = "foreign";
  foreign.factory = "make_foreign";
  foreign.library = fs::path(SILC_BINARY_DIR) / "tests/libraries/other_torch/other_torch.so";
  EXPECT_THROW(make_dataset(foreign, {Options(), "train", ""}), Error);
}

TEST(Loader, APluginThatTheLibraryNoLongerDeclaresIsRefused) {
  PluginInfo gone = plugin(PluginKind::dataset, "counted");
  gone.name = "gone";
  gone.library = loadable().parent_path() / ".." / "loadable" / "loadable.so";
  EXPECT_THROW(make_dataset(gone, {Options(), "train", ""}), Error);
}

}  // namespace
}  // namespace silc
