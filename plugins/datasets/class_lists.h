// Lists of classes and prompts: those that come with silc, and people's own.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "silc/options.h"

namespace silc::datasets {

// Lines of plugins/datasets/classes/NAME.txt or prompts/NAME.txt, as they are in the library, without comments.
std::vector<std::string> built_in_list(std::string_view name);

// The same of a file: without comments (#) and empty lines. Throws silc::Error naming the file where it cannot be read,
// is not UTF-8 or has nothing.
std::vector<std::string> read_list(const std::filesystem::path& file);

inline constexpr auto kPrompts =
    choice_option("prompts", "photo", "photo|imagenet|cifar",
                  "for zero-shot evaluation: \"a photo of a {}\", or CLIP's 80 for ImageNet, "
                  "or its 18 for CIFAR");

std::vector<std::string> prompts_named(const std::string& name);

// Captions of a dataset that has only classes.
inline constexpr auto kClassCaptions = texts_option(
    "captions", "a photo of a {}", "captions of a picture, of which training draws one; {} stands for the class name");

// The patterns with `name` for "{}". Throws silc::Error where there are none.
std::vector<std::string> captions_naming(const Texts& patterns, std::string_view name);

// The classes of label maps: names, and which value of a map means which of them.
class LabelClasses {
 public:
  // Lines "VALUE<tab>NAME", the name "-" for values that mean no class. Throws silc::Error naming `source`.
  LabelClasses(const std::vector<std::string>& lines, std::string_view source);

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  // Pixel classes as in Sample::mask; 255 means no class unless the list says otherwise. Throws silc::Error naming
  // `source` for a value that the list does not have.
  [[nodiscard]] std::vector<uint8_t> classes_of(const std::vector<uint16_t>& values, std::string_view source) const;

 private:
  static constexpr uint16_t kUnknown = 256;

  std::vector<std::string> names_;
  std::vector<uint16_t> class_of_;  // by value: index into names_, kIgnoreLabel or kUnknown
};

}  // namespace silc::datasets
