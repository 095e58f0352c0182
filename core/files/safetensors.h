// The safetensors format (Hugging Face): 8 bytes of header length, a JSON header, then raw little-endian tensors.
// No LibTorch: tensors are bytes with a type and a shape. core/engine turns them into at::Tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace silc {

// Bytes of an element of one of the format's types, "F32", "BF16", …; 0: there is no such type.
std::size_t element_size(std::string_view dtype);

// Bytes of a tensor; nothing where that is more than can be, or an extent is negative.
std::optional<uint64_t> byte_size(std::string_view dtype, std::span<const int64_t> shape);

// "[512, 64]"
std::string shape_text(std::span<const int64_t> shape);

struct TensorView {
  std::string dtype;  // "F32", "BF16", "F64", "I64", "U8", "BOOL", …
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// The same content gives the same bytes, those of the Python package `safetensors`: tensors by size of their type,
// largest first, so that each is aligned to its type, then by name; metadata by key. Written durably.
void write_safetensors(const std::filesystem::path& file, const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata);

struct TensorShape {
  std::string dtype;
  std::vector<int64_t> shape;
};

// The same of tensors that need not be in memory together: `bytes_of` is asked for each when its turn comes, and what
// it gives need only live until it is asked for the next.
void write_safetensors(const std::filesystem::path& file, const std::map<std::string, TensorShape>& tensors,
                       const std::map<std::string, std::string>& metadata,
                       const std::function<std::span<const std::byte>(const std::string& name)>& bytes_of);

// A safetensors file mapped into memory; views are valid as long as it lives. Opening checks the header fully (lengths,
// offsets, overlaps, holes, types against sizes) and throws silc::Error naming the file and the fault.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& file);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  [[nodiscard]] const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  void unmap();

  std::span<const std::byte> mapping_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Tells the system that these bytes of a mapped file will not be needed soon, so that they take no memory.
void release(std::span<const std::byte> bytes);

}  // namespace silc
