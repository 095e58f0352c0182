// The texts of plugins/datasets/classes and prompts, made into a source by core/cmake/embed_texts.cmake.
#pragma once

#include <span>
#include <string_view>

namespace silc::datasets {

struct EmbeddedList {
  std::string_view name;  // "classes/voc20"
  std::string_view text;
};

std::span<const EmbeddedList> embedded_lists();

}  // namespace silc::datasets
