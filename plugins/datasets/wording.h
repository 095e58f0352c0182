// English for captions that are made up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace silc::datasets {

// "a" or "an", by the word's first letter.
std::string_view article(std::string_view word);

// "two"; 0 to 5.
std::string_view number_word(int64_t count);

// "a bag, two dresses and a shoe"; at least one phrase.
std::string enumerated(const std::vector<std::string>& phrases);

// Where a centre at (x, y) lies, fractions of the picture: "on the left", "in the lower half", "in the middle".
std::string_view place_in_picture(double x, double y);

}  // namespace silc::datasets
