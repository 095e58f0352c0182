#include "weights/element_types.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace silc {
namespace {

double bfloat16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

double float16(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F;
  const double fraction = bits & 0x3FF;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 0x1F) return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  return exponent == 0 ? sign * std::ldexp(fraction, -24) : sign * std::ldexp(fraction + 1024, exponent - 25);
}

template <class Element, class Convert>
void read_as(std::span<const std::byte> bytes, std::vector<double>& values, Convert convert) {
  values.resize(bytes.size() / sizeof(Element));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Element element;
    std::memcpy(&element, bytes.data() + i * sizeof(Element), sizeof(Element));
    values[i] = convert(element);
  }
}

template <class Element>
void read_numbers(std::span<const std::byte> bytes, std::vector<double>& values) {
  read_as<Element>(bytes, values, [](Element element) { return static_cast<double>(element); });
}

}  // namespace

bool is_floating(std::string_view dtype) { return dtype.starts_with('F') || dtype == "BF16"; }

void read_elements(std::string_view dtype, std::span<const std::byte> bytes, std::vector<double>& values) {
  if (dtype == "F32") return read_numbers<float>(bytes, values);
  if (dtype == "F64") return read_numbers<double>(bytes, values);
  if (dtype == "F16") return read_as<uint16_t>(bytes, values, float16);
  if (dtype == "BF16") return read_as<uint16_t>(bytes, values, bfloat16);
  if (dtype == "I64") return read_numbers<int64_t>(bytes, values);
  if (dtype == "U64") return read_numbers<uint64_t>(bytes, values);
  if (dtype == "I32") return read_numbers<int32_t>(bytes, values);
  if (dtype == "U32") return read_numbers<uint32_t>(bytes, values);
  if (dtype == "I16") return read_numbers<int16_t>(bytes, values);
  if (dtype == "U16") return read_numbers<uint16_t>(bytes, values);
  if (dtype == "I8") return read_numbers<int8_t>(bytes, values);
  if (dtype == "U8" || dtype == "BOOL") return read_numbers<uint8_t>(bytes, values);
  values.assign(bytes.size(), std::nan(""));
}

bool has_values(std::string_view dtype) {
  static constexpr std::array<std::string_view, 13> kTypes = {"F32", "F64", "F16", "BF16", "I64", "U64", "I32",
                                                              "U32", "I16", "U16", "I8",   "U8",  "BOOL"};
  return std::find(kTypes.begin(), kTypes.end(), dtype) != kTypes.end();
}

void read_as_floats(std::string_view dtype, std::span<const std::byte> bytes, std::span<float> values) {
  if (dtype == "F32") {
    std::memcpy(values.data(), bytes.data(), std::min(bytes.size(), values.size_bytes()));
    return;
  }
  // In parts, so that there is no second copy of twice the size.
  constexpr std::size_t kPart = std::size_t{1} << 18;  // bytes, a multiple of every type's
  std::vector<double> part;
  for (std::size_t at = 0, next = 0; at < bytes.size(); at += kPart) {
    read_elements(dtype, bytes.subspan(at, std::min(kPart, bytes.size() - at)), part);
    for (const double value : part)
      if (next < values.size()) values[next++] = static_cast<float>(value);
  }
}

}  // namespace silc
