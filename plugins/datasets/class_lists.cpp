#include "plugins/datasets/class_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "plugins/datasets/embedded_lists.h"
#include "plugins/datasets/files.h"
#include "silc/dataset.h"

namespace silc::datasets {
namespace {

std::vector<std::string> lines_of(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && line[0] != '#') lines.emplace_back(line);
  }
  return lines;
}

}  // namespace

std::vector<std::string> built_in_list(std::string_view name) {
  for (const EmbeddedList& list : embedded_lists())
    if (list.name == name) return lines_of(list.text);
  throw std::logic_error(fmt::format("there is no list {}", name));
}

std::vector<std::string> read_list(const std::filesystem::path& file) {
  const std::vector<uint8_t> bytes = file_bytes(file);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!is_utf8(text)) throw Error(file.string() + ": is not UTF-8");
  std::vector<std::string> lines = lines_of(text);
  if (lines.empty()) throw Error(file.string() + ": has no lines but comments");
  return lines;
}

std::vector<std::string> prompts_named(const std::string& name) {
  if (name == "photo") return {"a photo of a {}"};
  return built_in_list("prompts/" + name);
}

std::vector<std::string> captions_naming(const Texts& patterns, std::string_view name) {
  if (patterns.empty()) throw Error("option \"captions\" is an empty list: every picture needs a caption");
  std::vector<std::string> captions = patterns;
  for (std::string& caption : captions)
    if (const std::size_t at = caption.find("{}"); at != std::string::npos) caption.replace(at, 2, name);
  return captions;
}

LabelClasses::LabelClasses(const std::vector<std::string>& lines, std::string_view source) : class_of_(256, kUnknown) {
  class_of_[kIgnoreLabel] = kIgnoreLabel;
  std::set<std::string> known;
  std::set<unsigned> values;
  for (const std::string& line : lines) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    const auto at = static_cast<std::size_t>(end - line.data());
    if (error != std::errc() || value > 65535 || at + 1 >= line.size() || line[at] != '\t')
      throw Error(
          fmt::format("{}: \"{}\" is no line of a class list, which has the value in label maps, a tab, and the "
                      "class's name or \"-\" for no class",
                      source, line));
    const std::string name = line.substr(at + 1);
    if (!values.insert(value).second) throw Error(fmt::format("{}: the value {} is there twice", source, value));
    if (value >= class_of_.size()) class_of_.resize(value + 1, kUnknown);
    if (name == "-") {
      class_of_[value] = kIgnoreLabel;
      continue;
    }
    if (!known.insert(name).second) throw Error(fmt::format("{}: the class \"{}\" is there twice", source, name));
    class_of_[value] = static_cast<uint16_t>(names_.size());
    names_.push_back(name);
  }
  if (names_.empty() || names_.size() > kIgnoreLabel)
    throw Error(fmt::format("{}: {} classes; masks of one byte hold 1 to {}", source, names_.size(), kIgnoreLabel));
}

std::vector<uint8_t> LabelClasses::classes_of(const std::vector<uint16_t>& values, std::string_view source) const {
  std::vector<uint8_t> classes(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const uint16_t value = values[i];
    const uint16_t label = value < class_of_.size() ? class_of_[value] : kUnknown;
    if (label == kUnknown)
      throw Error(fmt::format("{}: a pixel has the value {}, which the list of {} classes does not have", source, value,
                              names_.size()));
    classes[i] = static_cast<uint8_t>(label);
  }
  return classes;
}

}  // namespace silc::datasets
