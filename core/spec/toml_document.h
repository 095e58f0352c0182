// TOML text to settings and back: the one place that knows toml++. No LibTorch.
#pragma once

#include <optional>
#include <string>

#include "spec/setting.h"

namespace silc {

// Nothing, and a fault added, where the syntax is wrong.
std::optional<Setting> parse_toml(const std::string& text, const std::string& file, Faults& faults);

// KEY=VALUE as it is given to --set.
std::optional<Setting> parse_assignment(const std::string& assignment, Faults& faults);

// A document with a [header] for each table and each element of an array of tables, in the order of `root`.
std::string write_toml(const Setting& root);

}  // namespace silc
