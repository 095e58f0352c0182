// The page's style and script, which are part of the program (registry/page/embed.cmake).
#pragma once

#include <string_view>

namespace silc {

std::string_view page_style();
std::string_view page_script();
std::string_view page_script_hash();  // "sha256-…": as a Content-Security-Policy names the script

}  // namespace silc
