#include "plugins/tokenizers/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "silc/error.h"
#include "silc/tokenizer.h"
#include "tests/plugins/declared.h"

extern "C" silc::Tokenizer* silc_tokenizer_words(const silc::TokenizerContext& context);

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using tokenizers::words::split_words;

std::unique_ptr<Tokenizer> make_words(const std::vector<std::string>& captions,
                                      const std::map<std::string, OptionValue>& changes = {}) {
  const Options options = testing::options_of("words", changes);
  return std::unique_ptr<Tokenizer>(
      silc_tokenizer_words({options, static_cast<int64_t>(captions.size()),
                            [&](int64_t i) { return captions.at(static_cast<std::size_t>(i)); }}));
}

TEST(SplitWords, GivesLowerCaseWordsWithoutPunctuation) {
  EXPECT_THAT(split_words("A red Dress, two shoes (left)."), ElementsAre("a", "red", "dress", "two", "shoes", "left"));
}

TEST(SplitWords, KeepsHyphensAndApostrophesInsideWords) {
  EXPECT_THAT(split_words("t-shirt - it's 'so' --x-"), ElementsAre("t-shirt", "it's", "so", "x"));
}

TEST(SplitWords, KeepsOtherAlphabets) { EXPECT_THAT(split_words("Über naïve"), ElementsAre("Über", "naïve")); }

TEST(SplitWords, GivesNothingForNothing) { EXPECT_THAT(split_words(" ,. "), IsEmpty()); }

// Ids: 0 padding, 1 start, 2 unknown, then "a" (3 times), "bag" (2), "dress" and "red" (1 each, by alphabet), end.
const std::vector<std::string> kCaptions = {"a red bag", "a dress", "A bag"};

TEST(Words, AreNumberedByFrequencyThenAlphabet) {
  const auto tokenizer = make_words(kCaptions);
  EXPECT_EQ(tokenizer->vocabulary_size(), 8);
  EXPECT_THAT(tokenizer->encode("a bag dress red", 6), ElementsAre(1, 3, 4, 5, 6, 7));
}

TEST(Words, ArePaddedBehindTheEndToken) {
  EXPECT_THAT(make_words(kCaptions)->encode("a bag", 7), ElementsAre(1, 3, 4, 7, 0, 0, 0));
  EXPECT_THAT(make_words(kCaptions)->encode("", 4), ElementsAre(1, 7, 0, 0));
}

TEST(Words, AreCutBeforeTheEndToken) {
  EXPECT_THAT(make_words(kCaptions)->encode("a bag dress red", 4), ElementsAre(1, 3, 4, 7));
  EXPECT_THAT(make_words(kCaptions)->encode("a bag", 2), ElementsAre(1, 7));
}

TEST(Words, OutsideTheVocabularyAreUnknown) {
  EXPECT_THAT(make_words(kCaptions)->encode("a blue bag", 5), ElementsAre(1, 3, 2, 4, 7));
}

TEST(Words, BeyondTheLimitAreUnknownTheRarestFirst) {
  const auto tokenizer = make_words(kCaptions, {{"vocabulary", int64_t{2}}});
  EXPECT_EQ(tokenizer->vocabulary_size(), 6);
  EXPECT_THAT(tokenizer->encode("a red bag", 5), ElementsAre(1, 3, 2, 4, 5));
}

TEST(Words, ComeFromTheSampleOnly) {
  EXPECT_THAT(make_words(kCaptions, {{"sample", int64_t{1}}})->encode("dress", 3), ElementsAre(1, 2, 6));
}

TEST(Words, AreRefusedWhereThereAreNone) { EXPECT_THROW(make_words({" ", ""}), Error); }

}  // namespace
}  // namespace silc
