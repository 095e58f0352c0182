#include "files/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "files/descriptor.h"
#include "files/durable_file.h"
#include "silc/error.h"

namespace silc {

namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors files are mapped as they are");

struct Dtype {
  std::string_view name;
  uint64_t size;  // bytes of an element
};

// In the order in which the format's own implementation lays tensors out, from last to first.
constexpr std::array<Dtype, 15> kDtypes{{{"BOOL", 1},
                                         {"U8", 1},
                                         {"I8", 1},
                                         {"F8_E5M2", 1},
                                         {"F8_E4M3", 1},
                                         {"I16", 2},
                                         {"U16", 2},
                                         {"F16", 2},
                                         {"BF16", 2},
                                         {"I32", 4},
                                         {"U32", 4},
                                         {"F32", 4},
                                         {"F64", 8},
                                         {"I64", 8},
                                         {"U64", 8}}};

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kLargestHeader = 100'000'000;  // as in the format's own implementation
constexpr std::string_view kMetadata = "__metadata__";

std::optional<std::size_t> dtype_index(std::string_view name) {
  const auto* found = std::ranges::find(kDtypes, name, &Dtype::name);
  if (found == kDtypes.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kDtypes.begin());
}

// Reads the header of one file; every fault is an error that names the file.
class HeaderReader {
 public:
  HeaderReader(const std::filesystem::path& file, std::span<const std::byte> bytes) : file_(file), bytes_(bytes) {}

  void read(std::map<std::string, TensorView>& tensors, std::map<std::string, std::string>& metadata) {
    const Json header = parse(header_text());
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    for (const auto& [name, entry] : header.items()) {
      if (name == kMetadata)
        metadata = read_metadata(entry);
      else
        tensors.emplace(name, read_tensor(name, entry, ranges));
    }
    check_cover(ranges);
  }

 private:
  [[noreturn]] void fail(const std::string& fault) const {
    throw Error(file_.string() + " is not a sound safetensors file: " + fault +
                "; it is damaged or of another format: fetch or write it again");
  }

  std::string_view header_text() {
    if (bytes_.size() < kLengthBytes) fail("it has " + std::to_string(bytes_.size()) + " bytes, a header needs 8");
    uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), kLengthBytes);
    if (length > kLargestHeader || length > bytes_.size() - kLengthBytes)
      fail("its header claims " + std::to_string(length) + " bytes");
    data_ = bytes_.subspan(kLengthBytes + length);
    return {reinterpret_cast<const char*>(bytes_.data()) + kLengthBytes, length};
  }

  Json parse(std::string_view text) const {
    // The format's header starts with its brace: nothing that hides before it.
    if (!text.starts_with('{')) fail("its header is not a JSON object");
    // JSON leaves open which of two equal keys counts.
    std::vector<std::set<std::string>> keys;
    const auto visit = [&](int, Json::parse_event_t event, Json& value) {
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
        fail("its header names " + value.dump(-1, ' ', false, Json::error_handler_t::replace) + " twice");
      return true;
    };
    try {
      return Json::parse(text, visit);
    } catch (const Json::parse_error& error) {
      fail("byte " + std::to_string(error.byte) + " of its header is not JSON");
    } catch (const Json::out_of_range&) {
      fail("its header has a number that is too large");
    }
  }

  std::map<std::string, std::string> read_metadata(const Json& entry) const {
    if (!entry.is_object()) fail("its metadata is not an object");
    std::map<std::string, std::string> metadata;
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail("its metadata \"" + key + "\" is not a text");
      metadata.emplace(key, value.get<std::string>());
    }
    return metadata;
  }

  TensorView read_tensor(const std::string& name, const Json& entry,
                         std::vector<std::pair<uint64_t, uint64_t>>& ranges) const {
    const std::string tensor = "tensor \"" + name + "\"";
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets") || !entry["dtype"].is_string())
      fail(tensor + " needs dtype, shape and data_offsets, and nothing else");

    TensorView view;
    view.dtype = entry["dtype"].get<std::string>();
    const auto dtype = dtype_index(view.dtype);
    if (!dtype) fail(tensor + " has the unknown dtype \"" + view.dtype + "\"");
    for (const uint64_t extent : read_sizes(entry["shape"], tensor + ": shape"))
      view.shape.push_back(static_cast<int64_t>(extent));

    const std::vector<uint64_t> offsets = read_sizes(entry["data_offsets"], tensor + ": data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_.size())
      fail(tensor + " lies outside the file's data");
    if (byte_size(kDtypes[*dtype].name, view.shape) != offsets[1] - offsets[0])
      fail(tensor + " has another size than its dtype and shape say");
    view.bytes = data_.subspan(offsets[0], offsets[1] - offsets[0]);
    ranges.emplace_back(offsets[0], offsets[1]);
    return view;
  }

  std::vector<uint64_t> read_sizes(const Json& array, const std::string& place) const {
    std::vector<uint64_t> sizes;
    if (!array.is_array()) fail(place + " is not an array");
    for (const Json& number : array) {
      if (!number.is_number_unsigned() || number.get<uint64_t>() > std::numeric_limits<int64_t>::max())
        fail(place + " holds something that is no size");
      sizes.push_back(number.get<uint64_t>());
    }
    return sizes;
  }

  // Every byte of data belongs to one tensor.
  void check_cover(std::vector<std::pair<uint64_t, uint64_t>>& ranges) const {
    std::ranges::sort(ranges);
    uint64_t end = 0;
    for (const auto& range : ranges) {
      if (range.first != end) fail("tensors overlap, or leave a hole, at byte " + std::to_string(end) + " of its data");
      end = range.second;
    }
    if (end != data_.size()) fail("its data has " + std::to_string(data_.size() - end) + " bytes too many");
  }

  const std::filesystem::path& file_;
  std::span<const std::byte> bytes_;
  std::span<const std::byte> data_;
};

