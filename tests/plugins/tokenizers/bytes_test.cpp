#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

#include "silc/tokenizer.h"
#include "tests/plugins/declared.h"

extern "C" silc::Tokenizer* silc_tokenizer_bytes(const silc::TokenizerContext& context);

namespace silc {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<Tokenizer> make_bytes() {
  const Options options = testing::options_of("bytes");
  return std::unique_ptr<Tokenizer>(silc_tokenizer_bytes({options, 0, {}}));
}

TEST(Bytes, AreNumberedBehindPaddingAndStart) {
  EXPECT_THAT(make_bytes()->encode("aé", 7), ElementsAre(1, 2 + 0x61, 2 + 0xc3, 2 + 0xa9, 258, 0, 0));
}

TEST(Bytes, AreCutBeforeTheEndToken) { EXPECT_THAT(make_bytes()->encode("abc", 4), ElementsAre(1, 99, 100, 258)); }

TEST(Bytes, LieBelowTheVocabularySizeWithTheEndTokenGreatest) { EXPECT_EQ(make_bytes()->vocabulary_size(), 259); }

TEST(Bytes, NeedRoomForStartAndEnd) { EXPECT_THROW((void)make_bytes()->encode("a", 1), std::invalid_argument); }

}  // namespace
}  // namespace silc
