#include <random>

#include "spec_testing.h"

namespace silc {
namespace {

class FuzzTest : public SpecTest {
 protected:
  // Anything but an experiment or a SpecError fails the test.
  void read_whatever(const std::string& text) {
    try {
      read(text);
    } catch (const SpecError& error) {
      EXPECT_FALSE(error.diagnostics().empty());
    }
  }
};

std::string mutated(std::string text, std::mt19937& random) {
  const auto below = [&](std::size_t bound) { return random() % bound; };
  static constexpr std::string_view kPieces[] = {"=",
                                                 "[",
                                                 "]",
                                                 "{",
                                                 "}",
                                                 "\"",
                                                 ".",
                                                 "\n",
                                                 "[[row]]\n",
                                                 "-1",
                                                 "1e99",
                                                 "'''",
                                                 "name",
                                                 "[]",
                                                 "{}",
                                                 "1979-05-27",
                                                 "nan",
                                                 "\xff",
                                                 "#",
                                                 "\\u",
                                                 "[data]",
                                                 "base = \"SILC\"\n",
                                                 "0x",
                                                 "inf",
                                                 ",",
                                                 "[[row.phase]]\n",
                                                 "row = \"CLIP\"\n",
                                                 "model.embed_dim = 8\n"};
  for (std::size_t change = below(4) + 1; change > 0; --change) {
    const std::size_t at = below(text.size());
    const std::size_t length = std::min(below(12) + 1, text.size() - at);
    switch (below(4)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 2:
        text.insert(below(text.size()), text.substr(at, length * 8));
        break;
      default:
        text[at] = static_cast<char>(below(256));
    }
    if (text.empty()) text.push_back('x');
  }
  return text;
}

TEST_F(FuzzTest, ABrokenFileGivesFaultsAndNothingElse) {
  for (unsigned seed = 0; seed < 800; ++seed) {
    std::mt19937 random(seed);
    const std::string text = mutated(seed % 2 == 0 ? kFull : kPhases, random);
    SCOPED_TRACE(seed);
    ASSERT_NO_THROW(read_whatever(text));
  }
}

TEST_F(FuzzTest, APrefixOfAFileGivesFaultsAndNothingElse) {
  for (std::size_t size = 0; size < kFull.size(); size += 11) {
    SCOPED_TRACE(size);
    ASSERT_NO_THROW(read_whatever(kFull.substr(0, size)));
  }
}

TEST_F(FuzzTest, ABrokenCellFileGivesFaultsAndNothingElse) {
  const std::string cell = write_cell(read(kFull).cells.back());
  for (unsigned seed = 0; seed < 150; ++seed) {
    std::mt19937 random(seed);
    const std::string text = mutated(cell, random);
    SCOPED_TRACE(seed);
    ASSERT_NO_THROW(try { read_cell(write(text), fake_catalogue()); } catch (const SpecError&){});
  }
}

TEST_F(FuzzTest, BrokenSetsGiveFaultsAndNothingElse) {
  for (unsigned seed = 0; seed < 150; ++seed) {
    std::mt19937 random(seed);
    const std::string set = mutated("optimizer.lr = 1e-3", random);
    SCOPED_TRACE(seed);
    ASSERT_NO_THROW(try { read(kOneRow, {.sets = {set}}); } catch (const SpecError&){});
  }
}

}  // namespace
}  // namespace silc
