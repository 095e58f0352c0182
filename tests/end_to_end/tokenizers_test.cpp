// Tokenizers as people use them: a vocabulary of the captions at hand, rows that read with it, and files that are
// wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "files/durable_file.h"
#include "tests/files/command.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Tokenizers : public ::testing::Test {
 protected:
  testing::CommandResult silc(const std::string& arguments) {
    return testing::run_command("cd '" + root_.string() + "' && HOME='" + root_.string() +
                                "' XDG_CACHE_HOME= SILC_DATA= '" SILC_BINARY_DIR "/bin/silc' " + arguments + " 2>&1");
  }

  // An experiment of one small row whose line 8 names the tokenizer.
  void write_experiment(const std::string& tokenizer, const std::string& objective = "clip") {
    std::ofstream(root_ / "tokens.toml") << "[experiment]\nname = \"tokens\"\n[budget]\nexamples = 32\n"
                                         << "[data]\ntrain = { dataset = \"shapes\", examples = 64 }\n[model.text]\n"
                                         << "tokenizer = " << tokenizer << "\nwidth = 16\nlayers = 1\nheads = 2\n"
                                         << "[model.image]\nwidth = 16\nlayers = 1\nheads = 2\nimage_size = 32\n"
                                         << "[optimizer]\nbatch = 8\n[[row]]\nname = \"A\"\nobjective = \"" << objective
                                         << "\"\n";
  }

  TemporaryFolder temporary_;
  fs::path root_ = temporary_.path();
};

TEST_F(Tokenizers, AVocabularyOfTheCaptionsIsTheSameEachTimeAndTrains) {
  const auto first = silc("data tokenizer train shapes --option examples=300 --vocabulary 560 --output a.gz");
  EXPECT_EQ(first.exit_code, 0);
  EXPECT_THAT(first.output, HasSubstr("a.gz: 560 tokens from 1500 captions"));
  silc("data tokenizer train shapes --option examples=300 --vocabulary 560 --threads 1 --output b.gz");
  EXPECT_EQ(read_file(root_ / "a.gz"), read_file(root_ / "b.gz"));
  write_experiment(R"({ tokenizer = "clip_bpe", vocabulary = "a.gz" })");
  EXPECT_EQ(silc("run tokens.toml").exit_code, 0);
}

TEST_F(Tokenizers, TheVocabularysContentMakesTheCellAndNotItsPlace) {
  const auto cells_after_a_run_with = [&](const std::string& file) {
    write_experiment("{ tokenizer = \"clip_bpe\", vocabulary = \"" + file + "\" }");
    EXPECT_EQ(silc("run tokens.toml").exit_code, 0);
    return std::distance(fs::directory_iterator(root_ / "runs/tokens/a"), fs::directory_iterator());
  };
  silc("data tokenizer train shapes --option examples=300 --vocabulary 560 --output a.gz");
  EXPECT_EQ(cells_after_a_run_with("a.gz"), 1);
  fs::rename(root_ / "a.gz", root_ / "b.gz");
  EXPECT_EQ(cells_after_a_run_with("b.gz"), 1);
  silc("data tokenizer train shapes --option examples=300 --vocabulary 550 --output b.gz");
  EXPECT_EQ(cells_after_a_run_with("b.gz"), 2);
}

TEST_F(Tokenizers, SaysWhatToDoWhereClipsVocabularyIsMissing) {
  write_experiment("\"clip_bpe\"");
  const auto result = silc("run tokens.toml");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, AllOf(HasSubstr("tokens.toml:8:"), HasSubstr("./dev vocabulary")));
  EXPECT_FALSE(fs::exists(root_ / "runs/tokens"));
}

TEST_F(Tokenizers, NamesFilesThatAreNoVocabulary) {
  std::ofstream(root_ / "words.txt") << "version\nred dress\n";
  write_experiment(R"({ tokenizer = "clip_bpe", vocabulary = "words.txt" })");
  EXPECT_THAT(silc("run tokens.toml").output, AllOf(HasSubstr("tokens.toml:8:"), HasSubstr("words.txt:2: two tokens")));
  write_experiment(R"({ tokenizer = "clip_bpe", vocabulary = "missing.txt" })");
  EXPECT_THAT(silc("run tokens.toml").output, AllOf(HasSubstr("tokens.toml:8:"), HasSubstr("missing.txt")));
  write_experiment(R"({ tokenizer = "sentencepiece", model = "words.txt" })");
  EXPECT_THAT(silc("run tokens.toml").output,
              AllOf(HasSubstr("tokens.toml:8:"), HasSubstr("no model of SentencePiece")));
  write_experiment(R"({ tokenizer = "sentencepiece", model = "." })");
  EXPECT_EQ(silc("run tokens.toml").exit_code, 2);
}

TEST_F(Tokenizers, CaptionsAreWrittenOnlyFromRowsWithAStartToken) {
  const std::string model = SILC_SOURCE_DIR "/tests/data/sentencepiece_gemma.model";
  write_experiment("{ tokenizer = \"sentencepiece\", model = \"" + model + "\" }");
  EXPECT_EQ(silc("run tokens.toml").exit_code, 0);
  write_experiment("{ tokenizer = \"sentencepiece\", model = \"" + model + "\" }", "cap");
  EXPECT_THAT(silc("run tokens.toml").output, HasSubstr("begins no row with a start token"));
  write_experiment("{ tokenizer = \"sentencepiece\", model = \"" + model + "\", start = true }", "cap");
  EXPECT_THAT(silc("run tokens.toml").output, HasSubstr("pads with the end token"));
  write_experiment("{ tokenizer = \"sentencepiece\", model = \"" + model + "\", start = true, padding = \"model\" }",
                   "cap");
  EXPECT_EQ(silc("run tokens.toml").exit_code, 0);
}

TEST_F(Tokenizers, TrainingRefusesVocabulariesThatNoProgramReads) {
  EXPECT_EQ(silc("data tokenizer train shapes --vocabulary 514 --output a.gz").exit_code, 2);
  EXPECT_EQ(silc("data tokenizer train shapes --vocabulary 50000 --output a.gz").exit_code, 2);
  const auto nowhere = silc("data tokenizer train shapes --option examples=30 --output no/such/folder/a.gz");
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_THAT(nowhere.output, HasSubstr("no/such/folder/a.gz"));
}

}  // namespace
}  // namespace silc
