// Files of weights, whoever wrote them: safetensors, PyTorch's (torch.save since 1.6, and TorchScript), numpy's .npz
// and .npy. They are read as data; nothing that they name is run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace silc {

struct WeightShape {
  std::string dtype;  // as in safetensors: "F32", "BF16", …; what is none of those can be listed and not read
  std::vector<int64_t> shape;
};

class WeightsFile {
 public:
  virtual ~WeightsFile() = default;

  // "safetensors", "PyTorch", "TorchScript", "numpy"
  [[nodiscard]] virtual std::string_view format() const = 0;

  // By name; of a file of nested dictionaries, the keys with dots between: "state_dict.visual.proj".
  [[nodiscard]] const std::map<std::string, WeightShape>& tensors() const { return tensors_; }

  // Texts and numbers that stand beside the tensors, named in the same way.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // The elements, the last index fastest, little endian. Throws silc::Error naming the file and the tensor.
  [[nodiscard]] virtual std::vector<std::byte> read(const std::string& name) const = 0;

  // The same without a copy of what is mapped into memory, which is given back when `use` returns.
  virtual void visit(const std::string& name, const std::function<void(std::span<const std::byte>)>& use) const {
    use(read(name));
  }

 protected:
  std::map<std::string, WeightShape> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Opens a file by what is in it, whatever its name. Throws silc::Error naming it, for one of another kind or a damaged
// one.
std::unique_ptr<WeightsFile> open_weights(const std::filesystem::path& file);

}  // namespace silc
