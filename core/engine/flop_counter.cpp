#include "engine/flop_counter.h"

#include <ATen/record_function.h>

#include <atomic>
#include <memory>
#include <string_view>
#include <unordered_map>

namespace silc {
namespace {

using Inputs = c10::ArrayRef<const c10::IValue>;
using Formula = int64_t (*)(Inputs);

// LibTorch calls plain functions without data of our own, hence the variables of this file.
std::atomic<int64_t> counted_flops{0};
thread_local int counted_depth = 0;

c10::IntArrayRef shape(Inputs inputs, size_t index) { return inputs[index].toTensor().sizes(); }

// [m, k] · [k, n], batched where the shapes have three dimensions.
int64_t product(c10::IntArrayRef left, c10::IntArrayRef right) {
  const int64_t batch = left.size() == 3 ? left[0] : 1;
  const int64_t columns = right.size() == 1 ? 1 : right.back();
  return 2 * batch * left[left.size() - 2] * left.back() * columns;
}

int64_t product_of_first(Inputs inputs) { return product(shape(inputs, 0), shape(inputs, 1)); }
int64_t product_of_second(Inputs inputs) { return product(shape(inputs, 1), shape(inputs, 2)); }

// Every position of `places` [N, C, …] meets the whole filter [C_out, C_in / groups, k…].
int64_t convolution_at(c10::IntArrayRef places, c10::IntArrayRef filter) {
  int64_t flops = 2 * places[0];
  for (size_t i = 2; i < places.size(); ++i) flops *= places[i];
  for (const int64_t size : filter) flops *= size;
  return flops;
}

// (input, weight, bias, stride, padding, dilation, transposed, …)
int64_t convolution(Inputs inputs) {
  const auto input = shape(inputs, 0);
  const auto filter = shape(inputs, 1);
  if (inputs[6].toBool()) return convolution_at(input, filter);
  const auto stride = inputs[3].toIntVector();
  const auto padding = inputs[4].toIntVector();
  const auto dilation = inputs[5].toIntVector();
  const auto along = [](const std::vector<int64_t>& values, size_t i) { return values[values.size() == 1 ? 0 : i]; };
  std::vector<int64_t> output(input.begin(), input.end());
  for (size_t i = 0; i + 2 < output.size(); ++i) {
    const int64_t reach = along(dilation, i) * (filter[i + 2] - 1) + 1;
    output[i + 2] = (input[i + 2] + 2 * along(padding, i) - reach) / along(stride, i) + 1;
  }
  return convolution_at(output, filter);
}

// (grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, output_mask):
// the gradients by input and by weight each cost as much as the forward pass.
int64_t convolution_backward(Inputs inputs) {
  const auto places = inputs[7].toBool() ? shape(inputs, 1) : shape(inputs, 0);
  const auto mask = inputs[10].toBoolList();
  return convolution_at(places, shape(inputs, 2)) * (int64_t{mask[0]} + int64_t{mask[1]});
}

// query [B, H, S, D], key [B, H', T, D], value [B, H', T, D']: scores and weighted sum.
int64_t attention(Inputs inputs) {
  const auto query = shape(inputs, 0);
  const int64_t pairs = query[0] * query[1] * query[2] * shape(inputs, 1)[2];
  return 2 * pairs * (query[3] + shape(inputs, 2)[3]);
}

// (grad_output, query, key, value, …): scores again, gradients of value and probabilities, of query and key.
int64_t attention_backward(Inputs inputs) {
  const auto query = shape(inputs, 1);
  const int64_t pairs = query[0] * query[1] * query[2] * shape(inputs, 2)[2];
  return 2 * pairs * (3 * query[3] + 2 * shape(inputs, 3)[3]);
}

const std::unordered_map<std::string_view, Formula>& formulas() {
  static const std::unordered_map<std::string_view, Formula> table = {
      {"aten::mm", product_of_first},
      {"aten::bmm", product_of_first},
      {"aten::mv", product_of_first},
      {"aten::addmm", product_of_second},
      {"aten::addmm_", product_of_second},
      {"aten::_addmm_activation", product_of_second},
      {"aten::baddbmm", product_of_second},
      {"aten::baddbmm_", product_of_second},
      {"aten::addbmm", product_of_second},
      {"aten::addmv", product_of_second},
      {"aten::convolution", convolution},
      {"aten::convolution_backward", convolution_backward},
      {"aten::_scaled_dot_product_flash_attention_for_cpu", attention},
      {"aten::_scaled_dot_product_flash_attention", attention},
      {"aten::_scaled_dot_product_efficient_attention", attention},
      {"aten::_scaled_dot_product_cudnn_attention", attention},
      {"aten::_scaled_dot_product_fused_attention_overrideable", attention},
      {"aten::_scaled_dot_product_flash_attention_for_cpu_backward", attention_backward},
      {"aten::_scaled_dot_product_flash_attention_backward", attention_backward},
      {"aten::_scaled_dot_product_efficient_attention_backward", attention_backward},
      {"aten::_scaled_dot_product_cudnn_attention_backward", attention_backward},
      {"aten::_scaled_dot_product_fused_attention_overrideable_backward", attention_backward},
  };
  return table;
}

// Marks that a counted operator is running, so that those it calls are not counted.
struct Running : at::ObserverContext {};

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function) {
  const auto found = formulas().find(function.name());
  if (found == formulas().end()) return nullptr;
  if (counted_depth++ == 0) counted_flops.fetch_add(found->second(function.inputs()), std::memory_order_relaxed);
  return std::make_unique<Running>();
}

void on_end(const at::RecordFunction& /*function*/, at::ObserverContext* context) {
  if (context != nullptr) --counted_depth;
}

}  // namespace

FlopCounter::FlopCounter()
    : handle_(at::addGlobalCallback(
          at::RecordFunctionCallback(on_start, on_end).needsInputs(true).scopes({at::RecordScope::FUNCTION}))),
      start_(counted_flops.load()) {}

FlopCounter::~FlopCounter() { at::removeCallback(handle_); }

int64_t FlopCounter::total() const { return counted_flops.load() - start_; }

}  // namespace silc
