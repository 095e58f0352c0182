#include "engine/conformance/text_check.h"

#include <nlohmann/json.hpp>

namespace silc::conformance {

bool is_utf8(std::string_view text) {
  try {
    static_cast<void>(nlohmann::json(std::string(text)).dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace silc::conformance
