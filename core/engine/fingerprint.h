// silc-engine fingerprint: what data sources hold at this moment.
#pragma once

#include <nlohmann/json.hpp>

#include "plugin/catalogue.h"

namespace silc {

// questions: [{"dataset", "split", "options", "pictures"}] → [{"fingerprint", "size", "pictures"} or {"error"}] in the
// same order. "pictures", which may be left out, is how many of them are looked at: the answer has the size of the
// split and hashes of so many of its pictures, spread over it at places that depend on its size alone, without those
// that cannot be read. Throws silc::Error for what is no such array.
nlohmann::json fingerprints(const nlohmann::json& questions, const Catalogue& catalogue);

}  // namespace silc
