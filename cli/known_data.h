// Data as they are named on the command line: a dataset, or a file or folder. No LibTorch.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "plugin/catalogue.h"

namespace silc {

// `subject`: a dataset's name, or a path whose layout silc knows: the dataset, with the options that name the path.
// Throws silc::Error for a path that looks like none.
std::pair<std::string, nlohmann::json> find_data(const Catalogue& catalogue, const std::string& subject);

}  // namespace silc
