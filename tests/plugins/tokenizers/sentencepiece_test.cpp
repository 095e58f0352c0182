#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>

#include "silc/error.h"
#include "silc/tokenizer.h"
#include "tests/files/temporary_folder.h"
#include "tests/plugins/declared.h"
#include "tests/plugins/tokenizers/stored_ids.h"

extern "C" silc::Tokenizer* silc_tokenizer_sentencepiece(const silc::TokenizerContext& context);

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

using Changes = std::map<std::string, OptionValue>;

// "siglip" is unigram with NFKC and no start token, as c4_en; "gemma" BPE with bytes for what is in no token.
std::string model_file(const std::string& name) {
  return SILC_SOURCE_DIR "/tests/data/sentencepiece_" + name + ".model";
}

std::unique_ptr<Tokenizer> make_model(const std::string& file, Changes changes = {}) {
  changes["model"] = file;
  const Options options = testing::options_of("sentencepiece", changes);
  return std::unique_ptr<Tokenizer>(silc_tokenizer_sentencepiece({options, 0, {}}));
}

std::string fault_of(const std::string& file, const Changes& changes = {}) {
  try {
    make_model(file, changes);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

struct Model {
  std::string name, padding;
};

class SentencePieceAgainstPython : public ::testing::TestWithParam<Model> {};

TEST_P(SentencePieceAgainstPython, IdsAgree) {
  const auto& [name, padding] = GetParam();
  for (const std::string clean : {"lower_ascii", "canonicalize"})
    testing::expect_stored_ids(*make_model(model_file(name), {{"clean", clean}, {"padding", padding}}),
                               name + " " + clean);
}

TEST_P(SentencePieceAgainstPython, KeepsItsPromisesForAnyBytes) {
  testing::expect_rows_of_random_bytes(*make_model(model_file(GetParam().name), {{"padding", GetParam().padding}}));
}

INSTANTIATE_TEST_SUITE_P(Models, SentencePieceAgainstPython,
                         ::testing::Values(Model{"siglip", "end"}, Model{"gemma", "model"}),
                         [](const auto& info) { return info.param.name; });

TEST(SentencePiece, PadsAsSiglipWithTheEndToken) {
  const auto tokenizer = make_model(model_file("siglip"));
  EXPECT_EQ(tokenizer->padding_id(), 1);
  EXPECT_THAT(tokenizer->encode("", 4), Each(1));
}

TEST(SentencePiece, BeginsWithAStartTokenOnlyWhereThatIsAsked) {
  EXPECT_EQ(make_model(model_file("gemma"))->start_id(), Tokenizer::kNoStart);
  EXPECT_EQ(make_model(model_file("gemma"), {{"start", true}})->encode("a", 4).front(), 2);
}

TEST(SentencePiece, LowersTheSigmaAsTransformersDoes) {
  const auto tokenizer = make_model(model_file("gemma"), {{"clean", std::string("lower_case")}});
  EXPECT_EQ(tokenizer->encode("ΟΣ", 12), tokenizer->encode("οσ", 12));
}

TEST(SentencePiece, RefusesAStartTokenThatTheModelHasNot) {
  EXPECT_THAT(fault_of(model_file("siglip"), {{"start", true}}), HasSubstr("has no start token"));
}

TEST(SentencePiece, RefusesWhatIsNoModel) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "text.model") << "this is no model";
  std::ofstream(folder.path() / "empty.model").close();
  EXPECT_THAT(fault_of(folder.path() / "text.model"),
              AllOf(HasSubstr("text.model"), HasSubstr("no model of SentencePiece")));
  EXPECT_THAT(fault_of(folder.path() / "empty.model"), HasSubstr("no model of SentencePiece"));
  EXPECT_THAT(fault_of(folder.path()), HasSubstr("Is a directory"));
  EXPECT_THAT(fault_of(folder.path() / "missing.model"), HasSubstr("No such file"));
}

TEST(SentencePiece, RefusesAModelThatIsCutOff) {
  const TemporaryFolder folder;
  const std::string cut = folder.path() / "cut.model";
  for (const auto size : {10, 1000, 12000}) {
    std::filesystem::copy_file(model_file("gemma"), cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(cut, static_cast<std::uintmax_t>(size));
    EXPECT_THAT(fault_of(cut), HasSubstr("cut.model")) << size;
  }
}

}  // namespace
}  // namespace silc
