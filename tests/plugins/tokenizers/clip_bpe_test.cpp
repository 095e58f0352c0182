#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "silc/error.h"
#include "silc/tokenizer.h"
#include "tests/files/temporary_folder.h"
#include "tests/plugins/declared.h"
#include "tests/plugins/tokenizers/stored_ids.h"

extern "C" silc::Tokenizer* silc_tokenizer_clip_bpe(const silc::TokenizerContext& context);

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kFile = SILC_SOURCE_DIR "/tests/data/clip_vocabulary.txt.gz";

std::unique_ptr<Tokenizer> make_bpe(const std::string& file, const std::string& clean = "lower") {
  const Options options = testing::options_of("clip_bpe", {{"vocabulary", file}, {"clean", clean}});
  return std::unique_ptr<Tokenizer>(silc_tokenizer_clip_bpe({options, 0, {}}));
}

std::string fault_of(const std::string& file) {
  try {
    make_bpe(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class ClipBpeAgainstOpenClip : public ::testing::TestWithParam<std::string> {};

TEST_P(ClipBpeAgainstOpenClip, IdsAgree) {
  testing::expect_stored_ids(*make_bpe(kFile, GetParam()), "clip_bpe " + GetParam());
}

INSTANTIATE_TEST_SUITE_P(Cleanings, ClipBpeAgainstOpenClip, ::testing::Values("lower", "whitespace", "canonicalize"));

TEST(ClipBpe, KeepsItsPromisesForAnyBytes) { testing::expect_rows_of_random_bytes(*make_bpe(kFile)); }

TEST(ClipBpe, CutsALongTextBeforeTheEndToken) {
  const auto tokenizer = make_bpe(kFile);
  const std::vector<int64_t> row = tokenizer->encode(std::string(100'000, 'a') + " b", 5);
  EXPECT_EQ(row.front(), tokenizer->start_id());
  EXPECT_EQ(row.back(), tokenizer->end_id());
}

TEST(ClipBpe, ReadsAFileThatIsNotPacked) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "merges") << "#version: 0.2\nr e\nre d</w>";
  const auto tokenizer = make_bpe(folder.path() / "merges");
  EXPECT_EQ(tokenizer->vocabulary_size(), 516);
  EXPECT_THAT(tokenizer->encode("Red", 5), ElementsAre(514, 513, 515, 0, 0));
}

TEST(ClipBpe, CountsANewlineAtTheEndAsATokenLikeOpenClip) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "merges") << "#version: 0.2\nr e\n";
  EXPECT_EQ(make_bpe(folder.path() / "merges")->vocabulary_size(), 516);
}

TEST(ClipBpe, NamesTheFileAndTheLineThatIsNoMerge) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "words") << "a list\nr e\nred dress\n";
  EXPECT_THAT(fault_of(folder.path() / "words"), HasSubstr((folder.path() / "words:3: two tokens").string()));
}

TEST(ClipBpe, RefusesAnEmptyFile) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "empty").close();
  EXPECT_THAT(fault_of(folder.path() / "empty"), HasSubstr("empty is empty"));
}

TEST(ClipBpe, RefusesAFileThatIsCutOff) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(kFile, folder.path() / "cut.gz");
  std::filesystem::resize_file(folder.path() / "cut.gz", std::filesystem::file_size(kFile) / 2);
  EXPECT_THAT(fault_of(folder.path() / "cut.gz"), AllOf(HasSubstr("cut.gz"), HasSubstr("cut off")));
}

TEST(ClipBpe, RefusesADamagedFile) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(kFile, folder.path() / "damaged.gz");
  std::fstream(folder.path() / "damaged.gz", std::ios::in | std::ios::out).seekp(200).write("damage", 6);
  EXPECT_THAT(fault_of(folder.path() / "damaged.gz"), AllOf(HasSubstr("damaged.gz"), HasSubstr("is damaged")));
}

TEST(ClipBpe, RefusesAFolder) { EXPECT_THAT(fault_of(SILC_SOURCE_DIR), HasSubstr("Is a directory")); }

// Where the vocabulary is looked for, all of it in a folder of the test's own.
class ClipsOwnVocabulary : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* variable : {"SILC_DATA", "XDG_CACHE_HOME", "HOME"}) {
      if (const char* value = std::getenv(variable)) before_.emplace_back(variable, value);
      setenv(variable, folder_.path().c_str(), 1);
    }
  }
  void TearDown() override {
    for (const auto& [variable, value] : before_) setenv(variable.c_str(), value.c_str(), 1);
  }

  TemporaryFolder folder_;
  std::vector<std::pair<std::string, std::string>> before_;
};

TEST_F(ClipsOwnVocabulary, IsAskedForWhereItIsNotThere) {
  EXPECT_THAT(fault_of(""), AllOf(HasSubstr("./dev vocabulary"), HasSubstr("option \"vocabulary\""),
                                  HasSubstr(folder_.path().string())));
}

TEST_F(ClipsOwnVocabulary, IsNoOtherFileOfThatName) {
  std::filesystem::copy_file(kFile, folder_.path() / "bpe_simple_vocab_16e6.txt.gz");
  EXPECT_THAT(fault_of(""), HasSubstr("is not CLIP's vocabulary"));
}

}  // namespace
}  // namespace silc
