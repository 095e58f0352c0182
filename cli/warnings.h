// Warnings of sick training, for machines.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "files/run_folder.h"

namespace silc {

// [{"step", "check", "metric", "value", "message"}]
nlohmann::ordered_json json_of(const std::vector<HealthWarning>& warnings);

}  // namespace silc
