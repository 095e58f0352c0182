#include "cli/warnings.h"

namespace silc {

nlohmann::ordered_json json_of(const std::vector<HealthWarning>& warnings) {
  auto json = nlohmann::ordered_json::array();
  for (const HealthWarning& warning : warnings) json.push_back(nlohmann::ordered_json(event_of(warning)));
  return json;
}

}  // namespace silc
