#include "tokens/bpe_training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/plugins/tokenizers/stored_ids.h"
#include "tokens/bpe.h"
#include "tokens/clean.h"

namespace silc {
namespace {

WordCounts words_of_corpus() {
  WordCounts counts;
  for (const std::string text : testing::stored_ids().at("corpus")) count_words(clean(text, Cleaning::lower), counts);
  return counts;
}

TEST(BpeTraining, ComesToTheVocabularyOfANaiveProgram) {
  EXPECT_EQ(train_bpe(words_of_corpus(), kFewestTokens + 300).text, testing::stored_ids().at("vocabulary"));
}

TEST(BpeTraining, GivesTheTokensThatItIsAskedFor) {
  const BpeVocabulary vocabulary = train_bpe(words_of_corpus(), 600);
  EXPECT_EQ(vocabulary.tokens, 600);
  EXPECT_EQ(Bpe(vocabulary.text, "trained").size(), 600);
}

TEST(BpeTraining, EndsWhereNoPairOccursTwice) {
  const BpeVocabulary vocabulary = train_bpe({{"aab", 2}, {"xyz", 1}}, kMostTokens);
  EXPECT_EQ(vocabulary.text, "#version: 0.2\na a\naa b</w>");
}

TEST(BpeTraining, MakesNoTokenTwice) {
  // "abc" can be made from "a" and "bc" as well as from "ab" and "c".
  const BpeVocabulary vocabulary = train_bpe({{"abcx", 9}, {"ybc", 50}, {"bcz", 40}, {"abq", 60}, {"abcy", 8}}, 700);
  const Bpe bpe(vocabulary.text, "trained");
  EXPECT_EQ(bpe.size(), vocabulary.tokens);
}

TEST(BpeTraining, IsNotMisledByWordsThatSpellMarks) {
  WordCounts counts;
  count_words(U"a</w> </w> </w> a</w> <end_of_text>", counts);
  const BpeVocabulary vocabulary = train_bpe(counts, 700);
  EXPECT_NO_THROW(Bpe(vocabulary.text, "trained"));
  EXPECT_FALSE(counts.contains("<end_of_text>"));
}

TEST(BpeTraining, LearnsNothingFromNothing) { EXPECT_EQ(train_bpe({}, 700).tokens, kFewestTokens); }

TEST(Gzip, GivesTheSameBytesEachTime) {
  EXPECT_EQ(gzip("abcabc"), gzip("abcabc"));
  EXPECT_EQ(gzip("").substr(0, 2), "\x1f\x8b");
}

}  // namespace
}  // namespace silc
