#include "engine/gradient_reducer.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/utils.h>

#include <algorithm>

namespace silc {

// Called by the backward pass when a parameter's gradient is complete.
class GradientReducer::Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientReducer& reducer, std::size_t parameter) : reducer_(reducer), parameter_(parameter) {}
  void operator()(const torch::autograd::Variable& /*parameter*/) override { reducer_.is_ready(parameter_); }

 private:
  GradientReducer& reducer_;
  std::size_t parameter_;
};

GradientReducer::GradientReducer(const std::vector<NamedTensor>& parameters) {
  if (ranks().alone()) return;
  constexpr int64_t kCapacity = 25 << 20;      // bytes
  constexpr int64_t kFirstCapacity = 1 << 20;  // so that the first sum begins early
  for (const NamedTensor& parameter : parameters) parameters_.push_back(parameter.value);
  bucket_of_.resize(parameters_.size());
  ready_.resize(parameters_.size());
  for (std::size_t i = parameters_.size(); i-- > 0;)
    add_to_buckets(i, buckets_.size() <= 1 ? kFirstCapacity : kCapacity);
  for (Bucket& bucket : buckets_) {
    int64_t size = 0;
    for (const std::size_t member : bucket.members) {
      bucket.offsets.push_back(size);
      size += parameters_[member].numel();
    }
    bucket.memory = at::zeros({size}, parameters_[bucket.members.front()].options().requires_grad(false));
  }
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    torch::autograd::impl::set_post_acc_grad_hooks(parameters_[i], std::make_unique<Hook>(*this, i));
}

GradientReducer::~GradientReducer() {
  for (const at::Tensor& parameter : parameters_) torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
}

void GradientReducer::add_to_buckets(std::size_t parameter, int64_t capacity) {
  const at::Tensor& added = parameters_[parameter];
  const auto fits = [&](const Bucket& bucket) {
    const at::Tensor& first = parameters_[bucket.members.front()];
    if (first.scalar_type() != added.scalar_type() || first.device() != added.device()) return false;
    std::size_t bytes = added.nbytes();
    for (const std::size_t member : bucket.members) bytes += parameters_[member].nbytes();
    return bytes <= static_cast<std::size_t>(capacity);
  };
  if (buckets_.empty() || !fits(buckets_.back())) buckets_.emplace_back();
  buckets_.back().members.push_back(parameter);
  bucket_of_[parameter] = buckets_.size() - 1;
}

at::Tensor GradientReducer::part(const Bucket& bucket, std::size_t member) const {
  const at::Tensor& parameter = parameters_[bucket.members[member]];
  return bucket.memory.narrow(0, bucket.offsets[member], parameter.numel()).view(parameter.sizes());
}

void GradientReducer::begin() {
  std::fill(ready_.begin(), ready_.end(), false);
  for (Bucket& bucket : buckets_) bucket.ready = 0;
  launched_ = 0;
  active_ = !buckets_.empty();
}

void GradientReducer::is_ready(std::size_t parameter) {
  if (!active_ || ready_[parameter]) return;
  ready_[parameter] = true;
  ++buckets_[bucket_of_[parameter]].ready;
  launch_ready();
}

void GradientReducer::launch_ready() {
  while (launched_ < buckets_.size() && buckets_[launched_].ready == buckets_[launched_].members.size())
    launch(buckets_[launched_++]);
}

void GradientReducer::launch(Bucket& bucket) {
  const torch::NoGradGuard no_grad;
  for (std::size_t m = 0; m < bucket.members.size(); ++m) {
    const at::Tensor& gradient = parameters_[bucket.members[m]].grad();
    if (gradient.defined())
      part(bucket, m).copy_(gradient);
    else
      part(bucket, m).zero_();
  }
  bucket.sum = ranks().begin_sum(bucket.memory);
}

void GradientReducer::finish() {
  if (!active_) return;
  active_ = false;
  while (launched_ < buckets_.size()) launch(buckets_[launched_++]);
  // A parameter without a gradient on any rank is to have none, and the optimizer to leave it as it is.
  const at::Tensor known = at::zeros({static_cast<int64_t>(parameters_.size())}, at::kByte);
  auto* has_gradient = known.mutable_data_ptr<uint8_t>();
  for (std::size_t i = 0; i < parameters_.size(); ++i) has_gradient[i] = parameters_[i].grad().defined() ? 1 : 0;
  const at::Tensor anywhere = ranks().max(known);
  const auto* wanted = anywhere.const_data_ptr<uint8_t>();

  const torch::NoGradGuard no_grad;
  const double share = 1 / static_cast<double>(ranks().size());
  for (Bucket& bucket : buckets_) {
    bucket.sum->wait();
    bucket.sum.reset();
    bucket.memory.mul_(share);
    for (std::size_t m = 0; m < bucket.members.size(); ++m)
      if (wanted[bucket.members[m]] != 0) parameters_[bucket.members[m]].mutable_grad() = part(bucket, m);
  }
}

}  // namespace silc
