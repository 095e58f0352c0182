// --help as documentation. No LibTorch.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Formatter.hpp>

namespace silc {

// An app's description is one line, then, after an empty line, what there is to say; its footer is shown as an example.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

}  // namespace silc
