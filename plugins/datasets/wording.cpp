#include "plugins/datasets/wording.h"

#include <array>
#include <cmath>

namespace silc::datasets {

std::string_view article(std::string_view word) {
  return std::string_view("aeiou").find(word.front()) != std::string_view::npos ? "an" : "a";
}

std::string_view number_word(int64_t count) {
  constexpr std::array<std::string_view, 6> kWords = {"no", "one", "two", "three", "four", "five"};
  return kWords.at(static_cast<std::size_t>(count));
}

std::string enumerated(const std::vector<std::string>& phrases) {
  std::string text = phrases.front();
  for (std::size_t i = 1; i < phrases.size(); ++i) text += (i + 1 < phrases.size() ? ", " : " and ") + phrases[i];
  return text;
}

std::string_view place_in_picture(double x, double y) {
  constexpr double kMiddle = 0.06;
  x -= 0.5;
  y -= 0.5;
  if (std::abs(x) < kMiddle && std::abs(y) < kMiddle) return "in the middle";
  if (std::abs(x) > std::abs(y)) return x < 0 ? "on the left" : "on the right";
  // Not "at the top", which is a garment too.
  return y < 0 ? "in the upper half" : "in the lower half";
}

}  // namespace silc::datasets
