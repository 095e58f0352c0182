#include "weights/weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "files/durable_file.h"
#include "files/safetensors.h"
#include "silc/error.h"
#include "weights/archive.h"
#include "weights/element_types.h"
#include "weights/npy.h"
#include "weights/pickle.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostDimensions = 64;

// The elements of `bytes` that shape and strides name, one after the other. Everything lies within `bytes`.
std::vector<std::byte> contiguous(std::span<const std::byte> bytes, std::size_t element,
                                  const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  std::vector<std::byte> result;
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  result.resize(static_cast<std::size_t>(count) * element);
  std::vector<int64_t> index(shape.size(), 0);
  int64_t offset = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(result.data() + static_cast<std::size_t>(i) * element,
                bytes.data() + static_cast<std::size_t>(offset) * element, element);
    for (std::size_t d = shape.size(); d-- > 0;) {
      offset += strides[d];
      if (++index[d] < shape[d]) break;
      offset -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
  return result;
}

// Those of a tensor whose last (or first) index is the fastest.
std::vector<int64_t> plain_strides(const std::vector<int64_t>& shape, bool first_fastest = false) {
  std::vector<int64_t> strides(shape.size(), 1);
  int64_t stride = 1;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    const std::size_t d = first_fastest ? k : shape.size() - 1 - k;
    strides[d] = stride;
    stride *= std::max<int64_t>(shape[d], 1);
  }
  return strides;
}

class Safetensors : public WeightsFile {
 public:
  explicit Safetensors(const fs::path& file) : file_(file) {
    for (const auto& [name, view] : file_.tensors()) tensors_[name] = {.dtype = view.dtype, .shape = view.shape};
    metadata_ = file_.metadata();
  }
  [[nodiscard]] std::string_view format() const override { return "safetensors"; }
  [[nodiscard]] std::vector<std::byte> read(const std::string& name) const override {
    const auto bytes = file_.tensors().at(name).bytes;
    return {bytes.begin(), bytes.end()};
  }
  void visit(const std::string& name, const std::function<void(std::span<const std::byte>)>& use) const override {
    const auto bytes = file_.tensors().at(name).bytes;
    use(bytes);
    release(bytes);
  }

 private:
  SafetensorsFile file_;
};

// An archive NAME/data.pkl, with the storages NAME/data/KEY.
class PyTorch : public WeightsFile {
 public:
  PyTorch(const fs::path& file, Archive archive, const std::string& pickle_name)
      : file_(file),
        archive_(std::move(archive)),
        folder_(pickle_name.substr(0, pickle_name.size() - std::string_view("data.pkl").size())),
        script_(archive_.entries().contains(folder_ + "constants.pkl")) {
    constexpr uint64_t kLargestPickle = uint64_t{1} << 30;
    const std::string byteorder = folder_ + "byteorder";
    if (archive_.entries().contains(byteorder) && archive_.read(byteorder, 8) == as_bytes("big"))
      throw Error(file.string() + " was written on a big-endian machine, whose tensors cannot be read here");
    const pickle::Pickle pickle(archive_.read(pickle_name, kLargestPickle), file.string() + ": " + pickle_name);
    add("", pickle.value(), 0);
  }

  [[nodiscard]] std::string_view format() const override { return script_ ? "TorchScript" : "PyTorch"; }

  [[nodiscard]] std::vector<std::byte> read(const std::string& name) const override {
    const pickle::Tensor& tensor = places_.at(name);
    const std::string entry = folder_ + "data/" + tensor.storage;
    if (!archive_.entries().contains(entry)) fail(name, "its storage " + entry + " is missing");
    const std::size_t element = element_size(tensor.dtype);
    if (element == 0) fail(name, "its type cannot be read");
    // From the first to the last element of the storage that it has.
    if (std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end()) return {};
    uint64_t last = 0;
    for (std::size_t d = 0; d < tensor.shape.size(); ++d) {
      uint64_t extent = 0;
      if (tensor.strides[d] < 0 ||
          __builtin_mul_overflow(static_cast<uint64_t>(tensor.shape[d] - 1), static_cast<uint64_t>(tensor.strides[d]),
                                 &extent) ||
          __builtin_add_overflow(last, extent, &last))
        fail(name, "its strides are none");
    }
    uint64_t begin = 0, size = 0, end = 0;
    const bool fits = tensor.offset >= 0 && last < UINT64_MAX &&
                      !__builtin_mul_overflow(static_cast<uint64_t>(tensor.offset), element, &begin) &&
                      !__builtin_mul_overflow(last + 1, element, &size) && !__builtin_add_overflow(begin, size, &end) &&
                      end <= archive_.entries().at(entry).size;
    // Without strides of 0, no tensor has more elements than its storage.
    const auto whole = byte_size(tensor.dtype, tensor.shape);
    if (!fits || !whole || *whole > size) fail(name, "it does not lie within its storage");
    std::vector<std::byte> bytes = archive_.read(entry, size, begin);
    if (bytes.size() < size) fail(name, "its storage is cut short");
    if (tensor.strides == plain_strides(tensor.shape)) return bytes;
    return contiguous(bytes, element, tensor.shape, tensor.strides);
  }

 private:
  static std::vector<std::byte> as_bytes(std::string_view text) {
    const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
  }

