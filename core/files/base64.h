// Bytes as text, for JSON and pages. No LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace silc {

// RFC 4648, with padding.
std::string base64(std::span<const uint8_t> bytes);

// Nothing for what is no such text.
std::optional<std::vector<uint8_t>> from_base64(std::string_view text);

}  // namespace silc
