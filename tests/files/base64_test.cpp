#include "files/base64.h"

#include <gtest/gtest.h>

namespace silc {
namespace {

std::vector<uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

// RFC 4648, section 10.
TEST(Base64, IsThatOfTheRfc) {
  const std::pair<std::string_view, std::string_view> pairs[] = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : pairs) {
    EXPECT_EQ(base64(bytes_of(plain)), coded);
    EXPECT_EQ(from_base64(coded), bytes_of(plain));
  }
}

TEST(Base64, CarriesEveryByte) {
  std::vector<uint8_t> all(256);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(255 - i);
  EXPECT_EQ(from_base64(base64(all)), all);
}

TEST(Base64, RefusesWhatItIsNot) {
  for (const char* text : {"Zg", "Zg=", "Z===", "Zm9v\n", "Zm9*", "Zg==Zg==", "===="})
    EXPECT_FALSE(from_base64(text)) << text;
}

}  // namespace
}  // namespace silc
