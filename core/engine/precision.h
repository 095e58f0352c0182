// Numeric precision of training: fp32, or bf16 by autocast (weights and reductions stay fp32).
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace silc {

enum class Precision { fp32, bf16 };

// "fp32" or "bf16"; throws silc::Error for anything else.
Precision parse_precision(const std::string& name);

// While it lives, operations of this thread run in `precision` on `device`. Its end drops the bf16 copies of weights.
class Autocast {
 public:
  Autocast(Precision precision, const c10::Device& device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_;
  c10::DeviceType device_;
};

}  // namespace silc
