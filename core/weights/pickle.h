// Python's pickles as data: nothing that one names is imported, called or made. Tensors are recognised by the names of
// the functions that would rebuild them; objects of all other classes stay what they are, names with arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace silc::pickle {

// A tensor in a storage of a PyTorch file.
struct Tensor {
  std::string storage;  // its key
  std::string dtype;    // as in safetensors
  int64_t offset = 0;   // in elements
  std::vector<int64_t> shape, strides;
};

struct Value {
  enum class Kind : uint8_t {
    none,
    boolean,
    integer,
    number,
    text,
    sequence,
    dictionary,
    global,
    storage,
    tensor,
    object
  };
  Kind kind = Kind::none;
  int64_t integer = 0;  // of boolean and integer
  double number = 0;
  std::string text;                 // of text; "module name" of global and object; the key of storage
  std::string dtype;                // of storage
  std::vector<const Value*> items;  // of sequence; an object's arguments
  std::vector<std::pair<const Value*, const Value*>> entries;  // of dictionary; an object's state
  Tensor tensor;
};

// What a pickle holds. Values live as long as it does.
class Pickle {
 public:
  // Protocols 0 to 5 but for the texts of 0. Throws silc::Error beginning with `name` for what is no sound pickle, or
  // nested or large beyond reason.
  Pickle(std::span<const std::byte> bytes, const std::string& name);

  [[nodiscard]] const Value& value() const { return *value_; }

 private:
  friend class Machine;
  std::deque<Value> values_;
  const Value* value_ = nullptr;
};

}  // namespace silc::pickle
