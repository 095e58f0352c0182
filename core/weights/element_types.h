// The types of a tensor's elements, by the names that safetensors gives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace silc {

// Bytes of an element of type "F32", "BF16", …; 0: there is no such type.
std::size_t element_size(std::string_view dtype);

// Whether its elements are no integers.
bool is_floating(std::string_view dtype);

// Bytes of a tensor; nothing where that is more than can be, or an extent is negative.
std::optional<uint64_t> byte_size(std::string_view dtype, std::span<const int64_t> shape);

// The elements of a buffer as numbers; what is left of a last one is none. Types of 8 bits that are no integers give
// NaN.
void read_elements(std::string_view dtype, std::span<const std::byte> bytes, std::vector<double>& values);

}  // namespace silc