// By hand, because the format's own implementation keeps this order of keys.
std::string tensor_header(const std::string& name, const TensorShape& tensor, uint64_t offset, uint64_t size) {
  return Json(name).dump() + R"(:{"dtype":")" + tensor.dtype + R"(","shape":)" + Json(tensor.shape).dump() +
         R"(,"data_offsets":)" + Json({offset, offset + size}).dump() + "}";
}

}  // namespace

std::size_t element_size(std::string_view dtype) {
  const std::optional<std::size_t> index = dtype_index(dtype);
  return index ? kDtypes[*index].size : 0;
}

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

std::optional<uint64_t> byte_size(std::string_view dtype, std::span<const int64_t> shape) {
  uint64_t size = element_size(dtype);
  for (const int64_t extent : shape)
    if (extent < 0 || __builtin_mul_overflow(size, static_cast<uint64_t>(extent), &size)) return std::nullopt;
  return size;
}

void write_safetensors(const std::filesystem::path& file, const std::map<std::string, TensorShape>& tensors,
                       const std::map<std::string, std::string>& metadata,
                       const std::function<std::span<const std::byte>(const std::string& name)>& bytes_of) {
  std::vector<std::pair<std::size_t, const std::pair<const std::string, TensorShape>*>> order;
  for (const auto& tensor : tensors) {
    const auto dtype = dtype_index(tensor.second.dtype);
    if (!dtype || !byte_size(tensor.second.dtype, tensor.second.shape) || tensor.first == kMetadata)
      throw std::logic_error("tensor \"" + tensor.first + "\" has no such dtype, shape or name");
    order.emplace_back(*dtype, &tensor);
  }
  std::ranges::stable_sort(order, std::greater<>{}, [](const auto& entry) { return entry.first; });

  std::string header = "{";
  if (!metadata.empty()) header.append("\"").append(kMetadata).append("\":").append(Json(metadata).dump());
  uint64_t offset = 0;
  for (const auto& [dtype, tensor] : order) {
    if (header.size() > 1) header += ',';
    const uint64_t size = *byte_size(tensor->second.dtype, tensor->second.shape);
    header += tensor_header(tensor->first, tensor->second, offset, size);
    offset += size;
  }
  header += '}';
  header.resize((header.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');

  const uint64_t length = header.size();
  write_file_durably(file, 2 + order.size(), [&](std::size_t i) -> std::string_view {
    if (i == 0) return {reinterpret_cast<const char*>(&length), kLengthBytes};
    if (i == 1) return header;
    const auto& [name, tensor] = *order[i - 2].second;
    const std::span<const std::byte> bytes = bytes_of(name);
    if (bytes.size() != byte_size(tensor.dtype, tensor.shape))
      throw std::logic_error("tensor \"" + name + "\" does not fit its dtype and shape");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  });
}

void write_safetensors(const std::filesystem::path& file, const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::map<std::string, TensorShape> shapes;
  for (const auto& [name, view] : tensors) shapes[name] = {view.dtype, view.shape};
  write_safetensors(file, shapes, metadata, [&](const std::string& name) { return tensors.at(name).bytes; });
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file) {
  const Descriptor descriptor = open_file(file, O_RDONLY | O_CLOEXEC, "read");
  struct stat status {};
  if (::fstat(descriptor.number(), &status) != 0) throw_io_error("read", file, errno);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > 0) {
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.number(), 0);
    if (mapped == MAP_FAILED) throw_io_error("read", file, errno);
    mapping_ = {static_cast<const std::byte*>(mapped), size};
  }
  try {
    HeaderReader(file, mapping_).read(tensors_, metadata_);
  } catch (...) {
    unmap();
    throw;
  }
}

void SafetensorsFile::unmap() {
  if (!mapping_.empty()) ::munmap(const_cast<std::byte*>(mapping_.data()), mapping_.size());
  mapping_ = {};
}

SafetensorsFile::~SafetensorsFile() { unmap(); }

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : mapping_(std::exchange(other.mapping_, {})),
      tensors_(std::move(other.tensors_)),
      metadata_(std::move(other.metadata_)) {}

void release(std::span<const std::byte> bytes) {
  // Whole pages; those at the ends may hold what lies beside.
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace silc
