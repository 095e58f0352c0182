#include "cli/templates.h"

#include <stdexcept>

namespace silc {

std::string_view template_text(std::string_view path) {
  for (const TemplateFile& file : template_files())
    if (file.path == path) return file.text;
  throw std::logic_error("there is no template " + std::string(path));
}

std::string fill_in(std::string_view text, const Words& words) {
  std::string result;
  while (!text.empty()) {
    const size_t begin = text.find('@');
    const size_t end = begin == std::string_view::npos ? begin : text.find('@', begin + 1);
    if (end == std::string_view::npos) break;
    const auto word = words.find(text.substr(begin + 1, end - begin - 1));
    const bool known = word != words.end();
    result += text.substr(0, known ? begin : end);
    if (known) result += word->second;
    text.remove_prefix(known ? end + 1 : end);
  }
  return result + std::string(text);
}

}  // namespace silc
