// silc-engine fingerprint: what data sources hold at this moment.
#pragma once

#include <nlohmann/json.hpp>

#include "plugin/catalogue.h"

namespace silc {

// questions: [{"dataset", "split", "options"}] → [{"fingerprint"} or {"error"}] in the same order. Throws silc::Error
// for what is no such array.
nlohmann::json fingerprints(const nlohmann::json& questions, const Catalogue& catalogue);

}  // namespace silc
