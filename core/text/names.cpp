#include "text/names.h"

namespace silc {

std::string quoted_list(std::span<const std::string> names, std::string_view conjunction) {
  const std::string before_last = conjunction.empty() ? ", " : " " + std::string(conjunction) + " ";
  std::string result;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) result += i + 1 == names.size() ? before_last : ", ";
    result += "\"" + names[i] + "\"";
  }
  return result;
}

std::string count(int64_t number, std::string_view what) {
  return std::to_string(number) + " " + std::string(what) + (number == 1 ? "" : "s");
}

}  // namespace silc
