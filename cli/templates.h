// The files of cli/templates, with places to fill in. They are part of the program, so that it needs nothing beside it.
// No LibTorch.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace silc {

struct TemplateFile {
  std::string_view path;  // below cli/templates: "objective/plugin.cpp.in"
  std::string_view text;
};

std::span<const TemplateFile> template_files();

// Throws std::logic_error for a file that is not there.
std::string_view template_text(std::string_view path);

using Words = std::map<std::string, std::string, std::less<>>;

// @KEY@ becomes the word of KEY; what is no key stays.
std::string fill_in(std::string_view text, const Words& words);

}  // namespace silc
