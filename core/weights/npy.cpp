#include "weights/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "silc/error.h"

namespace silc {
namespace {

// bfloat16 is no type of numpy: ml_dtypes and JAX write it as two bytes of nothing.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kTypes{{{"<f8", "F64"},
                                                                                {"<f4", "F32"},
                                                                                {"<f2", "F16"},
                                                                                {"<V2", "BF16"},
                                                                                {"|V2", "BF16"},
                                                                                {"<i8", "I64"},
                                                                                {"<i4", "I32"},
                                                                                {"<i2", "I16"},
                                                                                {"|i1", "I8"},
                                                                                {"<u8", "U64"},
                                                                                {"<u4", "U32"},
                                                                                {"<u2", "U16"},
                                                                                {"|u1", "U8"},
                                                                                {"|b1", "BOOL"},
                                                                                {"bfloat16", "BF16"},
                                                                                {"<i1", "I8"}}};

// What follows "'KEY':" in the text of a dictionary of Python, without leading spaces.
std::string_view value_of(std::string_view text, std::string_view key) {
  std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  at = text.find_first_not_of(": '\"", at + key.size());
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

}  // namespace

NpyHead read_npy_head(std::span<const std::byte> bytes, const std::string& name) {
  const auto fail = [&](const std::string& fault) { throw Error(name + " is no sound .npy: " + fault); };
  constexpr std::string_view kMagic = "\x93NUMPY";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic) || text.size() < 12) fail("it does not begin as one");
  const bool wide = text[6] != 1;  // versions 2 and 3 have four bytes of length
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, wide ? 4 : 2);
  const std::size_t begin = wide ? 12 : 10;
  if (length > text.size() - begin) fail("its head claims " + std::to_string(length) + " bytes");
  const std::string_view head = text.substr(begin, length);
  NpyHead result;
  result.size = begin + length;
  const std::string_view type = value_of(head, "'descr'");
  result.dtype = std::string(type.substr(0, type.find_first_of("'\"")));
  for (const auto& [numpy, dtype] : kTypes)
    if (numpy == result.dtype) {
      result.dtype = std::string(dtype);
      break;
    }
  result.fortran_order = value_of(head, "'fortran_order'").starts_with("True");
  std::string_view shape = value_of(head, "'shape'");
  if (!shape.starts_with('(') || shape.find(')') == std::string_view::npos) fail("its head names no shape");
  for (shape = shape.substr(1, shape.find(')') - 1); !shape.empty();) {
    int64_t extent = 0;
    const auto [end, error] = std::from_chars(shape.data(), shape.data() + shape.size(), extent);
    if (error != std::errc() || extent < 0) fail("its shape is not one of numbers");
    result.shape.push_back(extent);
    shape.remove_prefix(static_cast<std::size_t>(end - shape.data()));
    shape.remove_prefix(std::min(shape.find_first_not_of(", L"), shape.size()));
  }
  return result;
}

}  // namespace silc