  [[noreturn]] void fail(const std::string& name, const std::string& fault) const {
    throw Error(file_.string() + ": tensor \"" + name + "\" cannot be read: " + fault +
                "; the file is damaged: fetch or write it again");
  }

  void add(const std::string& name, const pickle::Value& value, int depth) {
    constexpr int kDeepest = 64;
    constexpr int64_t kMost = 10'000'000;
    if (depth > kDeepest || ++visited_ > kMost)
      throw Error(file_.string() + " holds values within values beyond reason; it is damaged, or made to do harm");
    const auto below = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
    using Kind = pickle::Value::Kind;
    switch (value.kind) {
      case Kind::tensor:
        if (!byte_size(value.tensor.dtype, value.tensor.shape) || value.tensor.shape.size() > kMostDimensions)
          fail(name, "its shape is none");
        tensors_[name] = {.dtype = value.tensor.dtype.empty() ? "?" : value.tensor.dtype, .shape = value.tensor.shape};
        places_[name] = value.tensor;
        return;
      case Kind::text:
        metadata_[name] = value.text;
        return;
      case Kind::boolean:
      case Kind::integer:
        metadata_[name] = std::to_string(value.integer);
        return;
      case Kind::number:
        metadata_[name] = std::to_string(value.number);
        return;
      case Kind::sequence:
      case Kind::dictionary:
      case Kind::object:
        for (std::size_t i = 0; i < value.items.size(); ++i) add(below(std::to_string(i)), *value.items[i], depth + 1);
        for (const auto& [key, entry] : value.entries)
          add(below(key->kind == Kind::text ? key->text : std::to_string(key->integer)), *entry, depth + 1);
        return;
      case Kind::none:
      case Kind::global:
      case Kind::storage:
        return;
    }
  }

  fs::path file_;
  Archive archive_;
  std::string folder_;  // "archive/"
  bool script_;
  std::map<std::string, pickle::Tensor> places_;
  int64_t visited_ = 0;
};

// A .npz.
class Numpy : public WeightsFile {
 public:
  Numpy(const fs::path& file, Archive archive) : file_(file), archive_(std::move(archive)) {
    for (const auto& [entry, info] : archive_.entries()) {
      if (!entry.ends_with(".npy")) continue;
      const NpyHead head =
          read_npy_head(archive_.read(entry, std::min(info.size, kNpyHead)), file.string() + ": " + entry);
      const std::string name = entry.substr(0, entry.size() - 4);
      tensors_[name] = {.dtype = head.dtype, .shape = head.shape};
      heads_[name] = head;
    }
  }
  [[nodiscard]] std::string_view format() const override { return "numpy"; }
  [[nodiscard]] std::vector<std::byte> read(const std::string& name) const override {
    const NpyHead& head = heads_.at(name);
    const std::string entry = name + ".npy";
    const auto size = byte_size(head.dtype, head.shape);
    if (element_size(head.dtype) == 0 || !size || *size != archive_.entries().at(entry).size - head.size)
      throw Error(file_.string() + ": " + entry + " cannot be read: " +
                  (element_size(head.dtype) == 0 ? "its type is " + head.dtype : "its size is not that of its shape"));
    std::vector<std::byte> bytes = archive_.read(entry, *size, head.size);
    if (bytes.size() != *size) throw Error(file_.string() + ": " + entry + " is cut short");
    if (!head.fortran_order || head.shape.size() < 2 || bytes.empty()) return bytes;
    return contiguous(bytes, element_size(head.dtype), head.shape, plain_strides(head.shape, true));
  }

 private:
  fs::path file_;
  Archive archive_;
  std::map<std::string, NpyHead> heads_;
};

std::string beginning(const fs::path& file) {
  std::error_code error;
  if (fs::is_directory(file, error)) throw Error(file.string() + " is a folder; name a file of weights in it");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error("cannot read " + file.string() + ": " + std::strerror(errno));
  std::string bytes(16, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(stream.gcount()));
  return bytes;
}

}  // namespace

std::unique_ptr<WeightsFile> open_weights(const fs::path& file) {
  constexpr std::string_view kLegacy("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14);
  const std::string bytes = beginning(file);
  if (bytes.starts_with("PK\x03\x04")) {
    Archive archive(file);
    for (const auto& [name, entry] : archive.entries())
      if (name == "data.pkl" || name.ends_with("/data.pkl"))
        return std::make_unique<PyTorch>(file, std::move(archive), name);
    const bool arrays = std::any_of(archive.entries().begin(), archive.entries().end(),
                                    [](const auto& entry) { return entry.first.ends_with(".npy"); });
    if (arrays) return std::make_unique<Numpy>(file, std::move(archive));
    throw Error(file.string() +
                " is a zip archive, but neither of PyTorch nor of numpy: it has no data.pkl and no .npy");
  }
  if (std::string_view(bytes).starts_with(kLegacy))
    throw Error(
        file.string() +
        " is in the format that torch.save() had before 1.6; load it with torch and save it again, or as safetensors");
  if (bytes.size() > 8 && bytes[8] == '{') return std::make_unique<Safetensors>(file);
  throw Error(file.string() + " is no file of weights that is known: safetensors, PyTorch (since 1.6) or numpy's .npz");
}

}  // namespace silc
